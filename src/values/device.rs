//! The name of a device for users: "Firefox on Linux".

use std::fmt;

/// A browser and an operating system, from `User-Agent`. They let users recognise their sessions, and are never used in
/// access rules.
///
/// Stored as indices into the tables below, which take two bytes in every session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    program: u8,
    system: u8,
}

/// The index for names that are not in a table.
const UNKNOWN: u8 = u8::MAX;

/// A token in `User-Agent` and the name of the program. The more specific tokens come first, since every browser also
/// has the tokens of others.
const PROGRAMS: [(&str, &str); 10] = [
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("python-requests", "Python"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

const SYSTEMS: [(&str, &str); 7] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
];

impl Device {
    /// Parses a `User-Agent` header.
    pub fn from_user_agent(agent: &str) -> Self {
        let place = |table: &[(&str, &str)]| {
            let at = table.iter().position(|(mark, _)| agent.contains(mark));
            at.and_then(|at| u8::try_from(at).ok()).unwrap_or(UNKNOWN)
        };
        Self { program: place(&PROGRAMS), system: place(&SYSTEMS) }
    }

    /// The name of the browser or program, if known.
    pub(crate) fn program(self) -> Option<&'static str> {
        PROGRAMS.get(usize::from(self.program)).map(|(_, name)| *name)
    }

    /// The name of the operating system, if known.
    pub(crate) fn system(self) -> Option<&'static str> {
        SYSTEMS.get(usize::from(self.system)).map(|(_, name)| *name)
    }

    /// Parses the output of [`fmt::Display`] of this or another version. Unknown names are read as "a program".
    pub(crate) fn from_words(words: &str) -> Self {
        let (program, system) = words.split_once(" on ").unwrap_or((words, ""));
        let place = |table: &[(&str, &str)], word: &str| {
            let at = table.iter().position(|(_, name)| *name == word);
            at.and_then(|at| u8::try_from(at).ok()).unwrap_or(UNKNOWN)
        };
        Self { program: place(&PROGRAMS, program), system: place(&SYSTEMS, system) }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program().unwrap_or("a program"))?;
        self.system().map_or(Ok(()), |name| write!(f, " on {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_and_read_back() {
        let cases = [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156 Safari/537.36 Edg/156",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML) Chrome/156 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605 Version/19 Safari/604",
                "Safari on iPhone",
            ),
            ("curl/7.88.1", "curl"),
            ("", "a program"),
        ];
        for (agent, want) in cases {
            let device = Device::from_user_agent(agent);
            assert_eq!(device.to_string(), want);
            assert_eq!(Device::from_words(want), device);
        }
    }
}
