//! Users' files of both formats: every user who is read is found by name and has an identity that can be sent to an
//! application, and no password hash is shown.

#![no_main]

use std::path::Path;

use exeunt::credentials::problem::FileProblems;
use exeunt::credentials::user_file::Users;
use exeunt::credentials::user_file::htpasswd::WeakHashes;

/// Put in the place of `{secret}`; what is said about a file never holds it.
const SECRET: &str = "s3cr3t-h4sh";

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let text = text.replace("{secret}", SECRET);
    for (path, weak) in [
        ("users.toml", WeakHashes::Refuse),
        ("htpasswd", WeakHashes::Refuse),
        ("htpasswd", WeakHashes::Accept),
        ("people", WeakHashes::Accept),
    ] {
        match Users::parse_any(Path::new(path), &text, weak) {
            Ok(users) => {
                are_usable(&users, path == "htpasswd" && weak == WeakHashes::Refuse);
                [users.bad_lines(), users.duplicates()]
                    .into_iter()
                    .flatten()
                    .for_each(|problems| tell_nothing(problems, &text));
            }
            Err(problems) => tell_nothing(&problems, &text),
        }
    }
});

fn tell_nothing(problems: &FileProblems, text: &str) {
    let message = format!("{problems:?}{problems}");
    assert!(!message.is_empty());
    let shown = problems.to_string();
    assert!(!shown.chars().any(|sign| sign.is_control() && !"\n\t".contains(sign)), "{shown:?}");
    assert!(!is_only_in_passwords(text) || !message.contains(SECRET), "{message}");
}

/// Whether the secret stands nowhere but where passwords stand, in whichever form the file is read.
fn is_only_in_passwords(text: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.lines().filter_map(|line| line.split_once(SECRET)).all(|(before, behind)| {
        let is_field = before == "password = \"" && !behind.contains(':');
        is_field || before.strip_suffix(':').is_some_and(is_name)
    })
}

fn are_usable(users: &Users, strong: bool) {
    let sorted = users.sorted();
    assert_eq!(sorted.len(), users.count());
    assert!(!strong || users.weak() == 0);
    for entry in sorted {
        let name = entry.identity.user();
        assert!(!name.is_empty() && !name.chars().any(char::is_control), "{name:?}");
        assert_eq!(users.find(name), Some(entry));
        assert!(!format!("{entry:?}").contains(SECRET));
    }
}
