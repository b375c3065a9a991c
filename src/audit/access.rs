//! The access line: what is logged of one exchange.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use super::line::{LogLine, decimal, escaped, is_bare, key, quoted};
use super::log_settings::Format;
use super::timestamp::{self, CachedTimestamp};
use crate::values::client_address::ClientAddress;
use crate::values::interruption::Interruption;
use crate::values::time::WallTime;

/// The fields of an access line. The query is not logged: it may contain secrets. Untrusted values are kept as received
/// and escaped when they are written.
pub(crate) struct AccessLine<'a> {
    /// When the answer was complete.
    pub(crate) at: WallTime,
    /// The client's address; `None` if the head could not be parsed far enough to determine it.
    pub(crate) client: Option<ClientAddress>,
    /// The name of the signed-in user.
    pub(crate) user: Option<&'a str>,
    /// The request method.
    pub(crate) method: &'a str,
    /// The `Host` header as received.
    pub(crate) host: &'a [u8],
    /// The path in its canonical form, or as received if the target was refused.
    pub(crate) path: &'a [u8],
    /// The status of the answer; `None` if none was sent.
    pub(crate) status: Option<StatusCode>,
    /// Bytes sent to the client, head included.
    pub(crate) bytes: u64,
    /// The time from the end of the request head to the end of the answer.
    pub(crate) took: Duration,
    /// The route that matched.
    pub(crate) route: Option<&'a str>,
    /// The reason id of a refusal, or the name of the gateway's own page that answered.
    pub(crate) note: Option<&'static str>,
    /// Why the answer or the WebSocket ended early.
    pub(crate) cut: Option<Interruption>,
    /// The host names that are served, if the requested one is not among them.
    pub(crate) served: Option<&'a str>,
    /// The part of the request that caused the refusal, such as a header name.
    pub(crate) because: Option<&'a str>,
    /// `User-Agent`, for the combined format.
    pub(crate) agent: &'a [u8],
    /// `Referer`, for the combined format.
    pub(crate) referer: &'a [u8],
}

impl AccessLine<'_> {
    /// Appends the line to `out`.
    pub(super) fn write(&self, format: Format, stamp: &mut CachedTimestamp, out: &mut Vec<u8>) {
        match format {
            Format::Text => self.pairs(LogLine::begin(out, false), stamp),
            Format::Json => self.pairs(LogLine::begin(out, true), stamp),
            Format::Combined => self.combined(stamp, out),
        }
    }

    fn pairs(&self, mut line: LogLine<'_>, stamp: &mut CachedTimestamp) {
        line.word(key!("time"), stamp.of(self.at, timestamp::rfc3339));
        line.word(key!("event"), "access");
        match self.client {
            Some(client) => line.client(key!("client"), client),
            None => line.nothing(key!("client")),
        }
        line.optional(key!("user"), self.user);
        line.value(key!("method"), self.method);
        line.value(key!("host"), self.host);
        line.value(key!("path"), self.path);
        match self.status {
            Some(status) => line.number(key!("status"), status.as_u16().into()),
            None => line.nothing(key!("status")),
        }
        line.number(key!("bytes"), self.bytes);
        line.number(key!("ms"), u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX));
        line.optional(key!("route"), self.route);
        line.optional(key!("note"), self.note);
        line.optional(key!("cut"), self.cut.map(Interruption::id));
        if let Some(served) = self.served {
            line.value(key!("served"), served);
        }
        if let Some(because) = self.because {
            line.value(key!("because"), because);
        }
        line.end();
    }

    /// The combined log format of Apache httpd, which log analysers read. Fields that it does not have follow at the
    /// end as `key="value"`, if they have a value.
    fn combined(&self, stamp: &mut CachedTimestamp, out: &mut Vec<u8>) {
        match self.client {
            Some(client) => client.write_to(out),
            None => out.push(b'-'),
        }
        out.extend_from_slice(b" - ");
        match self.user {
            // Web servers write names without quotes, and programs split the line at its blanks.
            Some(user) if is_bare(user.as_bytes()) => out.extend_from_slice(user.as_bytes()),
            Some(user) => quoted(user.as_bytes(), false, out),
            None => out.push(b'-'),
        }
        out.extend_from_slice(b" [");
        out.extend_from_slice(stamp.of(self.at, timestamp::common).as_bytes());
        out.extend_from_slice(b"] ");
        out.push(b'"');
        escaped(self.method.as_bytes(), false, out);
        out.push(b' ');
        escaped(self.path, false, out);
        out.extend_from_slice(b" HTTP/1.1\" ");
        decimal(self.status.map_or(0, |status| status.as_u16()).into(), out);
        out.push(b' ');
        decimal(self.bytes, out);
        for field in [self.referer, self.agent] {
            out.push(b' ');
            quoted(if field.is_empty() { b"-" } else { field }, false, out);
        }
        for (key, value) in
            [("cut", self.cut.map(Interruption::id)), ("served", self.served), ("because", self.because)]
        {
            if let Some(value) = value {
                out.extend_from_slice(format!(" {key}=").as_bytes());
                quoted(value.as_bytes(), false, out);
            }
        }
        out.push(b'\n');
    }
}

impl fmt::Debug for AccessLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        self.write(Format::Text, &mut CachedTimestamp::default(), &mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::values::invisible::is_invisible;

    const ODD: &str = "\u{1b}[31m\u{202e}\u{7f}\u{9b}\n\"";

    fn line() -> AccessLine<'static> {
        AccessLine {
            at: WallTime(1_767_225_600),
            client: Some(ClientAddress::Unix),
            user: Some("alice"),
            method: "GET",
            host: b"app.test",
            path: b"/a b",
            status: Some(StatusCode::OK),
            bytes: 12,
            took: Duration::from_millis(3),
            route: Some("/"),
            note: None,
            cut: None,
            served: None,
            because: None,
            agent: b"curl\"\n",
            referer: b"",
        }
    }

    fn written(line: &AccessLine<'_>, format: Format) -> String {
        let mut out = Vec::new();
        line.write(format, &mut CachedTimestamp::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn three_formats_of_one_line() {
        assert_eq!(
            written(&line(), Format::Text),
            "time=2026-01-01T00:00:00Z event=access client=unix user=alice method=GET host=app.test path=\"/a b\" \
             status=200 bytes=12 ms=3 route=/ note=- cut=-\n"
        );
        let json: Value = serde_json::from_str(&written(&line(), Format::Json)).unwrap();
        let want = json!({
            "time": "2026-01-01T00:00:00Z", "event": "access", "client": "unix", "user": "alice", "method": "GET",
            "host": "app.test", "path": "/a b", "status": 200, "bytes": 12, "ms": 3, "route": "/", "note": null,
            "cut": null,
        });
        assert_eq!(json, want);
        assert_eq!(
            written(&line(), Format::Combined),
            "unix - alice [01/Jan/2026:00:00:00 +0000] \"GET /a b HTTP/1.1\" 200 12 \"-\" \"curl\\\"\\u{a}\"\n"
        );
        for (user, want) in [("al ice", " - \"al ice\" ["), ("-", " - \"-\" ["), ("a\"b", " - \"a\\\"b\" [")] {
            let line = written(&AccessLine { user: Some(user), ..line() }, Format::Combined);
            assert!(line.contains(want), "{line}");
        }
    }

    #[test]
    fn a_cut_and_the_served_names_are_in_every_format() {
        let line = AccessLine { cut: Some(Interruption::Stopping), served: Some("a.test, b.test"), ..line() };
        assert!(written(&line, Format::Text).ends_with(" note=- cut=stopping served=\"a.test, b.test\"\n"));
        let json: Value = serde_json::from_str(&written(&line, Format::Json)).unwrap();
        assert_eq!((&json["cut"], &json["served"]), (&json!("stopping"), &json!("a.test, b.test")));
        assert!(written(&line, Format::Combined).ends_with("\" cut=\"stopping\" served=\"a.test, b.test\"\n"));
    }

    #[test]
    fn control_characters_are_escaped_and_long_values_are_cut_in_every_format() {
        let long = ODD.repeat(2000);
        let odd = AccessLine {
            user: Some(&long),
            method: &long,
            host: long.as_bytes(),
            path: long.as_bytes(),
            route: Some(&long),
            served: Some(&long),
            agent: long.as_bytes(),
            referer: long.as_bytes(),
            ..line()
        };
        for format in [Format::Text, Format::Json, Format::Combined] {
            let written = written(&odd, format);
            assert!(written.len() < 8 * 1100, "{format:?}: {}", written.len());
            let text = written.strip_suffix('\n').unwrap();
            assert_eq!(text.chars().find(|&sign| is_invisible(sign)), None, "{format:?}: {text}");
        }
    }
}
