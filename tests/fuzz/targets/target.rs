//! Request targets: what is accepted has one reading, and is its own canonical form.

#![no_main]

use exeunt::values::target::{Target, plain_path};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(target) = Target::parse(input) else { return };
    let path = target.path();
    assert!(path.starts_with('/') && !path.contains("//"), "{path}");
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\?#".contains(&byte)), "{path}");
    let names = || path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    assert!(!names().any(|name| name == "." || name == ".."), "{path}");
    assert!(!path.split('/').any(|segment| segment.starts_with(';')), "{path}");
    assert_eq!(target.query().unwrap_or_default().as_bytes(), query_of(input), "the query as it came");
    // What is written in the upstream's request line says the same once more, and is written so again.
    let forwarded = target.rewritten().unwrap_or_else(|| String::from_utf8_lossy(input).into_owned());
    assert_eq!(forwarded, target.to_string());
    let again = Target::parse(forwarded.as_bytes()).expect("what is forwarded has one reading");
    assert_eq!((again.path(), again.query(), again.authority()), (path, target.query(), None));
    assert_eq!(again.to_string(), forwarded, "a fixed point");
    decodes_to_one_path(path);
    if target.query().is_none() {
        assert_eq!(plain_path(path), Ok(path), "an operator may write it like this");
    }
});

fn query_of(input: &[u8]) -> &[u8] {
    input.iter().position(|&byte| byte == b'?').map_or(&[], |at| &input[at + 1..])
}

/// A reader who decodes every escape, once or twice, finds no other segments than one who decodes none.
fn decodes_to_one_path(path: &str) {
    let once = decoded(path.as_bytes());
    let segments = |text: &[u8]| text.split(|&byte| byte == b'/').count();
    assert_eq!(segments(&once), segments(path.as_bytes()), "{path}");
    assert_eq!(decoded(&once), once, "{path}");
    assert!(std::str::from_utf8(&once).is_ok(), "{path}");
    assert!(!once.split(|&byte| byte == b'/').any(|name| name == b"." || name == b".."), "{path}");
    assert!(!once.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\'), "{path}");
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let hex = |at: usize| text.get(at).and_then(|&digit| char::from(digit).to_digit(16));
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.extend(u8::try_from(high * 16 + low));
                at += 3;
            }
            (byte, ..) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    plain
}
