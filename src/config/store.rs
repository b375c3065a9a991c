//! `session.store`: the session store.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::duration::{self, ONE_SECOND};
use super::files;
use super::raw::{Item, RawTable};
use super::refusal::ValueRefusal;
use crate::routes::upstream_trust::UpstreamTrust;
use crate::session::store::redis::{MAX_STALENESS, NotAnAddress, RedisAddress};

/// The default file.
const FILE: &str = "sessions.db";

/// The session store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    /// In memory: a restart ends all sessions.
    Memory,
    /// A SQLite file; a relative path starts at the state folder.
    Sqlite(PathBuf),
    /// A Redis server, which several gateways can share.
    Redis {
        /// The server.
        address: RedisAddress,
        /// How long a gateway may use its session table without an answer of the server.
        staleness: Duration,
    },
}

impl Default for StoreChoice {
    fn default() -> Self {
        Self::Sqlite(FILE.into())
    }
}

impl StoreChoice {
    /// Whether both are the same store, with this state folder.
    pub(crate) fn is_same(&self, other: &Self, state: &Path) -> bool {
        match (self.file(state), other.file(state)) {
            (Some(file), Some(other)) => file.canonicalize().unwrap_or(file) == other.canonicalize().unwrap_or(other),
            _ => self == other,
        }
    }

    /// The file, with this state folder; `None` for other stores.
    pub(crate) fn file(&self, state: &Path) -> Option<PathBuf> {
        match self {
            Self::Memory | Self::Redis { .. } => None,
            Self::Sqlite(path) => Some(state.join(path)),
        }
    }
}

/// Reads the store of `[session]`, or uses `instead`, the store of a command. Relative paths start at this folder.
pub(super) fn read(session: &RawTable<'_>, folder: &Path, instead: Option<&StoreChoice>) -> StoreChoice {
    const SPANS: RangeInclusive<Duration> = ONE_SECOND..=MAX_STALENESS;
    let item = session.item("store");
    // It may contain a password, which is refused below.
    if let Some(item) = item.as_ref().filter(|item| item.peek().is_some_and(|text| text.contains('@'))) {
        item.location.hide();
    }
    let written = item.and_then(|item| item.parse(choice)).unwrap_or_default();
    let span = session.item("staleness").and_then(|item| item.parse(|text| duration::parse(text, &SPANS)));
    let password = session.item("store_password_file").and_then(|item| item.parse(|text| password(folder, text)));
    let replicas = session.item("store_replicas").and_then(|item| item.number(0, REPLICAS));
    let replicas = replicas.and_then(|replicas| u32::try_from(replicas).ok());
    let authorities = session.item("store_ca_file").and_then(|item| of_tls(item, &written, folder));
    let store = instead.cloned().unwrap_or(written);
    let StoreChoice::Redis { mut address, staleness } = store else { return store };
    if let Some(password) = password {
        address = address.with_password(password);
    }
    if let Some(replicas) = replicas {
        address = address.with_replicas(replicas);
    }
    if let Some(pem) = authorities.filter(|_| address.is_tls()) {
        address = address.with_authorities(&pem);
    }
    StoreChoice::Redis { address, staleness: span.unwrap_or(staleness) }
}

/// The maximum number of replicas that can be waited for.
const REPLICAS: u64 = 16;
/// The maximum length of a password, in bytes.
const MAX_PASSWORD_LENGTH: usize = 4096;

/// Reads the first line of a file.
fn password(folder: &Path, text: &str) -> Result<Zeroizing<String>, ValueRefusal> {
    let path = files::resolve(folder, text)?;
    let content = Zeroizing::new(files::read_up_to(&path, MAX_PASSWORD_LENGTH)?);
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match std::str::from_utf8(line).map(str::trim_end) {
        Ok(line) if !line.is_empty() => Ok(line.to_owned().into()),
        Ok(_) | Err(_) => Err(ValueRefusal::new(format!("{} must have a password in its first line", path.display()))
            .write("remove this line, or write the password of the store into the file")),
    }
}

/// The certificates for a server over TLS. Without TLS the file is refused, since it would have no effect.
fn of_tls(item: Item<'_>, store: &StoreChoice, folder: &Path) -> Option<Vec<u8>> {
    let is_plain = matches!(store, StoreChoice::Redis { address, .. } if !address.is_tls());
    if is_plain {
        let refusal = ValueRefusal::new("is for a store that is reached over TLS");
        item.location.problem(refusal.write("remove this line, or write store = \"rediss://HOST:6379/0\""));
        return None;
    }
    item.parse(|text| certificates(folder, text))
}

/// The maximum size of a file with certificates, in bytes.
const CERTIFICATES: usize = 1 << 20;

fn certificates(folder: &Path, text: &str) -> Result<Vec<u8>, ValueRefusal> {
    let path = files::resolve(folder, text)?;
    let content = files::read_up_to(&path, CERTIFICATES)?;
    match UpstreamTrust::from_pem(&content) {
        Ok(_) => Ok(content),
        Err(error) => Err(ValueRefusal::of_file(&path, text, &error)),
    }
}

impl std::str::FromStr for StoreChoice {
    type Err = ValueRefusal;

    /// Reads a store in the syntax of the configuration.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        choice(text)
    }
}

fn choice(text: &str) -> Result<StoreChoice, ValueRefusal> {
    let write = || {
        format!(
            "write \"sqlite:{FILE}\"; \"redis://HOST:6379\", if several gateways share sessions; or \"memory\", \
             where a restart may sign everybody out"
        )
    };
    let Some((scheme, rest)) = text.split_once(':') else {
        return match text {
            "memory" => Ok(StoreChoice::Memory),
            _ => Err(ValueRefusal::new(format!("\"{text}\" is not a valid store")).write(write())),
        };
    };
    match scheme {
        "sqlite" if rest.is_empty() || rest.starts_with(':') || rest.ends_with('/') => {
            Err(ValueRefusal::new("must be sqlite: and the path of a file").write(write()))
        }
        "sqlite" if rest.starts_with("//") => {
            let refusal = ValueRefusal::new("must be sqlite: and the path of a file, without //");
            Err(refusal.write(format!("write \"sqlite:{}\"", without_slashes(rest))))
        }
        "sqlite" => files::resolve(Path::new(""), rest).map(StoreChoice::Sqlite),
        scheme if scheme.starts_with("redis") => server(text),
        _ => Err(ValueRefusal::new(format!("\"{text}\" is not a valid store")).write(write())),
    }
}

/// The path that somebody means who writes a URL: `///srv/a.db` is `/srv/a.db`, `//a.db` and `///a.db` are `a.db`.
fn without_slashes(path: &str) -> String {
    let path = path.trim_start_matches('/');
    if path.contains('/') { format!("/{path}") } else { path.to_owned() }
}

/// The default of `staleness`.
const STALENESS: Duration = Duration::from_secs(5);

fn server(text: &str) -> Result<StoreChoice, ValueRefusal> {
    match RedisAddress::parse(text) {
        Ok(address) => Ok(StoreChoice::Redis { address, staleness: STALENESS }),
        Err(NotAnAddress::HasPassword) => {
            Err(ValueRefusal::new("a password must not be in the address, but in the file of store_password_file")
                .write(format!("write \"{}\"", without_password(text))))
        }
        Err(NotAnAddress::Invalid) => Err(ValueRefusal::new("must be the address of a Redis server").write(
            "write \"redis://HOST:6379/0\", \"rediss://HOST:6379/0\" (TLS), \"redis+unix:///run/redis/redis.sock\", \
             \"redis+sentinel://HOST:26379,HOST:26379/NAME\" or \"redis+cluster://HOST:6379,HOST:6379\"",
        )),
    }
}

/// The same address without the password; the user name stays.
fn without_password(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("redis", text));
    let (user, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    match user.split_once(':').map_or(user, |(name, _)| name) {
        "" => format!("{scheme}://{place}"),
        name => format!("{scheme}://{name}@{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_in_the_state_folder_unless_its_path_is_absolute() {
        let state = Path::new("/var/lib/exeunt");
        let cases = [
            ("memory", Some(None)),
            ("sqlite:a.db", Some(Some("/var/lib/exeunt/a.db"))),
            ("sqlite:/srv/a.db", Some(Some("/srv/a.db"))),
            ("sqlite:", None),
            ("sqlite://srv/a.db", None),
            ("sqlite::memory:", None),
            ("sqlite:folder/", None),
            ("redis://localhost", Some(None)),
            ("rediss://exeunt@redis.test:6380/3", Some(None)),
            ("redis+unix:///run/redis.sock", Some(None)),
            ("redis+sentinel://a.test,b.test/sessions", Some(None)),
            ("redis+cluster://a.test,b.test:7000", Some(None)),
            ("redis+sentinel://a.test", None),
            ("redis://:secret@localhost", None),
            ("redis:localhost", None),
            ("Memory", None),
            ("file.db", None),
            ("", None),
        ];
        for (text, want) in cases {
            let file = choice(text).ok().map(|choice| choice.file(state));
            assert_eq!(file, want.map(|path| path.map(PathBuf::from)), "{text}");
        }
        let refused = choice("rediss://exeunt:s@cret@redis.test/1").unwrap_err();
        assert_eq!(refused.write, ["write \"rediss://exeunt@redis.test/1\""]);
        assert_eq!(StoreChoice::default().file(state), Some(state.join("sessions.db")));
    }
}
