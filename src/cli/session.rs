//! `exeunt session`: who is signed in at the running gateway, and how to change that.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::failure::CommandError;
use super::print;
use super::running::{Running, part};
use super::table;
use crate::values::invisible::visible;

/// Lists, shows and ends sessions.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List who is signed in, the last sign-in first
    #[command(after_help = "Examples:\n  exeunt session list\n  exeunt session list --user alice --json")]
    List(List),
    /// Show one session
    #[command(after_help = "Example:\n  exeunt session show k3v9a0c2m4x6z8b1")]
    Show(Show),
    /// End one session, or all sessions of a user, at once
    #[command(after_help = "Examples:\n  exeunt session revoke k3v9a0c2m4x6z8b1\n  exeunt session revoke --user alice")]
    Revoke(Revoke),
}

/// The arguments of `exeunt session list`.
#[derive(Clone, Debug, Args)]
pub(crate) struct List {
    /// Only this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
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
pub(crate) struct Revoke {
    /// The session, as `exeunt session list` names it
    #[arg(value_name = "SESSION", required_unless_present = "user", conflicts_with = "user")]
    session: Option<String>,
    /// All sessions of this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
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
    let query = arguments.user.as_ref().map(|user| format!("?user={}", part(user))).unwrap_or_default();
    let sessions = arguments.running.ask(Method::GET, &format!("/sessions{query}"))?;
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
    let sessions = arguments.running.ask(Method::GET, "/sessions")?;
    let named = |session: &&Value| session.get("session").and_then(Value::as_str) == Some(&arguments.session);
    let Some(session) = sessions.as_array().into_iter().flatten().find(named) else {
        let message = format!("session not found: {}", arguments.session.escape_debug());
        return Err(CommandError::new(message, "list the sessions: exeunt session list"));
    };
    if arguments.json {
        return Ok(json(session));
    }
    Ok(shown(session))
}

/// A line for each thing that is known of a session, the application cookies in the gateway by host.
fn shown(session: &Value) -> String {
    let line = |title: &str, cell: &str| format!("{:12} {}\n", title.to_lowercase(), visible(cell));
    let mut lines: String = COLUMNS.iter().zip(row(session)).map(|((title, _), cell)| line(title, &cell)).collect();
    for (host, names) in session.get("cookies").and_then(Value::as_object).into_iter().flatten() {
        let names: Vec<_> = names.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        lines.push_str(&line("cookies", &format!("{host}: {}", names.join(", "))));
    }
    lines
}

fn revoke(arguments: &Revoke) -> Result<String, CommandError> {
    let target = match (&arguments.session, &arguments.user) {
        (Some(session), _) => format!("/sessions/{}", part(session)),
        (None, user) => format!("/users/{}/sessions", part(user.as_deref().unwrap_or_default())),
    };
    let receipts = arguments.running.ask(Method::DELETE, &target)?;
    if arguments.json {
        return Ok(json(&receipts));
    }
    let count = receipts.as_array().map_or(1, Vec::len);
    Ok(if count == 1 { "1 session ended\n".to_owned() } else { format!("{count} sessions ended\n") })
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

/// A time that has passed, in its largest unit.
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
    use super::*;

    #[test]
    fn a_session_is_shown_with_the_cookies_that_the_gateway_keeps() {
        let session = serde_json::json!({
            "session": "k3v9", "user": "alice", "age_seconds": 61, "connections": 2,
            "cookies": { "app.test": ["sid", "remember\u{1b}"], "shop.test": ["cart"] },
        });
        let shown = shown(&session);
        let last: Vec<_> = shown.lines().skip(COLUMNS.len()).collect();
        assert_eq!(last.len(), 2, "{shown}");
        assert!(last[0].starts_with("cookies      app.test: sid, remember") && !shown.contains('\u{1b}'), "{shown}");
        assert_eq!(last[1], "cookies      shop.test: cart");
        assert!(shown.contains("signed in    1 min ago\n"), "{shown}");
    }
}
