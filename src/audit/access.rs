//! The line of one exchange.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::format::{self, Pairs, string};
use crate::values::client_address::ClientAddress;
use crate::values::time::WallTime;

/// What an access line says. The query is not logged: it may hold what opens something.
#[derive(Debug)]
pub struct AccessLine<'a> {
    /// When the answer was done.
    pub at: WallTime,
    /// The client, if the head got so far.
    pub client: Option<ClientAddress>,
    /// Who was signed in.
    pub user: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The `Host` as the client wrote it.
    pub host: &'a str,
    /// The path as it was judged, or as it came where it was refused.
    pub path: &'a str,
    /// The answer's status; `None` where there was no answer.
    pub status: Option<StatusCode>,
    /// Bytes that went to the client, head included.
    pub bytes: u64,
    /// From the head to the end of the answer.
    pub took: Duration,
    /// The route that covered it.
    pub route: Option<String>,
    /// Why it was refused, or the gateway's own page that answered.
    pub note: Option<&'static str>,
    /// `User-Agent`, for the combined format.
    pub agent: &'a str,
    /// `Referer`, for the combined format.
    pub referer: &'a str,
}

impl AccessLine<'_> {
    /// The pairs of the text and JSON formats.
    pub(super) fn pairs(&self) -> Pairs {
        let optional = |text: Option<&str>| text.map_or(Value::Null, string);
        vec![
            ("time", format::timestamp(self.at).into()),
            ("event", "access".into()),
            ("client", optional(self.client.map(|client| client.to_string()).as_deref())),
            ("user", optional(self.user)),
            ("method", string(self.method)),
            ("host", string(self.host)),
            ("path", string(self.path)),
            ("status", self.status.map_or(Value::Null, |status| status.as_u16().into())),
            ("bytes", self.bytes.into()),
            ("ms", u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX).into()),
            ("route", optional(self.route.as_deref())),
            ("note", optional(self.note)),
        ]
    }

    /// The combined log format of the Apache server, which every log reader knows.
    pub(super) fn combined(&self) -> String {
        let client = self.client.map_or_else(|| "-".to_owned(), |client| client.to_string());
        let status = self.status.map_or(0, |status| status.as_u16());
        let (user, time) = (self.user.unwrap_or("-"), format::common_timestamp(self.at));
        let mut line = format!("{client} - ");
        if user == "-" {
            line.push('-')
        } else {
            format::quoted(user, &mut line)
        }
        line.push_str(&format!(" [{time}] "));
        format::quoted(&format!("{} {} HTTP/1.1", self.method, self.path), &mut line);
        line.push_str(&format!(" {status} {} ", self.bytes));
        format::quoted(self.referer, &mut line);
        line.push(' ');
        format::quoted(self.agent, &mut line);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> AccessLine<'static> {
        AccessLine {
            at: WallTime(1_767_225_600),
            client: Some(ClientAddress::Unix),
            user: Some("alice"),
            method: "GET",
            host: "app.test",
            path: "/a b",
            status: Some(StatusCode::OK),
            bytes: 12,
            took: Duration::from_millis(3),
            route: Some("/".into()),
            note: None,
            agent: "curl\"\n",
            referer: "",
        }
    }

    #[test]
    fn three_formats_of_one_line() {
        assert_eq!(
            format::text(&line().pairs()),
            "time=2026-01-01T00:00:00Z event=access client=unix user=alice method=GET host=app.test path=\"/a b\" \
             status=200 bytes=12 ms=3 route=/ note=-"
        );
        let json: Value = serde_json::from_str(&format::json(line().pairs())).unwrap();
        assert_eq!((&json["status"], &json["user"], &json["note"]), (&200.into(), &"alice".into(), &Value::Null));
        assert_eq!(
            line().combined(),
            "unix - \"alice\" [01/Jan/2026:00:00:00 +0000] \"GET /a b HTTP/1.1\" 200 12 \"\" \"curl\\\"\\u{a}\""
        );
    }
}
