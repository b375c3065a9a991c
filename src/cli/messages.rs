//! Writes the program's own messages to the log, in its format.

use std::io::{self, IsTerminal};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::{Format as Lines, Full, Json, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::audit::{Format, Log};

/// Writes the program's own messages to the log, including pingora's warnings; as JSON if the log is JSON, so that a
/// collector can parse every line. Writing never blocks on the reader. `RUST_LOG` only changes the level of the
/// program: below warnings pingora would log whole heads, including cookies.
pub(super) fn write_to(log: &Log) {
    let chosen = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,exeunt=info"));
    let discreet = filter_fn(|of| *of.level() <= Level::WARN || of.target().starts_with("exeunt"));
    let filter = chosen.and(discreet.with_max_level_hint(LevelFilter::TRACE));
    let messages = log.clone();
    let lines = fmt::layer()
        .event_format(MessageFormat::new(log.clone()))
        .with_writer(move || messages.messages())
        .with_ansi(io::stderr().is_terminal());
    // It fails only if a subscriber is already set, when this runs within another program.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
    std::panic::set_hook(Box::new(|panic| {
        // The panic's message is not logged, since it could contain client data.
        let at = panic.location().map(ToString::to_string);
        tracing::error!(at, "panicked: a bug of this program ended one exchange; please report it");
    }));
}

/// Uses the log's current format for each message: a reload may change it.
struct MessageFormat {
    log: Log,
    text: Lines<Full>,
    json: Lines<Json, ()>,
}

impl MessageFormat {
    fn new(log: Log) -> Self {
        let text = fmt::format().with_target(false);
        let json =
            text.clone().without_time().json().flatten_event(true).with_current_span(false).with_span_list(false);
        Self { log, text, json }
    }
}

impl<S, N> FormatEvent<S, N> for MessageFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        match self.log.format() {
            Format::Json => {
                let mut line = String::new();
                self.json.format_event(context, Writer::new(&mut line), event)?;
                // The library would call it "timestamp": all lines of a log have their time under one name.
                writer.write_str("{\"time\":\"")?;
                SystemTime.format_time(&mut writer)?;
                write!(writer, "\",{}", line.strip_prefix('{').ok_or(std::fmt::Error)?)
            }
            Format::Text | Format::Combined => self.text.format_event(context, writer, event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::LogSettings;

    #[test]
    fn a_message_has_the_format_that_the_log_has_now() {
        let (log, lines) = Log::to_memory(LogSettings { format: Format::Text, access: false });
        let messages = log.clone();
        let layer = fmt::layer().event_format(MessageFormat::new(log.clone())).with_writer(move || messages.messages());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer.with_ansi(false)), || {
            for format in [Format::Text, Format::Json, Format::Combined] {
                log.set(LogSettings { format, access: false });
                tracing::warn!(key = "listen", "a message");
            }
        });
        let lines = lines.lock();
        let [text, json, combined] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(
            text.ends_with(" WARN a message key=\"listen\"") && combined.ends_with(" WARN a message key=\"listen\"")
        );
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(
            (&json["level"], &json["message"], &json["key"]),
            (&"WARN".into(), &"a message".into(), &"listen".into())
        );
        let time = json["time"].as_str().unwrap();
        assert!(time.starts_with("20") && time.ends_with('Z') && json.get("timestamp").is_none(), "{json}");
    }
}
