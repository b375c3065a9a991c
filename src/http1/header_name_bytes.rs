//! The bytes of header names (RFC 9110 5.6.2): what may be in one, which names are plain, and whether two of them are
//! the same in any case.

/// What is known of a name, read from its beginning: at its beginning or behind a hyphen, where a plain name does not
/// end.
const OPEN: u8 = 0;
/// Behind a letter or a digit: plain so far.
const PLAIN: u8 = 1;
/// There is something that some application folds.
const ODD: u8 = 2;
/// Behind its end: this byte is in no name.
const END: u8 = 3;

/// For each of the first three states, what each byte leads to.
static NEXT: [[u8; 256]; 3] = [next(OPEN), next(PLAIN), next(ODD)];

#[expect(clippy::indexing_slicing, reason = "the compiler runs this, and a byte is below 256")]
const fn next(state: u8) -> [u8; 256] {
    let mut next = [END; 256];
    let mut tokens = b"!#$%&'*+.^_`|~".as_slice();
    while let [byte, rest @ ..] = tokens {
        next[*byte as usize] = ODD;
        tokens = rest;
    }
    let mut byte = 0_u8;
    while byte < u8::MAX {
        if byte.is_ascii_alphanumeric() {
            next[byte as usize] = if state == ODD { ODD } else { PLAIN };
        }
        byte += 1;
    }
    next[b'-' as usize] = if state == PLAIN { OPEN } else { ODD };
    next
}

fn step(state: u8, byte: u8) -> u8 {
    NEXT.as_flattened().get(usize::from(state) << 8 | usize::from(byte)).copied().unwrap_or(END)
}

/// Whether a byte may be in a name or a method.
pub(crate) fn is_token(byte: u8) -> bool {
    step(OPEN, byte) != END
}

/// How long the name is at the beginning of a line, and whether it is plain ([`is_plain`]). Every byte of every name is
/// looked at here, and nowhere else.
pub(crate) fn measure(line: &[u8]) -> (usize, bool) {
    let (mut state, mut length) = (OPEN, 0);
    for &byte in line {
        let next = step(state, byte);
        if next == END {
            break;
        }
        state = next;
        length += 1;
    }
    (length, state == PLAIN)
}

/// Whether a name is the same however an application folds it: letters, digits and single hyphens between them.
pub(crate) fn is_plain(name: &[u8]) -> bool {
    measure(name) == (name.len(), true)
}

/// Whether two names are the same in any case, of which one at least is plain and both are tokens. With the bit of the
/// letter case set, a plain name differs from every other token.
pub(crate) fn same_as_plain(plain: &[u8], other: &[u8]) -> bool {
    const CASE: u64 = 0x2020_2020_2020_2020;
    let same = |one: u64, other: u64| (one ^ other) & !CASE == 0;
    let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    if plain.len() != other.len() {
        return false;
    }
    let ((words, rest), (other_words, _)) = (plain.as_chunks(), other.as_chunks());
    let begin = words.iter().zip(other_words).all(|(one, other)| same(word(one), word(other)));
    begin
        && match (plain.last_chunk(), other.last_chunk()) {
            _ if rest.is_empty() => true,
            // It overlaps the word before it.
            (Some(end), Some(other_end)) => same(word(end), word(other_end)),
            _ => same(short_word(plain), short_word(other)),
        }
}

/// Fewer than eight bytes as a word. It tells names of one length apart.
fn short_word(name: &[u8]) -> u64 {
    match (name.first_chunk(), name.last_chunk()) {
        (Some(begin), Some(end)) => u64::from(u32::from_ne_bytes(*begin)) << 32 | u64::from(u32::from_ne_bytes(*end)),
        _ => name.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// A number below 64 for a name in any case. Names that differ in their length, their first or their last character
/// mostly have different ones, so that one word tells of a whole head which names are certainly not in it.
pub(crate) const fn mark(name: &[u8]) -> u8 {
    let length = (name.len() & 63) as u8;
    let [first, .., last] = name else { return length };
    length.wrapping_add(*first << 3).wrapping_add((*last & 31).wrapping_mul(3)) & 63
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tokens_are_those_of_the_standard() {
        let others = b"!#$%&'*+-.^_`|~";
        for byte in 0..=u8::MAX {
            assert_eq!(is_token(byte), byte.is_ascii_alphanumeric() || others.contains(&byte), "{byte}");
        }
    }

    #[test]
    fn a_name_is_measured_to_its_end() {
        let cases = [
            ("Host: a", (4, true)),
            ("x-2-y", (5, true)),
            ("", (0, false)),
            (": a", (0, false)),
            ("x_y: a", (3, false)),
            ("x.y", (3, false)),
            ("-x: a", (2, false)),
            ("x-: a", (2, false)),
            ("x--y: a", (4, false)),
            ("x y: a", (1, true)),
            ("\u{e4}", (0, false)),
        ];
        for (line, want) in cases {
            assert_eq!(measure(line.as_bytes()), want, "{line}");
            assert_eq!(is_plain(line.as_bytes()), want == (line.len(), true), "{line}");
        }
    }

    /// All names of a few characters, those among them that differ in the bit of the letter case alone.
    #[test]
    fn a_plain_name_is_itself_in_any_case_and_no_other_token() {
        let tokens: Vec<u8> = (0..=u8::MAX).filter(|&byte| is_token(byte)).collect();
        let plain = tokens.iter().filter(|&&byte| is_plain(&[b'x', byte, b'x']));
        for (one, other) in plain.flat_map(|one| tokens.iter().map(move |other| (*one, *other))) {
            for length in [1, 3, 8, 9, 21] {
                let name = |byte| [vec![b'x'; length], vec![byte, b'Y']].concat();
                let want = one.eq_ignore_ascii_case(&other);
                assert_eq!(same_as_plain(&name(one), &name(other).to_ascii_lowercase()), want, "{one} {other}");
            }
        }
        assert!(!same_as_plain(b"a", b"ab") && same_as_plain(b"", b""));
    }

    proptest! {
        #[test]
        fn a_mark_does_not_depend_on_case(name in "[a-zA-Z0-9-]{0,30}") {
            prop_assert_eq!(mark(name.as_bytes()), mark(name.to_ascii_lowercase().as_bytes()));
            prop_assert!(mark(name.as_bytes()) < 64);
        }
    }
}
