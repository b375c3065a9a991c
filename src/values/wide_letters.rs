//! Letters that programs take for other letters: full-width and ornamental forms, capitals, and what is not seen at all
//! (Unicode: NFKC, case folding, Default_Ignorable_Code_Point).
//!
//! Windows, macOS, Python's `unicodedata.normalize` and many databases read `ａdmin` as `admin`. Everything is brought
//! to decomposed small letters here, whatever form it came in. A wide slash becomes [`SLASH`].

use unicode_normalization::char::decompose_compatible;

use super::ambiguous::Ambiguous;
use super::escapes::SLASH;

/// How much is brought to its plain form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every letter.
    All,
    /// What could take a path apart or climb: a good deal cheaper.
    Signs,
}

/// Appends `text` in its plain form. What is no UTF-8 stays as it is. Control characters above ASCII are refused, and
/// so is what becomes an escape only by this.
pub fn narrow(text: &[u8], extent: Extent, plain: &mut Vec<u8>) -> Result<(), Ambiguous> {
    let start = plain.len();
    let mut wide_percent = false;
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if begins_escape(letter, wide_percent, plain.get(start..).unwrap_or_default()) {
                return Err(Ambiguous::because("a wide percent sign or digit that makes an escape"));
            }
            wide_percent = is_wide_percent(letter);
            match letter {
                '\0'..='\x7f' => plain.push(letter.to_ascii_lowercase() as u8),
                '\u{80}'..='\u{9f}' => return Err(Ambiguous::bytes(letter.encode_utf8(&mut [0; 2]).as_bytes())),
                _ => push_plain(letter, extent, plain),
            }
        }
        // The blank that does not break, in the encodings of one byte.
        plain.extend(chunk.invalid().iter().map(|&byte| if byte == 0xa0 { b' ' } else { byte }));
    }
    Ok(())
}

fn push_plain(letter: char, extent: Extent, plain: &mut Vec<u8>) {
    match letter {
        '\u{ff0f}' => plain.push(SLASH),
        '\u{ff01}'..='\u{ff5e}' => {
            let ascii = u8::try_from(u32::from(letter) - 0xfee0).unwrap_or(b'?');
            plain.push(ascii.to_ascii_lowercase());
        }
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
        // Han and Hangul, the bulk of honest letters here: they are plain.
        '\u{4e00}'..='\u{9fff}' => push(letter, plain),
        _ if letter.is_whitespace() => plain.push(b' '),
        _ if is_unseen(letter) => {}
        _ if extent == Extent::Signs => push(letter, plain),
        _ => decompose_compatible(letter, |part| fold(part, plain)),
    }
}

/// A letter without its case, by way of the capital: `ı` and `ſ` become `I` and `S` to programs that ask for them.
fn fold(letter: char, plain: &mut Vec<u8>) {
    if letter.is_whitespace() {
        return plain.push(b' ');
    }
    let capitals = letter.to_lowercase().flat_map(char::to_uppercase);
    for small in capitals.flat_map(char::to_lowercase) {
        decompose_compatible(small, |part| {
            if !is_unseen(part) {
                push(part, plain);
            }
        });
    }
}

/// A slash that was a wide letter is not one that everybody sees.
fn push(letter: char, plain: &mut Vec<u8>) {
    if letter == '/' {
        return plain.push(SLASH);
    }
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

    fn plain(text: &str, extent: Extent) -> Option<String> {
        let mut plain = Vec::new();
        narrow(text.as_bytes(), extent, &mut plain).ok()?;
        Some(String::from_utf8(plain).unwrap())
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
            assert_eq!(plain(text, Extent::All).as_deref(), Some(want), "{text}");
        }
        for escape in ["％2e", "%２e", "%2Ｅ", "﹪2", "%\u{1d7d0}e", "\u{85}", "a\u{9f}"] {
            assert_eq!(plain(escape, Extent::Signs), None, "{escape}");
        }
        assert_eq!(plain("％x%ü", Extent::Signs).as_deref(), Some("%x%ü"));
        let mut latin = Vec::new();
        narrow(b"caf\xe9\xa0", Extent::All, &mut latin).unwrap();
        assert_eq!(latin, b"caf\xe9 ");
    }

    /// Whatever form a letter comes in, it has one plain form.
    #[test]
    fn every_form_of_a_letter_has_the_same_plain_form() {
        let mut odd: Vec<char> = Vec::new();
        for letter in ('\u{a0}'..=char::MAX).filter(|letter| !is_unseen(*letter)) {
            let of = |text: String| plain(&text, Extent::All).map(|text| text.replace('\u{1}', "/"));
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
            let sign = full.contains([';', '?', '#', '\\', '%']) || only("./ ");
            let cheap = plain(&letter.to_string(), Extent::Signs).unwrap();
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
