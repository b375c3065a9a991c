//! Changes of the text of a key file. Comments and the order of the other lines are preserved.

use thiserror::Error;
use zeroize::Zeroizing;

use crate::values::mac::{BadKeys, MacKeys};
use crate::values::secret::NoRandomness;

/// A change. Keys are named by their short fingerprints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyChange {
    /// Adds a new key, as the first or the second one.
    Add {
        /// Whether it becomes the first key, which signs.
        first: bool,
    },
    /// Moves a key to the first place.
    Use(String),
    /// Removes a key other than the first one.
    Remove(String),
}

/// Why a change is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum KeysNotChanged {
    /// The text is not a valid key file, before or after the change.
    #[error(transparent)]
    Bad(#[from] BadKeys),
    /// No key has this fingerprint.
    #[error("no key has this fingerprint")]
    Unknown,
    /// The key to be removed is the one that signs.
    #[error("this is the key that signs")]
    Signs,
    /// The system's random source failed.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

impl From<NoRandomness> for KeysNotChanged {
    fn from(NoRandomness: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

/// Applies a change. Returns the changed text, and the fingerprint of the key that it concerns.
///
/// # Errors
/// [`KeysNotChanged`]
pub(crate) fn change(text: &str, change: &KeyChange) -> Result<(Zeroizing<String>, String), KeysNotChanged> {
    let keys = MacKeys::parse(text)?.short_fingerprints();
    let mut lines: Vec<Zeroizing<String>> = text.lines().map(|line| Zeroizing::new(line.to_owned())).collect();
    let places = lines.iter().enumerate().filter(|(_, line)| MacKeys::parse(line).is_ok());
    let places: Vec<_> = places.map(|(place, _)| place).collect();
    let first = places.first().copied().unwrap_or_default();
    let place_of = |name: &String| {
        let found = keys.iter().zip(&places).find(|(key, _)| *key == name);
        found.map(|(_, place)| *place).ok_or(KeysNotChanged::Unknown)
    };
    let name = match change {
        KeyChange::Add { first: signs } => {
            let key = MacKeys::generate_text()?;
            let name = MacKeys::parse(&key)?.short_fingerprints().concat();
            lines.insert(if *signs { first } else { first + 1 }, key);
            name
        }
        KeyChange::Use(name) => {
            let key = lines.remove(place_of(name)?);
            lines.insert(first, key);
            name.clone()
        }
        KeyChange::Remove(name) => {
            let place = place_of(name)?;
            if place == first {
                return Err(KeysNotChanged::Signs);
            }
            drop(lines.remove(place));
            name.clone()
        }
    };
    let mut changed = Zeroizing::new(String::new());
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).for_each(|part| changed.push_str(part));
    MacKeys::parse(&changed)?;
    Ok((changed, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# head\n\n1111111111111111111111111111111111111111111111111111111111111111\n# older\n\
                        2222222222222222222222222222222222222222222222222222222222222222\n";

    /// The first digit of each line; `n` is a new key.
    fn outline(text: &str) -> String {
        let sign = |line: &str| match line.chars().next() {
            Some(sign) if "#123".contains(sign) && (sign == '#' || line.chars().all(|other| other == sign)) => sign,
            Some(_) => 'n',
            None => '-',
        };
        text.lines().map(sign).collect()
    }

    fn fingerprint(digit: &str) -> String {
        MacKeys::parse(&digit.repeat(64)).unwrap().short_fingerprints().concat()
    }

    #[test]
    fn keys_are_added_moved_and_removed_and_comments_are_preserved() {
        let cases = [
            (KeyChange::Add { first: true }, "#-n1#2"),
            (KeyChange::Add { first: false }, "#-1n#2"),
            (KeyChange::Use(fingerprint("2")), "#-21#"),
            (KeyChange::Use(fingerprint("1")), "#-1#2"),
            (KeyChange::Remove(fingerprint("2")), "#-1#"),
        ];
        for (wanted, want) in cases {
            let (text, name) = change(FILE, &wanted).unwrap();
            assert_eq!(outline(&text), want, "{wanted:?}");
            let keys = MacKeys::parse(&text).unwrap().short_fingerprints();
            assert_eq!(keys.contains(&name), !matches!(wanted, KeyChange::Remove(_)), "{wanted:?}");
        }
    }

    #[test]
    fn a_change_that_would_break_the_file_is_refused() {
        let full = FILE.replacen("1\n", &format!("1\n{}", format!("{}\n", "3".repeat(64)).repeat(14)), 1);
        let cases = [
            ("", KeyChange::Add { first: true }, KeysNotChanged::Bad(BadKeys::Empty)),
            ("12", KeyChange::Add { first: true }, KeysNotChanged::Bad(BadKeys::Line(1))),
            (&full, KeyChange::Add { first: false }, KeysNotChanged::Bad(BadKeys::TooMany)),
            (FILE, KeyChange::Use(fingerprint("3")), KeysNotChanged::Unknown),
            (FILE, KeyChange::Remove(fingerprint("3")), KeysNotChanged::Unknown),
            (FILE, KeyChange::Remove(fingerprint("1")), KeysNotChanged::Signs),
        ];
        for (text, wanted, want) in cases {
            assert_eq!(change(text, &wanted).map(|(_, name)| name), Err(want), "{wanted:?}");
        }
    }
}
