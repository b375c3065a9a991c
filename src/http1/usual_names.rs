//! A perfect hash table of the most frequent header names. A line that begins with one of them is recognised by one
//! comparison, without inspecting each byte of its name.

use super::header_name_bytes::{equals_lower_case, mark};
use super::known_name::KnownName;

/// The most frequent names in requests of browsers and answers of applications. All are plain. Other names are read
/// byte by byte.
const NAMES: [(&[u8], KnownName); 43] = [
    (b"host", KnownName::Host),
    (b"cookie", KnownName::Cookie),
    (b"connection", KnownName::Connection),
    (b"content-type", KnownName::ContentType),
    (b"content-length", KnownName::ContentLength),
    (b"set-cookie", KnownName::SetCookie),
    (b"transfer-encoding", KnownName::TransferEncoding),
    (b"keep-alive", KnownName::KeepAlive),
    (b"user-agent", KnownName::Other),
    (b"accept", KnownName::Other),
    (b"accept-encoding", KnownName::Other),
    (b"accept-language", KnownName::Other),
    (b"referer", KnownName::Other),
    (b"sec-fetch-site", KnownName::Other),
    (b"sec-fetch-mode", KnownName::Other),
    (b"sec-fetch-dest", KnownName::Other),
    (b"sec-fetch-user", KnownName::Other),
    (b"sec-ch-ua", KnownName::Other),
    (b"sec-ch-ua-mobile", KnownName::Other),
    (b"sec-ch-ua-platform", KnownName::Other),
    (b"upgrade-insecure-requests", KnownName::Other),
    (b"cache-control", KnownName::Other),
    (b"pragma", KnownName::Other),
    (b"priority", KnownName::Other),
    (b"origin", KnownName::Other),
    (b"dnt", KnownName::Other),
    (b"if-none-match", KnownName::Other),
    (b"if-modified-since", KnownName::Other),
    (b"authorization", KnownName::Other),
    (b"date", KnownName::Other),
    (b"server", KnownName::Other),
    (b"etag", KnownName::Other),
    (b"last-modified", KnownName::Other),
    (b"expires", KnownName::Other),
    (b"vary", KnownName::Other),
    (b"location", KnownName::Other),
    (b"accept-ranges", KnownName::Other),
    (b"content-encoding", KnownName::Other),
    (b"content-language", KnownName::Other),
    (b"x-frame-options", KnownName::Other),
    (b"x-content-type-options", KnownName::Other),
    (b"content-security-policy", KnownName::Other),
    (b"strict-transport-security", KnownName::Other),
];

/// The names, each at its [`place`]. Free places have the empty name, which no header has.
static BY_PLACE: [(&[u8], KnownName); 256] = by_place();

#[expect(clippy::indexing_slicing, reason = "the compiler runs this, and a place is below 256")]
const fn by_place() -> [(&'static [u8], KnownName); 256] {
    let mut table: [(&[u8], KnownName); 256] = [(b"", KnownName::Other); 256];
    let mut names = NAMES.as_slice();
    while let [(name, known), rest @ ..] = names {
        if let Some(place) = place(name, mark(name)) {
            table[place as usize] = (name, *known);
        }
        names = rest;
    }
    table
}

/// The index of a name in the table, independent of case: a hash of its mark and its third last character that is
/// different for each of [`NAMES`]. A test finds collisions when names are added.
const fn place(name: &[u8], mark: u8) -> Option<u8> {
    let [.., third_last, _, _] = name else { return None };
    Some(mark.wrapping_add((*third_last & 31).wrapping_mul(15)))
}

/// The name at the beginning of a line, with its mark and [`KnownName`], if it is in the table. Such a name is plain,
/// unless it contains a control character, for which the whole head is refused anyway.
pub(super) fn usual_name(line: &[u8]) -> Option<(&[u8], u8, KnownName)> {
    let name = line.get(..colon(line)?)?;
    let mark = mark(name);
    let (usual, known) = BY_PLACE.get(usize::from(place(name, mark)?))?;
    equals_lower_case(usual, name).then_some((name, mark, *known))
}

/// The position of the first colon of a line, if it is in the first [`MAX_NAME_LENGTH`] bytes and in a complete word of
/// eight bytes. For such short texts this is faster than `memchr`.
fn colon(line: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, _) = line.as_chunks();
    for (at, word) in words.iter().take(MAX_NAME_LENGTH / 8).enumerate() {
        // Each colon becomes a zero byte. The lowest bit set in `found` is the highest bit of the lowest zero byte.
        let zeros = u64::from_le_bytes(*word) ^ (ONES * u64::from(b':'));
        let found = zeros.wrapping_sub(ONES) & !zeros & (ONES << 7);
        if found != 0 {
            return Some(8 * at + found.trailing_zeros() as usize / 8);
        }
    }
    None
}

/// The maximum length of the names in the table, in bytes.
const MAX_NAME_LENGTH: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::header_name_bytes::measure;
    use proptest::prelude::*;

    #[test]
    fn the_table_agrees_with_reading_byte_by_byte() {
        for (name, known) in NAMES {
            assert_eq!((measure(name), KnownName::of(name)), ((name.len(), true), known), "{name:?}");
            for name in [name.to_vec(), name.to_ascii_uppercase()] {
                let line = [&name, b": a:b     ".as_slice()].concat();
                assert_eq!(usual_name(&line), Some((name.as_slice(), mark(&name), known)), "{name:?}");
            }
        }
    }

    #[test]
    fn the_first_colon_is_found() {
        let line = |at: usize, length: usize| -> Vec<u8> {
            (0..length).map(|place| if place >= at { b':' } else { [b';', 0xba, b'9', 0][place % 4] }).collect()
        };
        for (at, length) in (0..50).flat_map(|at| (0..50).map(move |length| (at, length))) {
            let want = (at < MAX_NAME_LENGTH && at < length / 8 * 8).then_some(at);
            assert_eq!(colon(&line(at, length)), want, "{at} of {length}");
        }
    }

    #[test]
    fn other_names_are_not_found_in_the_table() {
        for line in
            ["", ":", ": abcdefgh", "host", "host : abcd", "hos: abcd", "hosts: abcd", "x_y: abcd", "cookie\u{e4}: a"]
        {
            assert_eq!(usual_name(line.as_bytes()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_name_found_in_the_table_is_plain_and_has_the_same_length(
            line in "[a-zA-Z-]{1,2}[a-zA-Z0-9._ -]{0,20}:.{0,9}|(?i)(host|accept|dnt)_?: .{8}",
        ) {
            if let Some((name, _, known)) = usual_name(line.as_bytes()) {
                prop_assert_eq!(measure(line.as_bytes()), (name.len(), true));
                prop_assert_eq!(KnownName::of(name), known);
            }
        }
    }
}
