//! What the part `secrets` of tests/run looks through afterwards: every line that the gateway of a test logged, and
//! every password and cookie that must not be in one. Nothing is kept where no folder is given for it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use super::answer::Answer;

/// What is shorter is in some line by chance.
const SHORTEST: usize = 8;

/// Keeps the lines of one gateway.
pub fn lines(lines: &[String]) {
    append("log", lines);
}

/// Keeps a secret.
pub fn secret(text: &str) {
    if text.len() >= SHORTEST {
        append("secrets", &[text.to_owned()]);
    }
}

/// Keeps the passwords of a form.
pub fn passwords(form: &str) {
    form.split('&').filter_map(|field| field.strip_prefix("password=")).for_each(secret);
}

/// Keeps the gateway's cookies of an answer.
pub fn cookies(answer: &Answer) {
    let pairs = answer.headers("set-cookie").into_iter().filter_map(|line| line.split(';').next()?.split_once('='));
    pairs.filter(|(name, _)| name.trim_start_matches("__Host-").starts_with("exeunt")).for_each(|(_, id)| secret(id));
}

/// In one write: tests run side by side.
fn append(kind: &str, lines: &[String]) {
    let Some(folder) = std::env::var_os("EXEUNT_TEST_EVIDENCE") else { return };
    let path = Path::new(&folder).join(format!("integration-{}.{kind}", std::process::id()));
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}
