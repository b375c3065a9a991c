//! Normalises characters that some programs take for others: full-width and ornamental forms, capitals, and invisible
//! characters (Unicode: NFKC, case folding, Default_Ignorable_Code_Point).
//!
//! Windows, macOS, Python's `unicodedata.normalize` and many databases read `ａdmin` as `admin`. All characters are
//! converted to their *plain form*: decomposed lower-case letters. A full-width slash becomes [`SLASH`].

use std::borrow::Cow;
use std::sync::LazyLock;

use unicode_normalization::char::decompose_compatible;

use super::ambiguous::Ambiguous;
use super::escapes::SLASH;
use super::fixed_buffer::{FixedBuffer, at_percent_or_wide, lower_case};

/// The text with characters that could be delimiters or form dot segments in their plain form, and ASCII letters in
/// lower case; `None` if it has no such characters. Bytes that are not UTF-8 are not changed.
///
/// # Errors
/// Non-ASCII control characters, and escapes that exist only in the plain form.
pub(crate) fn narrow_signs(text: &[u8]) -> Result<Option<Vec<u8>>, Ambiguous> {
    if !text.iter().any(|&byte| may_need_narrowing(byte)) {
        return Ok(None);
    }
    let mut plain = FixedBuffer::of(text.len());
    // Whether an escape has begun that a non-ASCII character may complete, and whether it already has such a character.
    let (mut watched, mut wide) = (false, false);
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        let open = watched && is_open(plain.written());
        if !open && first.is_ascii() && *first != b'%' {
            if behind.first().is_some_and(|next| !next.is_ascii()) {
                plain.push(first.to_ascii_lowercase());
                rest = behind;
                continue;
            }
            let count = plain.extend_until(rest, at_percent_or_wide, lower_case);
            rest = rest.get(count..).unwrap_or_default();
            continue;
        }
        if first.is_ascii() && (*first == b'%' || !(open && wide)) {
            if *first == b'%' {
                watched = behind.iter().take(2).any(|byte| !byte.is_ascii());
                wide = false;
            }
            plain.push(first.to_ascii_lowercase());
            rest = behind;
            continue;
        }
        let Some(letter) = first_letter(rest) else {
            plain.push(if *first == LATIN_BLANK { b' ' } else { *first });
            rest = behind;
            continue;
        };
        let (bytes, behind) = rest.split_at_checked(letter.len_utf8()).unwrap_or((rest, &[]));
        rest = behind;
        if open || is_sign(letter) {
            (watched, wide) = (true, true);
            if open && is_digit(letter) {
                return Err(Ambiguous::because("a wide percent sign or digit that makes an escape"));
            }
            if matches!(letter, '\u{80}'..='\u{9f}') {
                return Err(Ambiguous::bytes(bytes));
            }
            push_sign(letter, &mut plain);
        } else {
            plain.extend(bytes);
        }
    }
    Ok(Some(plain.into_vec()))
}

/// The no-break space in ISO 8859-1.
const LATIN_BLANK: u8 = 0xa0;

/// Whether a character is replaced by [`push_sign`], or is a control character.
fn is_sign(letter: char) -> bool {
    let code = letter as usize;
    match SIGNS.get(code / 64) {
        Some(signs) => signs >> (code % 64) & 1 == 1,
        None => is_unseen(letter),
    }
}

/// A bit for each character of the basic multilingual plane. In other planes only ignorable characters are replaced.
static SIGNS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let is_sign = |code: u32| char::from_u32(code).is_some_and(|letter| letter.is_control() || is_replaced(letter));
    (0..1024).map(|word| (0..64).fold(0, |signs, bit| signs | u64::from(is_sign(word * 64 + bit)) << bit)).collect()
});

fn is_replaced(letter: char) -> bool {
    let mut plain = FixedBuffer::of(8);
    push_sign(letter, &mut plain);
    plain.written() != letter.encode_utf8(&mut [0; 4]).as_bytes()
}

/// The first character, if the bytes begin with valid UTF-8.
fn first_letter(text: &[u8]) -> Option<char> {
    let rest = |byte: u8| u32::from(byte & 0x3f);
    match *text {
        [ascii @ 0..=0x7f, ..] => Some(char::from(ascii)),
        [first @ 0xc2..=0xdf, second @ 0x80..=0xbf, ..] => char::from_u32(u32::from(first & 0x1f) << 6 | rest(second)),
        [first @ 0xe0..=0xef, second @ 0x80..=0xbf, third @ 0x80..=0xbf, ..] => {
            char::from_u32(u32::from(first & 0xf) << 12 | rest(second) << 6 | rest(third))
                .filter(|&letter| letter >= '\u{800}')
        }
        [first @ 0xf0..=0xf4, second @ 0x80..=0xbf, third @ 0x80..=0xbf, fourth @ 0x80..=0xbf, ..] => {
            char::from_u32(u32::from(first & 7) << 18 | rest(second) << 12 | rest(third) << 6 | rest(fourth))
                .filter(|&letter| letter >= '\u{10000}')
        }
        _ => None,
    }
}

/// Whether a byte is a percent sign, or belongs to a character that may be replaced.
fn may_need_narrowing(byte: u8) -> bool {
    STANDS_OUT.get(usize::from(byte)).copied().unwrap_or(true)
}

#[expect(clippy::indexing_slicing, reason = "the compiler runs this, and a byte is below 256")]
static STANDS_OUT: [bool; 256] = {
    let mut table = [false; 256];
    let mut bytes = b"%\xa0\xc2\xcd\xd8\xe1\xe2\xe3\xef\xf0\xf3".as_slice();
    while let [byte, rest @ ..] = bytes {
        table[*byte as usize] = true;
        bytes = rest;
    }
    table
};

/// Whether the text ends with an incomplete escape.
const fn is_open(plain: &[u8]) -> bool {
    match plain {
        [.., b'%'] => true,
        [.., b'%', digit] => digit.is_ascii_hexdigit(),
        _ => false,
    }
}

/// Whether the plain form of a character begins with a hexadecimal digit.
fn is_digit(letter: char) -> bool {
    let mut first = None;
    decompose_compatible(letter, |part| first = first.or(Some(part)));
    first.is_some_and(|first| first.is_ascii_hexdigit())
}

/// A name with every letter in its plain form, up to about `most` bytes. Its signs must be in their plain form already.
pub(crate) fn narrow_letters(name: &[u8], most: usize) -> Cow<'_, [u8]> {
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }
    let mut plain = Vec::with_capacity(name.len());
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

fn push_sign(letter: char, plain: &mut FixedBuffer) {
    match letter {
        // Fast path for Kana, Han and Hangul, which are plain: the most frequent characters here.
        '\u{3041}'..='\u{3163}' | '\u{3165}'..='\u{d7a3}' => plain.extend(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        '\u{200b}'..='\u{200f}' | '\u{ad}' => {}
        '\u{a0}' => plain.push(b' '),
        '\u{ff0f}' => plain.push(SLASH),
        '\u{ff01}'..='\u{ff5e}' => {
            let ascii = u8::try_from(u32::from(letter) - 0xfee0).unwrap_or(b'?');
            plain.push(ascii.to_ascii_lowercase());
        }
        '\0'..='\x7f' => plain.push(letter.to_ascii_lowercase() as u8),
        '\u{2100}' => plain.extend(&[b'a', SLASH, b'c']),
        '\u{2101}' => plain.extend(&[b'a', SLASH, b's']),
        '\u{2105}' => plain.extend(&[b'c', SLASH, b'o']),
        '\u{2106}' => plain.extend(&[b'c', SLASH, b'u']),
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
        _ => plain.extend(letter.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn push_letter(letter: char, plain: &mut Vec<u8>) {
    match letter {
        '\0'..='\x7f' => plain.push(letter.to_ascii_lowercase() as u8),
        // Han without other forms.
        '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{2f7ff}' | '\u{30000}'..='\u{3ffff}' => push(letter, plain),
        _ => match PlainForms::of(letter) {
            Some(forms) => forms.push(letter, plain),
            None => decompose_compatible(letter, |part| match PlainForms::of(part) {
                Some(forms) => forms.push(part, plain),
                None => push_part(part, plain),
            }),
        },
    }
}

/// Appends a letter in lower case, converted by way of upper case: `ı` and `ſ` become `I` and `S` in programs that
/// compare in upper case.
fn push_part(part: char, plain: &mut Vec<u8>) {
    let capitals = part.to_lowercase().flat_map(char::to_uppercase);
    for small in capitals.flat_map(char::to_lowercase) {
        decompose_compatible(small, |part| match part {
            _ if is_unseen(part) => {}
            _ if part.is_whitespace() => plain.push(b' '),
            _ => push(part, plain),
        });
    }
}

/// The precomputed plain forms of the characters in a range.
struct PlainForms {
    first: char,
    text: Vec<u8>,
    /// The end of the form of each character in `text`.
    ends: Vec<u32>,
}

/// Most scripts.
static SCRIPTS: LazyLock<PlainForms> = LazyLock::new(|| PlainForms::new('\0', '\u{3400}'));
/// Ligatures, and the contextual shapes of letters.
static PRESENTATION_FORMS: LazyLock<PlainForms> = LazyLock::new(|| PlainForms::new('\u{f900}', '\u{10000}'));
/// Historic scripts, mathematical letters, and enclosed letters.
static SUPPLEMENTARY_PLANE: LazyLock<PlainForms> = LazyLock::new(|| PlainForms::new('\u{10000}', '\u{1f200}'));

/// Compatibility ideographs.
static COMPATIBILITY_HAN: LazyLock<PlainForms> = LazyLock::new(|| PlainForms::new('\u{2f800}', '\u{2fa20}'));

impl PlainForms {
    /// Computes the forms from `first` to the character before `end`.
    fn new(first: char, end: char) -> Self {
        let mut forms = Self { first, text: Vec::new(), ends: Vec::new() };
        for letter in first..end {
            decompose_compatible(letter, |part| push_part(part, &mut forms.text));
            forms.ends.push(u32::try_from(forms.text.len()).unwrap_or(u32::MAX));
        }
        forms
    }

    /// The range with this character, if there is one.
    fn of(letter: char) -> Option<&'static Self> {
        match letter {
            ..'\u{3400}' => Some(&SCRIPTS),
            '\u{f900}'..'\u{10000}' => Some(&PRESENTATION_FORMS),
            '\u{10000}'..'\u{1f200}' => Some(&SUPPLEMENTARY_PLANE),
            '\u{2f800}'..'\u{2fa20}' => Some(&COMPATIBILITY_HAN),
            _ => None,
        }
    }

    fn push(&self, letter: char, plain: &mut Vec<u8>) {
        let at = (letter as usize).saturating_sub(self.first as usize);
        let end = |at: usize| self.ends.get(at).map_or(0, |end| *end as usize);
        let begin = at.checked_sub(1).map_or(0, end);
        plain.extend_from_slice(self.text.get(begin..end(at)).unwrap_or_default());
    }
}

fn push(letter: char, plain: &mut Vec<u8>) {
    plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Ignorable characters, which are invisible and which file systems and frameworks leave out.
pub(super) const fn is_unseen(letter: char) -> bool {
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
        let plain = narrow_signs(text.as_bytes()).ok()?;
        Some(plain.map_or_else(|| text.to_ascii_lowercase(), |plain| String::from_utf8(plain).unwrap()))
    }

    fn letters(text: &str) -> Option<String> {
        let signs = signs(text)?;
        Some(String::from_utf8(narrow_letters(signs.as_bytes(), usize::MAX).into_owned()).unwrap())
    }

    #[test]
    fn letters_are_converted_to_their_plain_form() {
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
        for escape in
            ["％2e", "%\u{200b}2e", "%2\u{ad}e", "%é", "%２e", "%2Ｅ", "﹪2", "%\u{1d7d0}e", "\u{85}", "a\u{9f}"]
        {
            assert_eq!(signs(escape), None, "{escape}");
        }
        assert_eq!(signs("％x%ü").as_deref(), Some("%x%ü"));
        assert_eq!(narrow_signs(b"caf\xe9\xa0\xc3\xa0").unwrap().unwrap(), b"caf\xe9 \xc3\xa0");
        assert_eq!(narrow_letters(b"caf\xe9", 9).as_ref(), b"caf\xe9");
        assert!(narrow_letters("\u{fdfa}".repeat(99).as_bytes(), 9).len() < 99, "a long name is cut");
    }

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

    /// The fast conversion misses no character that could be a delimiter.
    #[test]
    fn every_delimiter_is_found_by_the_fast_conversion() {
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
