//! Reads a new password: from a terminal, or from the first line of standard input.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::os::fd::AsFd;

use zeroize::Zeroizing;

use super::CommandError;
use crate::credentials::password::{MAX_PASSWORD, Password};

/// Asks twice on a terminal; otherwise reads one line of standard input.
pub(super) fn ask(user: &str) -> Result<Password, CommandError> {
    if io::stdin().is_terminal() {
        let first = prompt(&format!("Password for {user}: "))?;
        let again = prompt("Repeat the password: ")?;
        return confirmed(first, &again);
    }
    // Not through the buffered handle of the standard library: its buffer would keep a copy of the password, and it
    // would read more than the line.
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(|error| unreadable(&error))?;
    from_line(&mut File::from(input))
}

fn prompt(text: &str) -> Result<Zeroizing<String>, CommandError> {
    rpassword::prompt_password(text).map(Zeroizing::new).map_err(|error| unreadable(&error))
}

fn confirmed(first: Zeroizing<String>, again: &Zeroizing<String>) -> Result<Password, CommandError> {
    if first != *again {
        return Err(CommandError::new("the two passwords differ: nothing was changed", "try again"));
    }
    Password::new(first).map_err(|problem| CommandError::new(problem, "try again with another one"))
}

/// Reads the first line without its line break, and nothing after it.
fn from_line(input: &mut impl Read) -> Result<Password, CommandError> {
    const HELP: &str = "the password is the first line of standard input: printf '%s\\n' … | exeunt user set NAME; \
                        to keep the old one: --keep-password";
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_PASSWORD + 2));
    while line.len() < MAX_PASSWORD + 2 {
        match next_byte(input).map_err(|error| unreadable(&error))? {
            None | Some(b'\n') => break,
            Some(byte) => line.push(byte),
        }
    }
    let line = line.strip_suffix(b"\r").unwrap_or(&line);
    let text = std::str::from_utf8(line).map_err(|_| CommandError::new("the password is not UTF-8", HELP))?;
    Password::new(text.to_owned()).map_err(|problem| CommandError::new(problem, HELP))
}

fn next_byte(input: &mut impl Read) -> io::Result<Option<u8>> {
    let mut byte = [0];
    match input.read_exact(&mut byte) {
        Ok(()) => Ok(byte.first().copied()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn unreadable(error: &io::Error) -> CommandError {
    CommandError::new(format!("the password could not be read: {error}"), "give it on standard input, in one line")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(mut input: &[u8]) -> Result<Password, String> {
        from_line(&mut input).map_err(|CommandError(reason)| reason)
    }

    #[test]
    fn the_first_line_is_the_password() {
        let want = Password::new("open sesame ".to_owned()).unwrap();
        for input in ["open sesame ", "open sesame \n", "open sesame \r\n", "open sesame \nmore\n"] {
            assert_eq!(line(input.as_bytes()).unwrap(), want, "{input:?}");
        }
        let mut rest: &[u8] = b"one\ntwo\n";
        from_line(&mut rest).unwrap();
        assert_eq!(rest, b"two\n", "the next command finds its own line");
    }

    #[test]
    fn invalid_passwords_are_refused() {
        let long = "a".repeat(MAX_PASSWORD + 1);
        let cases: [(&[u8], &str); 5] = [
            (b"", "the password is empty"),
            (b"\nsecond\n", "the password is empty"),
            (b"\r\n", "the password is empty"),
            (b"\xff\n", "not UTF-8"),
            (long.as_bytes(), "longer than 1024 bytes"),
        ];
        for (input, want) in cases {
            let reason = line(input).unwrap_err();
            assert!(reason.contains(want) && reason.contains("--keep-password"), "{reason}");
        }
        assert!(line("a".repeat(MAX_PASSWORD).as_bytes()).is_ok());
    }

    #[test]
    fn two_different_passwords_are_refused() {
        let typed = |text: &str| Zeroizing::new(text.to_owned());
        assert!(confirmed(typed("one"), &typed("one")).is_ok());
        assert!(confirmed(typed("one"), &typed("two")).unwrap_err().0.contains("differ"));
        assert!(confirmed(typed(""), &typed("")).unwrap_err().0.contains("empty"));
    }
}
