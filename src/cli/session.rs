//! `exeunt session`: lists, shows and ends the sessions of the running gateway.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use http::Method;
use serde_json::Value;
use thiserror::Error;

use super::failure::CommandError;
use super::print;
use super::running::{Running, path_segment};
use super::table;

use crate::admin::counted;
use crate::config;
use crate::values::invisible::visible;

const LIST_HELP: &str = "\
Several conditions select the sessions that meet all of them.

Examples:
  exeunt session list
  exeunt session list --user alice --json
  exeunt session list --address 10.1.0.0/16 --idle-longer-than 30m";

const SHOW_HELP: &str = "\
Shows the user and groups, the time, address and browser of the sign-in, the hosts that the session \
is open on, and the names of the application cookies that the gateway keeps for it. This does not \
count as activity: the session's idle time goes on.

Example:
  exeunt session show k3v9a0c2m4x6z8b1";

const REVOKE_HELP: &str = "\
When this returns, the sessions have ended: their cookies no longer work, and WebSockets, event \
streams and downloads are closed. Their users can sign in again; to prevent that, disable them \
first: exeunt user set NAME --disable. Several conditions select the sessions that meet all of them.

Examples:
  exeunt session revoke k3v9a0c2m4x6z8b1
  exeunt session revoke --user alice
  exeunt session revoke --address 198.51.100.0/24
  exeunt session revoke --idle-longer-than 8h --yes
  exeunt session revoke --all

Exit codes: 0 ended, 1 no such session, or the gateway does not answer, or the end is not confirmed";

/// Lists, shows and ends sessions.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List the sessions, the latest sign-in first
    #[command(after_help = LIST_HELP)]
    List(List),
    /// Show one session
    #[command(after_help = SHOW_HELP)]
    Show(Show),
    /// End sessions at once: one, those of a user, or those that meet conditions
    #[command(after_help = REVOKE_HELP)]
    Revoke(Revoke),
}

/// Conditions that select sessions.
#[derive(Clone, Debug, Args)]
pub(crate) struct SessionConditions {
    /// Only those of this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only those that were opened from this address or network
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpNetOrAddress>,
    /// Only those that have been idle for at least this long: 30m, 8h, 7d
    #[arg(long, value_name = "TIME", value_parser = config::time)]
    idle_longer_than: Option<Duration>,
    /// Only those that were opened at least this long ago
    #[arg(long, value_name = "TIME", value_parser = config::time)]
    older_than: Option<Duration>,
}

/// An address or a network, as the gateway reads it.
#[derive(Clone, Debug)]
struct IpNetOrAddress(String);

/// A text is neither an address nor a network.
#[derive(Debug, Error)]
#[error("write an address or a network: 10.1.2.3 or 10.1.0.0/16")]
struct NotANetwork;

impl FromStr for IpNetOrAddress {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_one = text.parse::<ipnet::IpNet>().is_ok() || text.parse::<std::net::IpAddr>().is_ok();
        is_one.then(|| Self(text.to_owned())).ok_or(NotANetwork)
    }
}

impl SessionConditions {
    /// The same conditions as a query of the admin socket.
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.user.iter().map(|user| ("user", user)));
        query.extend_pairs(self.address.iter().map(|address| ("address", &address.0)));
        for (name, time) in [("idle", self.idle_longer_than), ("age", self.older_than)] {
            query.extend_pairs(time.map(|time| (name, time.as_secs().to_string())));
        }
        query.finish()
    }

    /// The user, if that is the only condition: then sessions that only the store knows are included.
    fn only_user(&self) -> Option<&str> {
        let Self { user, address, idle_longer_than, older_than } = self;
        let alone = address.is_none() && idle_longer_than.is_none() && older_than.is_none();
        user.as_deref().filter(|_| alone)
    }
}

/// The arguments of `exeunt session list`.
#[derive(Clone, Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    conditions: SessionConditions,
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    running: Running,
}

/// The arguments of `exeunt session show`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Show {
    /// The session, as `exeunt session list` names it
    #[arg(value_name = "SESSION")]
    session: String,
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    running: Running,
}

/// The arguments of `exeunt session revoke`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("which").args(["session", "user", "address", "idle_longer_than", "older_than", "all"])
    .multiple(true).required(true))]
pub(crate) struct Revoke {
    /// The session, as `exeunt session list` names it
    #[arg(value_name = "SESSION", conflicts_with_all = ["user", "address", "idle_longer_than", "older_than", "all"])]
    session: Option<String>,
    #[command(flatten)]
    conditions: SessionConditions,
    /// All sessions of all users; asks for confirmation
    #[arg(long, conflicts_with_all = ["user", "address", "idle_longer_than", "older_than"])]
    all: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    running: Running,
}

/// Runs the command. Exit code 0, or 1 with the reason on standard error.
pub(super) fn run(command: SessionCommand) -> ExitCode {
    print::finish(match command {
        SessionCommand::List(arguments) => list(&arguments),
        SessionCommand::Show(arguments) => show(&arguments),
        SessionCommand::Revoke(arguments) => revoke(&arguments),
    })
}

const COLUMNS: [(&str, &str); 7] = [
    ("SESSION", "session"),
    ("USER", "user"),
    ("DEVICE", "device"),
    ("ADDRESS", "address"),
    ("SIGNED IN", "age_seconds"),
    ("LAST SEEN", "idle_seconds"),
    ("CONNECTIONS", "connections"),
];

fn list(arguments: &List) -> Result<String, CommandError> {
    let sessions = arguments.running.ask(Method::GET, &format!("/sessions?{}", arguments.conditions.query()))?;
    if arguments.json {
        return Ok(json(&sessions));
    }
    let rows: Vec<_> = sessions.as_array().into_iter().flatten().map(row).collect();
    Ok(if rows.is_empty() {
        "no sessions\n".to_owned()
    } else {
        table::aligned(COLUMNS.map(|(title, _)| title), &rows)
    })
}

fn show(arguments: &Show) -> Result<String, CommandError> {
    let session = arguments.running.ask(Method::GET, &format!("/sessions/{}", path_segment(&arguments.session)))?;
    if arguments.json {
        return Ok(json(&session));
    }
    let columns = COLUMNS.iter().zip(row(&session)).map(|((title, _), cell)| (title.to_lowercase(), cell));
    let groups = words(session.get("groups"));
    let hosts = session.get("hosts").and_then(Value::as_array).into_iter().flatten();
    let hosts = hosts.map(|host| {
        let (name, cookies) = (words(host.get("host")), words(host.get("cookies")));
        ("host".to_owned(), if cookies.is_empty() { name } else { format!("{name} (keeps {cookies})") })
    });
    let lines = columns.chain([("groups".to_owned(), groups)]).chain(hosts);
    Ok(lines.map(|(title, text)| format!("{title:12} {}\n", visible(&text))).collect())
}

/// A string, or the strings of a list.
fn words(value: Option<&Value>) -> String {
    let texts = match value {
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        other => other.and_then(Value::as_str).into_iter().collect::<Vec<_>>(),
    };
    texts.join(", ").escape_debug().to_string()
}

fn revoke(arguments: &Revoke) -> Result<String, CommandError> {
    let Revoke { session, conditions, all, yes, json: as_json, running } = arguments;
    let target = match (session, conditions.only_user()) {
        (Some(session), _) => format!("/sessions/{}", path_segment(session)),
        (None, Some(user)) => format!("/users/{}/sessions", path_segment(user)),
        (None, None) if *all => "/sessions?all=yes".to_owned(),
        (None, None) => format!("/sessions?{}", conditions.query()),
    };
    if *all && !*yes {
        confirm()?;
    }
    let answer = running.ask(Method::DELETE, &target)?;
    if *as_json {
        return Ok(json(&answer));
    }
    let count = match &answer {
        Value::Array(receipts) => receipts.len(),
        answer => answer
            .get("sessions_ended")
            .map_or(1, |count| count.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default()),
    };
    Ok(format!("{}\n", counted(count, "session", "ended")))
}

/// Asks whether all users are to be signed out.
fn confirm() -> Result<(), CommandError> {
    if io::stdin().is_terminal() {
        eprint!("This signs out all users. Type yes to continue: ");
        let mut line = String::new();
        if io::stdin().read_line(&mut line).is_ok() && line.trim() == "yes" {
            return Ok(());
        }
        return Err(CommandError::new("nothing was ended", "type yes, or add --yes"));
    }
    Err(CommandError::new("--all signs out all users and must be confirmed", "add --yes"))
}

fn json(value: &Value) -> String {
    format!("{value:#}\n")
}

fn row(session: &Value) -> [String; COLUMNS.len()] {
    COLUMNS.map(|(_, key)| match session.get(key) {
        Some(Value::Number(seconds)) if key.ends_with("_seconds") => ago(seconds.as_u64().unwrap_or_default()),
        Some(Value::String(text)) => text.escape_debug().to_string(),
        Some(other) => other.to_string(),
        None => "-".to_owned(),
    })
}

/// How long ago something was, in the largest unit.
fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: SessionCommand,
    }

    fn read(line: &str) -> Result<SessionCommand, String> {
        let words = std::iter::once("session").chain(line.split(' '));
        Line::try_parse_from(words).map(|line| line.command).map_err(|error| error.to_string())
    }

    #[test]
    fn conditions_become_a_query() {
        let cases = [
            ("list", ""),
            ("list --user jürgen", "user=j%C3%BCrgen"),
            ("list --address 10.0.0.0/8 --idle-longer-than 1h30m", "address=10.0.0.0%2F8&idle=5400"),
            ("list --older-than 7d", "age=604800"),
        ];
        for (line, want) in cases {
            let Ok(SessionCommand::List(list)) = read(line) else { panic!("{line}") };
            assert_eq!(list.conditions.query(), want, "{line}");
        }
        assert!(read("list --older-than 7").unwrap_err().contains("has no unit"));
        assert!(read("list --address here").unwrap_err().contains("10.1.0.0/16"));
    }

    #[test]
    fn revoke_needs_a_selection() {
        for line in ["revoke --all", "revoke a", "revoke --user a", "revoke --user a --older-than 1h"] {
            assert!(read(line).is_ok(), "{line}");
        }
        for line in ["revoke", "revoke --yes", "revoke a --user b", "revoke --all --user b", "revoke a --all"] {
            assert!(read(line).is_err(), "{line}");
        }
        let Ok(SessionCommand::Revoke(all)) = read("revoke --all") else { panic!() };
        // The tests have no terminal.
        assert!(revoke(&all).unwrap_err().0.contains("add --yes"));
    }
}
