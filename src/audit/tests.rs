//! Tests of the log through a pipe, as the reader of standard error sees it.

use std::io::{PipeReader, Read, pipe};
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::{AccessLine, Event, Format, Log, LogSettings};
use crate::values::client_address::ClientAddress;
use crate::values::reason::Reason;
use crate::values::receipt::Receipt;
use crate::values::time::{Clock, WallTime};
use crate::values::{end_cause::EndCause, invisible::is_invisible};

const PATIENCE: Duration = Duration::from_secs(60);

/// A log into a pipe that is not read yet.
fn log(format: Format) -> (Log, PipeReader) {
    let (reader, writer) = pipe().unwrap();
    let (clock, _) = Clock::manual();
    (Log::to(LogSettings { format, access: true }, &clock, writer).unwrap(), reader)
}

fn request(log: &Log, path: &str) {
    log.access(&AccessLine {
        at: WallTime(1_767_225_600),
        client: None,
        user: None,
        method: "GET",
        host: b"app.test",
        path: path.as_bytes(),
        status: Some(StatusCode::OK),
        bytes: 500,
        took: Duration::ZERO,
        route: None,
        note: None,
        cut: None,
        served: None,
        because: None,
        agent: &[b'x'; 100],
        referer: b"",
    });
}

fn refused(log: &Log, user: &str) {
    let event = Event::SignInRefused { user, client: ClientAddress::Unix, reason: Reason::CredentialsWrong };
    log.event(WallTime(1_767_225_600), &event);
}

fn ended(log: &Log, user: &str) {
    let receipt = Receipt {
        logout_id: "id".into(),
        user: None,
        target: None,
        steps: Vec::new(),
        applications: Vec::new(),
        hosts: Vec::new(),
    };
    let event = Event::Ended { user, session: None, cause: EndCause::Logout, receipt: &receipt };
    log.event(WallTime(1_767_225_600), &event);
}

/// Drops the log and reads everything that was written, for a reader that begins only now.
fn read_all(log: Log, mut reader: PipeReader) -> Vec<String> {
    drop(log);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn events_of(lines: &[String]) -> Vec<&str> {
    let events = lines.iter().map(String::as_str).filter(|line| line.contains("sign_in_refused"));
    events.collect()
}

#[test]
fn a_flood_of_requests_displaces_no_event() {
    for format in [Format::Text, Format::Json, Format::Combined] {
        let (log, reader) = log(format);
        for number in 0..12_000 {
            request(&log, &format!("/cheap/{number}"));
            if number % 100 == 99 {
                refused(&log, &format!("user-{number}"));
            }
        }
        let lines = read_all(log, reader);
        let events = events_of(&lines);
        assert_eq!(events.len(), 120, "{format:?}");
        assert!(events.iter().zip(1..).all(|(line, hundred)| line.contains(&format!("user-{}", hundred * 100 - 1))));
    }
}

#[test]
fn events_go_before_access_lines() {
    let (log, reader) = log(Format::Text);
    // More than the pipe and the piece that is being written can hold.
    for _ in 0..3000 {
        request(&log, "/cheap");
    }
    refused(&log, "alice");
    let lines = read_all(log, reader);
    assert_eq!(lines.len(), 3001);
    let before = lines.iter().position(|line| line.contains("sign_in_refused")).unwrap();
    assert!(before < 1500, "behind {before} access lines");
}

#[test]
fn dropped_lines_are_counted_in_the_configured_format_with_a_time() {
    for format in [Format::Text, Format::Json, Format::Combined] {
        let (log, reader) = log(format);
        for _ in 0..30_000 {
            request(&log, "/cheap");
        }
        let lines = read_all(log, reader);
        let [count] = lines.iter().filter(|line| line.contains("log_overflow")).collect::<Vec<_>>()[..] else {
            panic!("{format:?}: one line counts");
        };
        let written = lines.len() - 1;
        let dropped = 30_000 - written;
        assert!(dropped > 0, "{format:?}");
        if format == Format::Json {
            let count: Value = serde_json::from_str(count).unwrap();
            assert_eq!((&count["dropped"], &count["events"]), (&dropped.into(), &0.into()));
            assert_eq!(count["time"], "2026-01-01T00:00:00Z");
        } else {
            assert_eq!(
                *count,
                format!("time=2026-01-01T00:00:00Z event=log_overflow dropped={dropped} events=0"),
                "{format:?}"
            );
        }
    }
}

/// Events of unauthenticated clients, however many, displace no `session_ended`.
#[test]
fn refusals_leave_room_for_receipts_in_the_queue() {
    let (log, reader) = log(Format::Text);
    let name = "n".repeat(1000);
    for _ in 0..5000 {
        refused(&log, &name);
    }
    for number in 0..1000 {
        ended(&log, &format!("user-{number}"));
    }
    let lines = read_all(log, reader);
    assert_eq!(lines.iter().filter(|line| line.contains("event=session_ended")).count(), 1000);
    let refusals = events_of(&lines).len();
    let count = format!("event=log_overflow dropped={0} events={0}", 5000 - refusals);
    assert!(refusals < 5000 && lines.iter().any(|line| line.ends_with(&count)), "{refusals}");
}

#[test]
fn flushing_waits_until_everything_is_written() {
    let (log, mut reader) = log(Format::Text);
    for number in 0..100 {
        request(&log, &format!("/{number}"));
        log.flush(PATIENCE);
        let mut read = [0; 4096];
        let length = reader.read(&mut read).unwrap();
        let text = String::from_utf8_lossy(&read[..length]);
        assert!(text.contains(&format!("path=/{number} ")) && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn messages_of_the_program_go_through_the_same_queue() {
    use std::io::Write;
    let (log, reader) = log(Format::Json);
    let message = "{\"message\":\"a \u{202e}\u{7f} b\"}\n";
    for _ in 0..1000 {
        log.messages().write_all(message.as_bytes()).unwrap();
    }
    ended(&log, "alice");
    let lines = read_all(log, reader);
    assert_eq!(lines.len(), 1001);
    assert!(lines[0].contains("\\u202e\\u007f") && !lines[0].chars().any(is_invisible), "{}", lines[0]);
    assert!(lines[1000].contains("session_ended"), "in order");
}

/// A reload changes the format and whether access lines are written, in every handle of the log.
#[test]
fn settings_change_while_lines_are_written() {
    for format in [Format::Text, Format::Json, Format::Combined] {
        for access in [false, true] {
            let (log, reader) = log(Format::Text);
            let other = log.clone();
            log.set(LogSettings { format, access });
            assert_eq!(other.settings(), LogSettings { format, access });
            request(&other, "/a");
            ended(&other, "alice");
            drop(other);
            let lines = read_all(log, reader);
            assert_eq!(lines.len(), 1 + usize::from(access), "{lines:?}");
            assert!(lines.iter().all(|line| line.starts_with('{') == (format == Format::Json)), "{lines:?}");
        }
    }
}
