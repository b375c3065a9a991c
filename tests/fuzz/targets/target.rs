//! Request targets: what is accepted is forwarded in one spelling, and no reading of it climbs (path
//! traversal).

#![no_main]

use exeunt::values::configured_path::ConfiguredPath;
use exeunt::values::normal_form::MAX_FORM_LENGTH;
use exeunt::values::target::Target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(target) = Target::parse(input) else { return };
    let path = target.path();
    let text = path.text();
    assert!(text.starts_with('/') && !text.starts_with("//"), "{text}");
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\?#".contains(&byte)), "{text}");
    assert_eq!(target.query().unwrap_or_default(), query_of(input), "the query as it came");
    // What is written in the upstream's request line says the same once more, and is written so again.
    let forwarded = target.rewritten().unwrap_or_else(|| input.to_vec());
    assert_eq!(forwarded, target.to_bytes());
    let again = Target::parse(&forwarded).expect("what is forwarded is accepted");
    assert_eq!((again.path().text(), again.query(), again.authority()), (text, target.query(), None));
    assert!(again.rewritten().is_none(), "a fixed point");
    no_target_climbs(text.as_bytes());
    for form in [path.literal(), path.strict(), path.loose()] {
        assert!(!form.starts_with(b"//"), "{text}");
        let mut names: Vec<_> = form.split(|&byte| byte == b'/').collect();
        if form.len() >= MAX_FORM_LENGTH {
            // A form ends there, in the middle of a name.
            names.pop();
        }
        assert!(!names.iter().any(|name| matches!(*name, b"." | b"..")), "{text}");
    }
    if let Ok(configured) = ConfiguredPath::parse(text) {
        assert!(configured.covers(path.literal()) && configured.covers(path.strict()), "{text}");
        assert!(configured.covers_loosely(path.loose()), "{text}");
    }
});

fn query_of(input: &[u8]) -> &[u8] {
    input.iter().position(|&byte| byte == b'?').map_or(&[], |at| &input[at + 1..])
}

/// A reader who decodes every escape, once, twice or three times, meets no dot segment and no control character.
fn no_target_climbs(path: &[u8]) {
    let mut read = path.to_vec();
    for _ in 0..4 {
        let mut names = read.split(|byte| b"/\\".contains(byte));
        let name = |segment: &[u8]| segment.iter().position(|byte| b";?#".contains(byte)).unwrap_or(segment.len());
        assert!(!names.any(|segment| matches!(&segment[..name(segment)], b"." | b"..")), "{read:?}");
        assert!(!read.iter().any(u8::is_ascii_control), "{read:?}");
        assert!(!read.starts_with(b"//") && !read.starts_with(b"/\\"), "{read:?}");
        read = decoded(&read);
    }
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
