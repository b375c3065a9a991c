//! Letters that programs take for other letters: full-width and ornamental forms, capitals, and what is not seen at all
//! (Unicode: NFKC, case folding, Default_Ignorable_Code_Point).
//!
//! Windows, macOS, Python's `unicodedata.normalize` and many databases read `ａdmin` as `admin`. Everything is brought
//! to decomposed small letters here, whatever form it came in. A wide slash becomes [`SLASH`].

use std::borrow::Cow;

use unicode_normalization::char::decompose_compatible;

use super::ambiguous::Ambiguous;
use super::escapes::SLASH;

/// Appends `text` with the signs that could take a path apart or climb in their plain form, and small ASCII letters.
/// What is not UTF-8 stays as it is. Control characters above ASCII are refused, and so is what becomes an escape only
/// by this.
pub(crate) fn narrow_signs(text: &[u8], plain: &mut Vec<u8>) -> Result<(), Ambiguous> {
    let mut wide_percent = false;
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if wide_percent || !letter.is_ascii() {
                if begins_escape(letter, wide_percent, plain) {
                    return Err(Ambiguous::because("a wide percent sign or digit that makes an escape"));
                }
                wide_percent = is_wide_percent(letter);
            }
            match letter {
                '\0'..='\x7f' => plain.push(letter.to_ascii_lowercase() as u8),
                '\u{80}'..='\u{9f}' => return Err(Ambiguous::bytes(letter.encode_utf8(&mut [0; 2]).as_bytes())),
                _ => push_sign(letter, plain),
            }
        }
        // The blank that does not break, in the encodings of one byte.
        plain.extend(chunk.invalid().iter().map(|&byte| if byte == 0xa0 { b' ' } else { byte }));
    }
    Ok(())
}

/// Every letter of a name in its plain form, as far as `most` bytes of it. Its signs are plain already.
pub(crate) fn narrow_letters(name: &[u8], most: usize) -> Cow<'_, [u8]> {
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }
    let mut plain = Vec::new();
    for chunk in name.utf8_chunks() {
        if plain.len() > most {
            break;
        }
        for letter in chunk.valid().chars() {
            if plain.len() > most {
                break;
            }
            push_letter(letter, &mut plain);
        }
        plain.extend_from_slice(chunk.invalid());
    }
    Cow::Owned(plain)
}

fn push_sign(letter: char, plain: &mut Vec<u8>) {
    match letter {
        // Han and Hangul, the bulk of honest letters here, are plain.
        '\u{3041}'..='\u{3163}' | '\u{3165}'..='\u{d7a3}' => push(letter, plain),
        '\u{ff0f}' => plain.push(SLASH),
        '\u{ff01}'..='\u{ff5e}' => {
            let ascii = u8::try_from(u32::from(letter) - 0xfee0).unwrap_or(b'?');
            plain.push(ascii.to_ascii_lowercase());
        }
        '\u{2100}' => plain.extend([b'a', SLASH, b'c']),
        '\u{2101}' => plain.extend([b'a', SLASH, b's']),
        '\u{2105}' => plain.extend([b'c', SLASH, b'o']),
        '\u{2106}' => plain.extend([b'c', SLASH, b'u']),
        '\u{2024}' | '\u{fe52}' => plain.push(b'.'),
        '\u{2025}' | '\u{fe30}' => plain.extend(b".."),
        '\u{2026}' | '\u{fe19}' => plain.extend(b"..."),
        '\u{37e}' | '\u{fe14}' | '\u{fe54}' => plain.push(b';'),
        '\u{fe16}' | '\u{fe56}' => plain.push(b'?'),
        '\u{2047}' => plain.extend(b"??"),
        '\u{2048}' => plain.extend(b"?!"),
        '\u{2049}' => plain.extend(b"!?"),
        '\u{fe5f}' => plain.push(b'#'),
        '\u{fe68}' => plain.push(b'\\'),
        '\u{fe6a}' => plain.push(b'%'),
        _ if is_unseen(letter) => {}
        _ if letter.is_whitespace() => plain.push(b' '),
        _ => push(letter, plain),
    }
}

/// A letter without its case, by way of the capital: `ı` and `ſ` become `I` and `S` to programs that ask for capitals.
fn push_letter(letter: char, plain: &mut Vec<u8>) {
    if matches!(letter, '\u{4e00}'..='\u{9fff}') {
        return push(letter, plain);
    }
    decompose_compatible(letter, |part| {
        let capitals = part.to_lowercase().flat_map(char::to_uppercase);
        for small in capitals.flat_map(char::to_lowercase) {
            decompose_compatible(small, |part| match part {
                _ if is_unseen(part) => {}
                _ if part.is_whitespace() => plain.push(b' '),
                _ => push(part, plain),
            });
        }
    });
}

fn push(letter: char, plain: &mut Vec<u8>) {
    plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

const fn is_wide_percent(letter: char) -> bool {
    matches!(letter, '\u{ff05}' | '\u{fe6a}')
}

/// Whether this letter continues an escape of which one part at least is not ASCII.
fn begins_escape(letter: char, wide_percent: bool, before: &[u8]) -> bool {
    let open = match before {
        [.., b'%'] => true,
        [.., b'%', digit] => digit.is_ascii_hexdigit(),
        _ => false,
    };
    let looks = open && (wide_percent || !letter.is_ascii());
    looks && {
        let mut first = None;
        decompose_compatible(letter, |part| first = first.or(Some(part)));
        first.is_some_and(|first| first.is_ascii_hexdigit())
    }
}

/// Code points that are not shown and that file systems and frameworks leave out.
const fn is_unseen(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization::UnicodeNormalization;

    fn signs(text: &str) -> Option<String> {
        let mut plain = Vec::new();
        narrow_signs(text.as_bytes(), &mut plain).ok()?;
        Some(String::from_utf8(plain).unwrap())
    }

    fn letters(text: &str) -> Option<String> {
        let signs = signs(text)?;
        Some(String::from_utf8(narrow_letters(signs.as_bytes(), usize::MAX).into_owned()).unwrap())
    }

    #[test]
    fn letters_are_brought_to_their_plain_form() {
        let cases = [
            ("Admin", "admin"),
            ("ａｄＭＩＮ", "admin"),
            ("ad\u{200b}m\u{ad}in", "admin"),
            ("adm\u{131}n", "admin"),
            ("\u{17f}taff", "staff"),
            ("\u{212a}", "k"),
            ("ﬁle", "file"),
            ("\u{1d41a}dmin", "admin"),
            ("ⓐdmin", "admin"),
            ("stra\u{df}e", "strasse"),
            ("a\u{a0}\u{3000}", "a  "),
            ("\u{2025}／\u{ff3c}\u{2024}", "..\u{1}\\."),
            ("50％", "50%"),
            ("百分之五十", "百分之五十"),
        ];
        for (text, want) in cases {
            assert_eq!(letters(text).as_deref(), Some(want), "{text}");
        }
        for escape in ["％2e", "%２e", "%2Ｅ", "﹪2", "%\u{1d7d0}e", "\u{85}", "a\u{9f}"] {
            assert_eq!(signs(escape), None, "{escape}");
        }
        assert_eq!(signs("％x%ü").as_deref(), Some("%x%ü"));
        let mut latin = Vec::new();
        narrow_signs(b"caf\xe9\xa0", &mut latin).unwrap();
        assert_eq!(latin, b"caf\xe9 ");
        assert_eq!(narrow_letters(b"caf\xe9", 9).as_ref(), b"caf\xe9");
        assert!(narrow_letters("\u{fdfa}".repeat(99).as_bytes(), 9).len() < 99, "what is long is cut");
    }

    /// Whatever form a letter comes in, it has one plain form.
    #[test]
    fn every_form_of_a_letter_has_the_same_plain_form() {
        let mut odd: Vec<char> = Vec::new();
        for letter in ('\u{a0}'..=char::MAX).filter(|letter| !is_unseen(*letter)) {
            let of = |text: String| letters(&text).map(|text| text.replace('\u{1}', "/"));
            let want = of(letter.to_string());
            let forms = [
                letter.to_string().nfkc().collect::<String>(),
                letter.to_string().nfd().collect(),
                letter.to_uppercase().collect(),
                letter.to_lowercase().collect(),
                letter.to_lowercase().flat_map(char::to_uppercase).collect::<String>().nfkc().collect(),
            ];
            if forms.iter().any(|form| of(form.clone()) != want) {
                odd.push(letter);
            }
        }
        assert!(odd.is_empty(), "{}: {odd:?}", odd.len());
    }

    /// The cheap way misses no letter that could take a path apart.
    #[test]
    fn every_sign_is_seen_the_cheap_way() {
        for letter in '\u{a0}'..=char::MAX {
            let full: String = letter.nfkd().collect();
            let only = |set: &str| full.chars().all(|part| set.contains(part));
            let sign = full.contains([';', '?', '#', '\\', '%', '/']) || only(". ");
            let cheap = signs(&letter.to_string()).unwrap();
            assert!(!sign || cheap.is_ascii(), "{letter:?} {full} {cheap}");
            assert!(
                sign || is_unseen(letter)
                    || matches!(letter, '\u{ff01}'..='\u{ff5e}')
                    || !cheap.is_ascii()
                    || letter.is_whitespace(),
                "{letter:?}"
            );
        }
    }
}
