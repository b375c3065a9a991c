//! Decodes the bytes of the configuration file.

use std::path::Path;

use super::report::{Finding, Report, Severity};
use super::{files, syntax};

/// The text of the file at `path`; `name` is its name in reports.
///
/// # Errors
/// A report with the first place that is not UTF-8, and how to convert the file.
pub(crate) fn decode(name: &str, path: &Path, bytes: Vec<u8>) -> Result<String, Report> {
    if let Some(big_endian) = utf16(&bytes) {
        let pairs = bytes.chunks_exact(2).filter_map(|pair| <[u8; 2]>::try_from(pair).ok());
        let units: Vec<u16> =
            pairs.map(|pair| if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }).collect();
        let text = String::from_utf16_lossy(&units);
        let first = text.lines().next().unwrap_or("").len();
        let from = if big_endian { "UTF-16BE" } else { "UTF-16LE" };
        return Err(report(name, path, &text, 0..first, "this file is UTF-16", from));
    }
    String::from_utf8(bytes).map_err(|error| {
        let sound = error.utf8_error().valid_up_to();
        let (before, rest) = error.as_bytes().split_at_checked(sound).unwrap_or_default();
        let odd = rest.first().copied().unwrap_or_default();
        let before = String::from_utf8_lossy(before).into_owned();
        // Most such files are Latin-1.
        let text: String = before.chars().chain(rest.iter().map(|&byte| char::from(byte))).collect();
        let what =
            format!("this file is not UTF-8: here is the byte {odd:02X}, which is \"{}\" in Latin-1", char::from(odd));
        report(name, path, &text, sound..sound + char::from(odd).len_utf8(), &what, "ISO-8859-1")
    })
}

/// Whether a text is UTF-16, and if so, whether it is big-endian.
fn utf16(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [0xff, 0xfe, ..] => Some(false),
        [0xfe, 0xff, ..] => Some(true),
        // Without a byte order mark: a configuration begins with an ASCII character.
        [first, 0, ..] if *first != 0 => Some(false),
        [0, first, ..] if *first != 0 => Some(true),
        _ => None,
    }
}

fn report(name: &str, path: &Path, text: &str, span: std::ops::Range<usize>, what: &str, from: &str) -> Report {
    let file = files::shell_quoted(path);
    let finding = Finding {
        severity: Severity::Problem,
        key: String::new(),
        what: what.to_owned(),
        write: vec![
            format!("run: iconv -f {from} -t UTF-8 {file} > {file}.utf8 && cat {file}.utf8 > {file} && rm {file}.utf8"),
            "or save it as UTF-8 in your editor".to_owned(),
        ],
        span: Some(span),
        within: None,
    };
    Report::new(name, syntax::concealed(text), vec![finding])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_encodings_are_named() {
        let utf16 = |units: &str, order: fn(u16) -> [u8; 2]| units.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        let cases = [
            (b"a = \"\xfcber\"\n".to_vec(), "the byte FC, which is \"\u{fc}\" in Latin-1", "-f ISO-8859-1"),
            (utf16("\u{feff}a = 1\n", u16::to_le_bytes), "UTF-16", "-f UTF-16LE"),
            (utf16("\u{feff}a = 1\n", u16::to_be_bytes), "UTF-16", "-f UTF-16BE"),
            (utf16("a = 1\n", u16::to_le_bytes), "UTF-16", "-f UTF-16LE"),
        ];
        for (bytes, what, help) in cases {
            let report = decode("f", Path::new("/etc/f"), bytes).unwrap_err();
            let finding = &report.findings()[0];
            assert!(finding.what.contains(what) && finding.write[0].contains(help), "{report}");
        }
        assert_eq!(decode("f", Path::new("/etc/f"), "a = \"ü\"\n".into()).unwrap(), "a = \"ü\"\n");
    }
}
