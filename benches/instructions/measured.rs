//! The measured process: the whole gateway.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use exeunt::audit::Log;
use exeunt::config::{self, Settings};
use exeunt::proxy::listener;
use exeunt::service::{Environment, Service};
use exeunt::session::pending::PendingEnds;
use exeunt::session::sign_in::SignIn;
use exeunt::session::store::SessionStore;
use exeunt::session::store::redis::{RedisAddress, RedisStore};
use exeunt::session::store::sqlite::SqliteStore;
use exeunt::session::table::SessionTable;
use exeunt::values::client_address::ClientAddress;
use exeunt::values::device::Device;
use exeunt::values::identity::{Identity, UserKey};
use exeunt::values::mac::MacKeys;
use exeunt::values::time::Clock;
use tokio::runtime::Runtime;

use super::scenario::{Scenario, Store};
use super::{Result, redis, wait_for_the_end};

/// Sessions of one user.
const SESSIONS_EACH: usize = 10;
/// Cookies that the client gets: to count with, and to measure with, where every logout needs one of its own.
const COOKIES: usize = 1000;
const MANY_COOKIES: usize = 300_000;

/// How long a gateway believes its table without the server: so long that none of its rounds is counted with the
/// requests, which it repeats five times in that time.
const STALENESS: Duration = Duration::from_secs(60 * 60);

/// What is served.
struct Served<'a> {
    upstream: &'a str,
    store: Store,
    /// Where the store is.
    folder: &'a Path,
    access_log: bool,
    sessions: usize,
    cookies: usize,
}

/// Serves the scenario `arguments[0]` with the upstream `arguments[1]` and a store in the folder `arguments[2]`, until
/// the input ends.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let [name, upstream, folder] = arguments else { return Err("which scenario, which upstream, where?".into()) };
    let Scenario { access_log, sessions, store, .. } = *Scenario::named(name).ok_or("there is no such scenario")?;
    // One thread: what is counted does not depend on how work was spread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(Served {
        upstream,
        store,
        folder: Path::new(folder),
        access_log,
        sessions,
        cookies: COOKIES,
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// Serves the upstream `arguments[0]` for so many sessions, `arguments[1]`, on all processors that it may use:
/// `benches/run` measures it from outside.
pub fn run_outside(arguments: &[String]) -> Result<ExitCode> {
    let [upstream, sessions] = arguments else { return Err("which upstream, how many sessions?".into()) };
    let (store, folder, sessions) = (Store::Nowhere, Path::new(""), sessions.parse()?);
    let served = Served { upstream, store, folder, access_log: false, sessions, cookies: MANY_COOKIES };
    Runtime::new()?.block_on(serve(served))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(served: Served<'_>) -> Result<()> {
    let settings = settings(served.upstream, served.access_log)?;
    let clock = Clock::system();
    let listeners = listener::bind(&settings.server.listen)?;
    let log = Log::to_standard_error(settings.log, &clock)?;
    let keys = MacKeys::generate().map_err(|problem| format!("{problem:?}"))?;
    let environment = Environment { log, clock: clock.clone(), keys, listeners };
    let service = start(&served, settings, environment).await?;
    let cookies = sign_in(service.gateway.sessions(), &served, &clock).await?;
    let address = service.server.addresses().first().ok_or("no address")?;
    println!("{address}\n{}\n", cookies.join("\n"));
    counting_begins();
    tokio::task::spawn_blocking(wait_for_the_end).await?;
    // Without taking a million sessions apart.
    std::process::exit(0)
}

/// The gateway over its store, which it keeps up with as the program does.
async fn start(served: &Served<'_>, settings: Settings, environment: Environment) -> Result<Service> {
    let folder = served.folder;
    let (store, server): (Arc<dyn SessionStore>, Option<Arc<RedisStore>>) = match served.store {
        Store::Nowhere => return Ok(Service::start(settings, environment).map_err(|error| error.to_string())?),
        Store::Sqlite => {
            let store = SqliteStore::open(&folder.join("sessions.db")).map_err(|problem| problem.to_string())?;
            (Arc::new(store), None)
        }
        Store::Redis => {
            let address = format!("redis+unix://{}", folder.join(redis::SOCKET).display());
            let address = RedisAddress::parse(&address).map_err(|problem| format!("{problem:?}"))?;
            let store = RedisStore::connect(&address, STALENESS, environment.clock.clone(), &environment.keys).await;
            let store = Arc::new(store.map_err(|problem| format!("{problem:?}"))?);
            (Arc::clone(&store) as Arc<dyn SessionStore>, Some(store))
        }
    };
    let pending = PendingEnds::open(&folder.join("pending"))?;
    let service = Service::start_over(settings, environment, (store, pending)).await;
    let service = service.map_err(|error| error.to_string())?;
    tokio::spawn(Arc::clone(&service.gateway).run_background_tasks());
    if let Some(server) = server {
        server.first_trusted().await;
    }
    Ok(service)
}

/// Callgrind forgets what it has counted when this is called: see `callgrind::run`.
#[inline(never)]
fn counting_begins() {
    std::hint::black_box(());
}

/// The default configuration in front of this upstream.
fn settings(upstream: &str, access: bool) -> Result<Settings> {
    let text = format!(
        r#"
        listen = ["127.0.0.1:0"]
        public_url = "http://localhost"
        [[route]]
        path = "/"
        upstream = "http://{upstream}"
        [login]
        users = "none.toml"
        [log]
        access = {access}
        "#
    );
    let (settings, _) =
        config::parse("benchmark", &text, Path::new("/nonexistent")).map_err(|report| report.to_string())?;
    Ok(settings)
}

/// Signs in as many, several sessions to a user, and answers the first cookies.
async fn sign_in(table: &SessionTable, served: &Served<'_>, clock: &Clock) -> Result<Vec<String>> {
    let mut cookies = Vec::with_capacity(served.cookies.min(served.sessions));
    let device = Device::from_user_agent("Firefox/142.0 (Linux)");
    for number in 0..served.sessions.div_ceil(SESSIONS_EACH) {
        let name = format!("user{number}");
        let groups = ["staff".to_owned(), "sales".to_owned()];
        let identity = Arc::new(identity(&name, &groups)?);
        for _ in 0..SESSIONS_EACH {
            let user = Arc::new(UserKey { source: "file".into(), subject: name.as_str().into() });
            let identity = Arc::clone(&identity);
            let sign_in = SignIn { user, identity, stamp: None, device, address: ClientAddress::Unix, host: None };
            let opened = table.open(sign_in, clock.now()).await.map_err(|problem| format!("{problem:?}"))?;
            if cookies.len() < served.cookies {
                cookies.push(opened.id.cookie_value());
            }
        }
    }
    Ok(cookies)
}

fn identity(name: &str, groups: &[String]) -> Result<Identity> {
    let address = format!("{name}@example.com");
    Identity::new(name, Some(&address), Some("Some Body"), groups).map_err(|problem| problem.to_string().into())
}
