//! Checks of the system that the gateway runs on: whether ports are free, names resolve, the session store's folder
//! exists, the service's user can read the files, and the server of the session store evicts nothing. Only
//! `exeunt check` makes them; `exeunt serve` meets the same problems by itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::ToSocketAddrs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::proxy::listener;
use crate::session::store::redis::{RedisAddress, policy_at};
use crate::values::listen_address::ListenAddress;
use crate::values::nearest_word::nearest;
use crate::values::upstream_address::UpstreamAddress;

use super::raw::{Item, Location, RawTable};
use super::refusal::ValueRefusal;
use super::service_user::{self, ServiceUser};
use super::state::STATE_OF_THE_SERVICE;
use super::{Settings, StoreChoice, files, listening};

/// The timeout for resolving all names together.
const LOOKUPS: Duration = Duration::from_secs(3);
/// The maximum number of names that are looked up.
const MAX_NAMES: usize = 64;

/// The timeout for the server of the session store.
const SERVER: Duration = Duration::from_secs(1);

/// The runtime directory of the systemd unit.
const RUNTIME_FOLDER: &str = "/run/exeunt";

/// A function that resolves a name and a port.
pub(crate) type Resolve = fn(&str, u16) -> io::Result<()>;

/// The system that a configuration is checked on.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The user of the systemd unit, if it is not the user who checks.
    pub service: Option<ServiceUser>,
    /// Resolves the names of upstreams.
    pub resolve: Resolve,
    /// The first unprivileged port; `None` if the unit gives the service the privilege for all ports.
    pub first_port: Option<u16>,
    /// Whether a gateway is already running and uses its ports.
    pub serving: bool,
    /// The state folders of the service manager: `$STATE_DIRECTORY`.
    pub state_directory: Option<OsString>,
}

impl Machine {
    /// This system, for the configuration at `path`.
    pub(crate) fn this(path: &Path, state_directory: Option<OsString>) -> Self {
        let resolve = |name: &str, port: u16| (name, port).to_socket_addrs().map(drop);
        Self {
            service: ServiceUser::of(path),
            resolve,
            first_port: service_user::first_port(path),
            serving: is_serving(),
            state_directory,
        }
    }

    /// Makes all checks.
    pub(super) fn look(&self, file: &RawTable<'_>, settings: &Settings, path: &Path) {
        let running = self.serving || settings.admin.as_ref().is_some_and(|admin| is_running(&admin.path));
        self.listeners(file, &settings.server.listen, running);
        self.store_folder(file, settings);
        self.names(&upstreams(file));
        if let StoreChoice::Redis { address, .. } = &settings.store {
            keeps_all(file, address);
        }
        if let Some(service) = &self.service {
            readable(file, path, service);
        }
    }

    /// Tries to bind every address of `listen`, and releases it at once.
    fn listeners(&self, file: &RawTable<'_>, listen: &[ListenAddress], running: bool) {
        let items = file.item("listen").map(|item| item.one_or_list()).unwrap_or_default();
        let is_reserved = |port: u16| self.first_port.is_some_and(|first| (1..first).contains(&port));
        for (item, address) in items.iter().zip(listen) {
            match (listener::probe(address, listen), address) {
                // Most likely in use by the running gateway itself.
                (Err(error), _) if running && error.kind() == io::ErrorKind::AddrInUse => {}
                // The service has this privilege, although the user who checks does not.
                (Err(error), ListenAddress::Tcp(_))
                    if self.first_port.is_none() && error.kind() == io::ErrorKind::PermissionDenied => {}
                // The service manager creates this folder for the service.
                (Err(error), ListenAddress::Unix(path))
                    if path.starts_with(RUNTIME_FOLDER) && error.kind() != io::ErrorKind::AddrInUse => {}
                (Err(error), _) => item.location.flaw(listening::refused(address, &error)),
                (Ok(()), ListenAddress::Tcp(socket)) if self.service.is_some() && is_reserved(socket.port()) => {
                    item.location.flaw(listening::privileged(*socket));
                }
                (Ok(()), ListenAddress::Tcp(_) | ListenAddress::Unix(_)) => {}
            }
        }
    }

    /// The folder of a session store in a file has to exist. The state folder is made at the start, by the gateway or
    /// by the service manager.
    fn store_folder(&self, file: &RawTable<'_>, settings: &Settings) {
        let (StoreChoice::Sqlite(path), Some(item)) = (&settings.store, file.find("session", "store")) else { return };
        if self.service.is_some() && path.is_relative() {
            // Only the service knows the folder that the path starts at.
            return;
        }
        let state = settings.state.resolve(self.state_directory.as_deref());
        let path = state.join(path);
        let Some(folder) = path.parent().filter(|folder| *folder != state) else { return };
        if folder.starts_with(STATE_OF_THE_SERVICE) {
            return;
        }
        if folder.metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            item.location.flaw(files::no_folder(folder));
        }
    }

    /// Warns of names that do not resolve. It is no problem, since a name may resolve later.
    fn names(&self, upstreams: &[(Item<'_>, UpstreamAddress)]) {
        let mut names: BTreeMap<(String, u16), Option<io::Result<()>>> = BTreeMap::new();
        for (_, address) in upstreams {
            if let UpstreamAddress::Tcp { host, port, .. } = address
                && host.ip().is_none()
                && names.len() < MAX_NAMES
            {
                names.insert((host.as_str().to_owned(), *port), None);
            }
        }
        self.resolve(&mut names);
        for (item, address) in upstreams {
            let UpstreamAddress::Tcp { scheme, host, port } = address else { continue };
            let answer = names.get(&(host.as_str().to_owned(), *port));
            let why = match answer {
                None | Some(Some(Ok(()))) => continue,
                Some(Some(Err(error))) => error.to_string().replace("failed to lookup address information: ", ""),
                Some(None) => format!("no answer within {} seconds", LOOKUPS.as_secs()),
            };
            let near = nearest(host.as_str(), &["localhost"]).unwrap_or("127.0.0.1");
            item.location.warning(
                ValueRefusal::new(format!(
                    "the name {host} does not resolve on this machine ({why}): requests get 502"
                ))
                .write(format!(
                    "write \"{}://{near}:{port}\", the address where the application listens",
                    scheme.as_str()
                ))
                .write("or add the name to the name server or to /etc/hosts"),
            );
        }
    }

    /// Resolves all names concurrently, with one timeout for all.
    fn resolve(&self, names: &mut BTreeMap<(String, u16), Option<io::Result<()>>>) {
        let (sender, answers) = mpsc::channel();
        for name in names.keys().cloned() {
            let (sender, resolve) = (sender.clone(), self.resolve);
            // The process does not wait for threads with late answers.
            thread::spawn(move || {
                let answer = resolve(&name.0, name.1);
                let _ = sender.send(Some((name, answer)));
            });
        }
        thread::spawn(move || {
            thread::sleep(LOOKUPS);
            let _ = sender.send(None);
        });
        while names.values().any(Option::is_none) {
            let Ok(Some((name, answer))) = answers.recv() else { break };
            names.insert(name, Some(answer));
        }
    }
}

/// Whether a gateway accepts connections on the admin socket, or has one that this user may not open.
fn is_running(socket: &Path) -> bool {
    match UnixStream::connect(socket) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

/// Whether another process of this program runs `serve`. Command lines are readable by every user by default.
fn is_serving() -> bool {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let others = processes.map(|entry| entry.path()).filter(|path| !path.ends_with(&own));
    let mut commands = others.filter_map(|path| std::fs::read(path.join("cmdline")).ok());
    commands.any(|command| {
        let mut words = command.split(|&byte| byte == 0);
        let program = words.next().unwrap_or_default();
        program.rsplit(|&byte| byte == b'/').next() == Some(b"exeunt") && words.any(|word| word == b"serve")
    })
}

/// Warns of a server that evicts sessions. One that does not answer may be started later.
fn keeps_all(file: &RawTable<'_>, address: &RedisAddress) {
    let ask = || {
        // On a thread of its own, since the caller may be running in another runtime.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(policy_at(address, SERVER))
    };
    let policy = thread::scope(|scope| scope.spawn(ask).join().ok().flatten());
    if let (Some(policy), Some(item)) = (policy, file.find("session", "store")) {
        item.location.warning(
            ValueRefusal::new(format!(
                "the server deletes keys when its memory is full (maxmemory-policy {policy}): that ends sessions"
            ))
            .write("write maxmemory-policy noeviction in the server's configuration"),
        );
    }
}

/// All upstreams with their locations.
fn upstreams<'f>(file: &RawTable<'f>) -> Vec<(Item<'f>, UpstreamAddress)> {
    let routes = file.item("route").map(|item| item.again()).unwrap_or_default();
    let items = routes.iter().filter_map(|route| route.item("upstream")).flat_map(|item| item.one_or_list());
    items.filter_map(|item| Some((item.clone(), UpstreamAddress::parse(item.peek()?).ok()?))).collect()
}

/// Checks that the service's user can read the files of the configuration.
fn readable(file: &RawTable<'_>, path: &Path, service: &ServiceUser) {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let of_store = [("session", "store_password_file"), ("session", "store_ca_file")];
    let named = [("login", "users"), ("brand", "logo"), ("pages", "dir")].into_iter().chain(of_store);
    let named = named.filter_map(|(table, key)| file.find(table, key));
    let routes = file.item("route").map(|item| item.again()).unwrap_or_default();
    let of_routes: Vec<Item<'_>> = routes.iter().filter_map(|route| route.item("upstream_ca_file")).collect();
    let mut places: Vec<(Location<'_>, PathBuf)> = vec![(file.location.clone(), path.to_owned())];
    places.extend(named.chain(of_routes).filter_map(|item| {
        let path = files::resolve(folder, item.peek()?).ok()?;
        Some((item.location.clone(), path))
    }));
    for (place, path) in places {
        if let Some(refusal) = service.access_refusal(&path) {
            place.flaw(refusal);
        }
    }
}
