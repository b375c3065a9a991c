//! Compares the implementation with a slow reference implementation that follows the description step by step.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::*;
use crate::values::escapes::SLASH;
use crate::values::normal_form::MAX_LEFT_OUT;
use crate::values::segments::MAX_SEPARATORS;
use crate::values::wide_letters::is_unseen;

/// The result that is compared: the canonical path, its three forms, and the common part of the loose form.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    text: String,
    literal: Vec<u8>,
    strict: Vec<u8>,
    loose: Vec<u8>,
    fork: Option<Vec<u8>>,
}

/// The part of a form that is compared.
fn compared(form: &[u8]) -> Vec<u8> {
    form.strip_suffix(b"/").unwrap_or(form).iter().copied().take(MAX_FORM_LENGTH).collect()
}

fn quickly(raw: &str) -> Option<Read> {
    let path = RequestPath::read(raw).ok()?;
    Some(Read {
        text: path.text().to_owned(),
        literal: compared(path.literal()),
        strict: compared(path.strict()),
        loose: compared(&path.loose().to_ascii_lowercase()),
        fork: path.fork().map(<[u8]>::to_ascii_lowercase).filter(|fork| fork.len() <= MAX_FORM_LENGTH),
    })
}

fn slowly(raw: &str) -> Option<Read> {
    let (mut text, is_opaque) = spelled(raw)?;
    if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        let others = text.split('/').filter(|segment| !matches!(*segment, "" | "." | ".."));
        let others: String = others.map(|segment| format!("/{segment}")).collect();
        if is_opaque || has_odd_segments(&decoded(&others)?) {
            return None;
        }
        text = resolved(&text)?;
    }
    let whole = decoded(&text)?;
    let narrow = narrowed(&whole)?;
    if has_odd_segments(&whole) || has_odd_segments(&narrow) || is_escaped_again(&whole) || is_odd_encoding(&whole) {
        return None;
    }
    let ((strict, _), (loose, fork)) = (names(&whole, |name| name)?, names(&narrow, trimmed)?);
    Some(Read {
        literal: compared(&once(text.as_bytes(), |byte| !b"/;%?#\\".contains(&byte))?),
        strict: compared(&strict),
        loose: compared(&loose),
        fork: fork.then_some(loose).filter(|fork| fork.len() <= MAX_FORM_LENGTH),
        text,
    })
}

fn escape(text: &[u8]) -> Option<u8> {
    let digits = text.get(1..3).filter(|digits| text[0] == b'%' && digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Decodes the escapes of some characters once. A decoded slash becomes [`SLASH`].
fn once(text: &[u8], some: fn(u8) -> bool) -> Option<Vec<u8>> {
    let (mut at, mut decoded) = (0, Vec::new());
    while at < text.len() {
        match escape(&text[at..]) {
            Some(byte) if byte.is_ascii_control() => return None,
            Some(byte) if some(byte) => {
                decoded.push(if byte == b'/' { SLASH } else { byte });
                at += 3;
            }
            _ => {
                decoded.push(text[at]);
                at += 1;
            }
        }
    }
    Some(decoded)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut text = text.as_bytes().to_vec();
    loop {
        let next = once(&text, |_| true)?;
        if next == text {
            return Some(text);
        }
        text = next;
    }
}

/// Returns the canonical spelling, and whether it has an escaped delimiter.
fn spelled(raw: &str) -> Option<(String, bool)> {
    let (mut text, mut is_opaque, mut at) = (String::new(), false, 0);
    while at < raw.len() {
        if raw.as_bytes()[at] != b'%' {
            text.push_str(&raw[at..=at]);
            at += 1;
            continue;
        }
        match escape(&raw.as_bytes()[at..])? {
            byte if byte.is_ascii_control() => return None,
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => text.push(char::from(byte)),
            byte => {
                text.push_str(&format!("%{byte:02X}"));
                is_opaque |= b"/;%?#\\".contains(&byte);
            }
        }
        at += 3;
    }
    (!raw.starts_with("//") && !raw.contains('\\')).then_some((text, is_opaque))
}

fn resolved(text: &str) -> Option<String> {
    let mut kept = Vec::new();
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()?),
            name => kept.push(name),
        }
    }
    let open = ["/", "/.", "/.."].iter().any(|end| text.ends_with(end)) && !kept.is_empty();
    Some(format!("/{}{}", kept.join("/"), if open { "/" } else { "" }))
}

const fn is_slash(byte: &u8) -> bool {
    matches!(*byte, b'/' | b'\\' | SLASH)
}

fn has_odd_segments(path: &[u8]) -> bool {
    let is_odd = |segment: &[u8]| {
        let name = segment.split(|byte| b";?#".contains(byte)).next().unwrap();
        let (dots, blanks) = (name.contains(&b'.'), name.contains(&b' '));
        let nothing_else = name.iter().all(|byte| b". ".contains(byte));
        segment.starts_with(b";") || (nothing_else && (blanks || (dots && name.len() < 3)))
    };
    path.get(1).is_some_and(is_slash) || path.split(is_slash).skip(1).any(is_odd)
}

/// Returns the path with every character in its compatibility form; `None` if there is a control character.
fn narrowed(path: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    for chunk in path.utf8_chunks() {
        for letter in chunk.valid().chars().filter(|letter| !is_unseen(*letter)) {
            if matches!(letter, '\u{80}'..='\u{9f}') {
                return None;
            }
            let lower = letter.nfkd().flat_map(char::to_lowercase);
            let folded: String = lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkd().collect();
            for part in folded.chars().filter(|part| !is_unseen(*part)) {
                match part {
                    '/' if letter != '/' => plain.push(SLASH),
                    _ if part.is_whitespace() => plain.push(b' '),
                    _ => plain.extend_from_slice(part.to_string().as_bytes()),
                }
            }
        }
        plain.extend(chunk.invalid().iter().map(|&byte| if byte == 0xa0 { b' ' } else { byte }));
    }
    Some(plain)
}

/// Whether non-ASCII characters complete an escape.
fn is_escaped_again(path: &[u8]) -> bool {
    // The first character of each compatibility form, and whether it, or an ignorable character before it, is not
    // ASCII.
    let mut letters: Vec<(char, bool)> = Vec::new();
    for chunk in path.utf8_chunks() {
        let mut unseen = false;
        for letter in chunk.valid().chars() {
            if is_unseen(letter) {
                unseen = true;
            } else {
                letters
                    .push((letter.to_string().nfkd().next().unwrap(), (unseen && letter != '%') || !letter.is_ascii()));
                unseen = false;
            }
        }
        letters.extend(chunk.invalid().iter().map(|_| ('\0', false)));
    }
    let digit = |letter: Option<&(char, bool)>| letter.filter(|(plain, _)| plain.is_ascii_hexdigit()).copied();
    letters.iter().enumerate().any(|(at, &(plain, wide))| match (plain, digit(letters.get(at + 1))) {
        ('%', Some((_, wide_digit))) => {
            wide || wide_digit || digit(letters.get(at + 2)).is_some_and(|(_, wide_digit)| wide_digit)
        }
        _ => false,
    })
}

fn is_odd_encoding(path: &[u8]) -> bool {
    let is_unicode = |text: &[u8]| text[..2].eq_ignore_ascii_case(b"%u") && text[2..].iter().all(u8::is_ascii_hexdigit);
    let is_overlong = |text: &[u8]| matches!(text, [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]);
    path.windows(6).any(is_unicode)
        || path.windows(2).any(is_overlong)
        || path.iter().any(|byte| matches!(byte, 0xc0 | 0xc1 | 0xf8..=0xff))
}

/// Returns the names of a path, and whether what follows them depends on where a parameter ends; `None` if the first
/// name becomes empty.
fn names(path: &[u8], shorten: fn(&[u8]) -> &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut form = Vec::new();
    for piece in path.split(|&byte| byte == b'/') {
        let end = piece.iter().position(|byte| b";?#".contains(byte)).unwrap_or(piece.len());
        for name in piece[..end].split(is_slash).filter(|name| !name.is_empty()) {
            match shorten(name) {
                [] if form.is_empty() => return None,
                [] => {}
                name => form.extend([b"/", name].concat()),
            }
        }
        match piece[end..].split_first() {
            Some((b';', parameter)) if parameter.iter().any(|byte| is_slash(byte) || b"?#".contains(byte)) => {
                return Some((form, true));
            }
            Some((b'?' | b'#', _)) => break,
            _ => {}
        }
    }
    Some((form, false))
}

/// Removes trailing dots, blanks and Windows stream names.
fn trimmed(name: &[u8]) -> &[u8] {
    if let [shorter @ .., b'.' | b' '] = name {
        return trimmed(shorter);
    }
    let is_word = |word: &[u8]| !word.is_empty() && word.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    for stream in [b"::$".as_slice(), b":$i30:$"] {
        let at = (0..name.len()).rfind(|&at| name[at..].starts_with(stream));
        if let Some(at) = at.filter(|at| is_word(&name[at + stream.len()..])) {
            return trimmed(&name[..at]);
        }
    }
    name
}

/// Whether there is a non-ASCII name longer than the compared length. The implementation cuts such a name before it
/// trims the normalised name, so the results may differ.
fn has_long_name(raw: &str) -> bool {
    let names = decoded(raw).and_then(|whole| narrowed(&whole)).unwrap_or_default();
    let is_long = |name: &[u8]| name.len() >= MAX_FORM_LENGTH;
    names.split(is_slash).any(is_long) && raw.contains('%')
}

fn is_beyond_limits(raw: &str) -> bool {
    RequestPath::read(raw).is_err_and(|refused| refused.detail().starts_with("so many"))
}

/// The cost of reading a path is bounded by limits.
#[test]
fn costly_paths_are_limited() {
    let repeated = |before: &str, piece: &str, count: usize| format!("{before}{}", piece.repeat(count));
    let fine = [
        ("/a", "%25", MAX_PERCENT_SIGNS),
        ("/a", "%2525", MAX_PERCENT_SIGNS),
        ("/a", "/.", MAX_DOTTED - 1),
        ("/a/./b", "/.git", MAX_DOTTED - 2),
        ("/a", "/...", MAX_LEFT_OUT),
        ("/a%20", "/b", MAX_SEPARATORS - 1),
        ("/a%20", "%2Fb", MAX_SEPARATORS - 1),
    ];
    for (before, piece, count) in fine {
        assert!(RequestPath::read(&repeated(before, piece, count)).is_ok(), "{before} {piece} {count}");
    }
    let beyond = [
        ("/a", "%25", MAX_PERCENT_SIGNS + 1),
        ("/a", "/.", MAX_DOTTED),
        ("/a/./b", "/.git", MAX_DOTTED - 1),
        ("/a", "/...", MAX_LEFT_OUT + 1),
        ("/a%20", "/b", MAX_SEPARATORS),
        ("/a%20", "%2Fb", MAX_SEPARATORS),
        ("/a%20", "%5Cb", MAX_SEPARATORS),
        ("/a", "%E2%84%80", MAX_SEPARATORS),
    ];
    for (before, piece, count) in beyond {
        assert!(is_beyond_limits(&repeated(before, piece, count)), "{before} {piece} {count}");
    }
    let long = repeated("/a%20", "a", MAX_PATH_LENGTH - 4);
    assert!(RequestPath::read(&long).is_err() && RequestPath::read(&long[..MAX_PATH_LENGTH]).is_ok());
    assert!(RequestPath::read(&repeated("/a", "a", 10 * MAX_PATH_LENGTH)).is_ok(), "a plain path has no limit here");
}

/// Pieces of paths that programs read in different ways.
const PIECES: [&str; 76] = [
    "a", "b", "X", "staff", "logout", "/", "/", "//", ".", "..", "...", "/../", "/./", ";", ";x=1", "%2e", "%2E",
    "%2f", "%2F", "%3b", "%3F", "%23", "%5C", "%25", "%252f", "%25252F", "%2541", "%25%34", "%41", "%6c", "%40", "%20",
    "%C2%A0", "%A0", "%E9", "%C3%A4", "%c3%a0", "%EF%BC%8F", "%EF%BC%8E", "%EF%BC%85", "%EF%BC%92", "%EF%BD%8C",
    "%E2%80%8B", "%C2%AD", "%E2%80%A6", "%E2%80%A5", "%F0%9D%90%9A", "%CC%81", "%C0%AF", "%E0%80", "%F0%80", "%u0041",
    "%25u0041", "%25U00", "%00", "%250a", "%C2%85", "::$DATA", ":$i30:$INDEX_ALLOCATION", ":", "$DATA", "2", "5", "f",
    "\\", "%E7%99%BE", "%EA%B0%81", "%C4%B1", "%C5%BF", "%EF%B7%BA", "%EF%B9%AA", "%E2%84%80", "%CD%BE", "~", "%C2%B2",
    "%",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn the_implementation_agrees_with_the_reference(
        pieces in prop::collection::vec((prop::sample::select(PIECES.as_slice()), 0_usize..40, 0_usize..300), 0..9),
    ) {
        let mut raw = "/".to_owned();
        for (piece, seldom, often) in pieces {
            raw.push_str(&piece.repeat(if seldom == 0 { often } else { 1 }));
        }
        prop_assume!(raw.len() <= MAX_PATH_LENGTH);
        let (quick, slow) = (quickly(&raw), slowly(&raw));
        let agree = quick == slow || has_long_name(&raw) || is_beyond_limits(&raw);
        prop_assert!(agree, "{raw}\n{quick:?}\n{slow:?}");
        if let Some(merged) = RequestPath::read(&raw).ok().and_then(|path| path.merged()) {
            let text = merged.text().to_owned();
            prop_assert_eq!(Ok(merged), RequestPath::read(&text), "{}", raw);
        }
    }
}
