//! The bytes of header names (RFC 9110 5.6.2): which bytes are allowed, which names are plain, and a comparison without
//! case.
//!
//! A name is *plain* if it consists of letters, digits and single hyphens between them: no application normalises such
//! a name to another one.

/// The states of the automaton that reads a name. This one: at the beginning or after a hyphen, where a plain name
/// cannot end.
const OPEN: u8 = 0;
/// After a letter or digit: plain so far.
const PLAIN: u8 = 1;
/// A token that is not plain: some applications normalise it.
const ODD: u8 = 2;
/// The byte is not allowed in a name, which therefore ends before it.
const END: u8 = 3;

/// The next state by state and byte.
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

/// Whether a byte is allowed in a token, such as a header name or a method (RFC 9110 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    step(OPEN, byte) != END
}

/// The length of the name at the beginning of a line, and whether it is plain ([`is_plain`]). This is the only place
/// that inspects each byte of a name.
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

/// Whether a name consists of letters, digits and single hyphens between them, so that no application normalises it to
/// another name.
pub(crate) fn is_plain(name: &[u8]) -> bool {
    measure(name) == (name.len(), true)
}

/// Whether two tokens, at least one of them plain, are equal without case. Ignoring the bit of the letter case is exact
/// for them: a plain name differs in another bit from every other token.
pub(crate) fn equals_lower_case(plain: &[u8], other: &[u8]) -> bool {
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
            // The last eight bytes; they overlap the previous word.
            (Some(end), Some(other_end)) => same(word(end), word(other_end)),
            _ => same(short_word(plain), short_word(other)),
        }
}

/// Fewer than eight bytes as a word. Different names of the same length have different words.
fn short_word(name: &[u8]) -> u64 {
    match (name.first_chunk(), name.last_chunk()) {
        (Some(begin), Some(end)) => u64::from(u32::from_ne_bytes(*begin)) << 32 | u64::from(u32::from_ne_bytes(*end)),
        _ => name.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// A hash of a name, below 64 and independent of case, made of its length, first and last character. One `u64` with a
/// bit for each mark is a filter for the names of a whole head.
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
    fn the_length_of_a_name_and_whether_it_is_plain_are_found() {
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

    /// All pairs of token characters, among them those that differ only in the bit of the letter case.
    #[test]
    fn a_plain_name_equals_itself_in_any_case_and_no_other_token() {
        let tokens: Vec<u8> = (0..=u8::MAX).filter(|&byte| is_token(byte)).collect();
        let plain = tokens.iter().filter(|&&byte| is_plain(&[b'x', byte, b'x']));
        for (one, other) in plain.flat_map(|one| tokens.iter().map(move |other| (*one, *other))) {
            for length in [1, 3, 8, 9, 21] {
                let name = |byte| [vec![b'x'; length], vec![byte, b'Y']].concat();
                let want = one.eq_ignore_ascii_case(&other);
                assert_eq!(equals_lower_case(&name(one), &name(other).to_ascii_lowercase()), want, "{one} {other}");
            }
        }
        assert!(!equals_lower_case(b"a", b"ab") && equals_lower_case(b"", b""));
    }

    proptest! {
        #[test]
        fn a_mark_does_not_depend_on_case(name in "[a-zA-Z0-9-]{0,30}") {
            prop_assert_eq!(mark(name.as_bytes()), mark(name.to_ascii_lowercase().as_bytes()));
            prop_assert!(mark(name.as_bytes()) < 64);
        }
    }
}
