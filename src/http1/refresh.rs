//! Parses the header `Refresh: 0; url=...` as browsers do (WHATWG HTML, "shared declarative refresh steps").

use std::ops::Range;

/// The range of the address in a value of `Refresh`; `None` if it has none.
pub(crate) fn address(value: &[u8]) -> Option<Range<usize>> {
    let mut reader = RefreshReader { value, at: 0 };
    reader.skip(|byte| byte.is_ascii_whitespace());
    let time = reader.skip(|byte| byte.is_ascii_digit() || byte == b'.');
    let between = reader.skip(|byte| byte.is_ascii_whitespace()) + reader.skip_one(|byte| matches!(byte, b';' | b','));
    if time == 0 || between == 0 {
        return None;
    }
    reader.skip(|byte| byte.is_ascii_whitespace());
    reader.skip_label();
    let quote = reader.next().filter(|byte| matches!(byte, b'"' | b'\''));
    reader.at += usize::from(quote.is_some());
    let rest = value.get(reader.at..)?;
    let end = quote.and_then(|quote| rest.iter().position(|&byte| byte == quote)).unwrap_or(rest.len());
    (end > 0).then(|| reader.at..reader.at + end)
}

struct RefreshReader<'a> {
    value: &'a [u8],
    at: usize,
}

impl RefreshReader<'_> {
    fn next(&self) -> Option<u8> {
        self.value.get(self.at).copied()
    }

    /// Skips the bytes that `of_kind` accepts, and returns their number.
    fn skip(&mut self, of_kind: impl Fn(u8) -> bool) -> usize {
        let begin = self.at;
        while self.next().is_some_and(&of_kind) {
            self.at += 1;
        }
        self.at - begin
    }

    fn skip_one(&mut self, of_kind: impl Fn(u8) -> bool) -> usize {
        let skipped = usize::from(self.next().is_some_and(of_kind));
        self.at += skipped;
        skipped
    }

    /// Skips `url =`, if it is complete: without the equals sign, `url` is the beginning of the address.
    fn skip_label(&mut self) {
        let begin = self.at;
        if !self.value.get(begin..begin + 3).is_some_and(|word| word.eq_ignore_ascii_case(b"url")) {
            return;
        }
        self.at += 3;
        self.skip(|byte| byte.is_ascii_whitespace());
        if self.skip_one(|byte| byte == b'=') == 0 {
            self.at = begin;
            return;
        }
        self.skip(|byte| byte.is_ascii_whitespace());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_every_spelling() {
        let cases = [
            ("0; url=http://a/", Some("http://a/")),
            ("0;URL=http://a/", Some("http://a/")),
            ("5 , Url = http://a/b c", Some("http://a/b c")),
            (" 1.5 http://a/", Some("http://a/")),
            ("0;http://a/", Some("http://a/")),
            (".; url='http://a/'; x", Some("http://a/")),
            ("0; url=\"http://a/", Some("http://a/")),
            ("0; \"http://a/\"", Some("http://a/")),
            ("0; urls/x", Some("urls/x")),
            ("0; url /x", Some("url /x")),
            ("0", None),
            ("0;", None),
            ("0; url=", None),
            ("0; url=''", None),
            ("http://a/", None),
            ("; url=http://a/", None),
            ("0url=http://a/", None),
            ("", None),
        ];
        for (value, want) in cases {
            let found = address(value.as_bytes()).map(|range| &value[range]);
            assert_eq!(found, want, "{value:?}");
        }
    }
}
