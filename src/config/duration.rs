//! Durations as text: numbers with units.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::raw::RawTable;
use super::refusal::ValueRefusal;

const MILLISECOND: u64 = 1;
const SECOND: u64 = 1000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The units, longest first.
const UNITS: [(&str, u64); 5] = [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MILLISECOND)];

/// One second.
pub(crate) const ONE_SECOND: Duration = Duration::from_millis(SECOND);
/// One hour.
pub(crate) const ONE_HOUR: Duration = Duration::from_millis(HOUR);
/// One day.
pub(crate) const ONE_DAY: Duration = Duration::from_millis(DAY);

/// The timeout under a key: between a second and a day.
pub(crate) fn timeout(table: &RawTable<'_>, key: &str, default: Duration) -> Duration {
    const LIMITS: RangeInclusive<Duration> = ONE_SECOND..=ONE_DAY;
    let read = table.item(key).and_then(|item| item.parse(|text| parse(text, &LIMITS)));
    read.unwrap_or(default)
}

/// Reads `30s`, `1h30m` or `500ms`, within limits.
pub(crate) fn parse(text: &str, limits: &RangeInclusive<Duration>) -> Result<Duration, ValueRefusal> {
    let duration = read(text).ok_or_else(|| explain(text))?;
    if limits.contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (show(*limits.start()), show(*limits.end()));
    let near = if duration < *limits.start() { &least } else { &most };
    Err(ValueRefusal::new(format!("must be between {least} and {most}"))
        .write(format!("write \"{near}\", or another time in this range")))
}

fn explain(text: &str) -> ValueRefusal {
    let number = text.trim();
    if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return ValueRefusal::new(format!("\"{text}\" has no unit"))
            .write(format!("write \"{number}s\" for seconds, \"{number}m\" for minutes"));
    }
    let refusal = ValueRefusal::new(format!("\"{text}\" is not a valid time"));
    match meant(text) {
        Some(meant) => refusal.write(format!("write \"{}\"", show(meant))),
        None => refusal.write("write \"30s\", \"5m\", \"1h30m\" or \"7d\": whole numbers with a unit (ms, s, m, h, d)"),
    }
}

/// The time that a text such as `1.5 hours` or `2W` probably means.
fn meant(text: &str) -> Option<Duration> {
    const UNIT_NAMES: [(&[&str], u64); 6] = [
        (&["ms", "msec", "millisecond", "milliseconds"], MILLISECOND),
        (&["s", "sec", "secs", "second", "seconds"], SECOND),
        (&["m", "min", "mins", "minute", "minutes"], MINUTE),
        (&["h", "hr", "hrs", "hour", "hours"], HOUR),
        (&["d", "day", "days"], DAY),
        (&["w", "week", "weeks"], 7 * DAY),
    ];
    let text: String = text.chars().filter(|sign| !sign.is_whitespace()).collect::<String>().to_ascii_lowercase();
    let (number, unit) = text.split_at_checked(text.find(|sign: char| sign.is_ascii_alphabetic())?)?;
    let (_, factor) = UNIT_NAMES.iter().find(|(names, _)| names.contains(&unit))?;
    let seconds = number.parse::<f64>().ok()? * Duration::from_millis(*factor).as_secs_f64();
    Duration::try_from_secs_f64(seconds).ok().filter(|meant| *meant < ONE_DAY.saturating_mul(366))
}

fn read(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut millis: u64 = 0;
    let mut largest = u64::MAX;
    while !rest.is_empty() {
        let (number, behind) = rest.split_at_checked(run(rest, |byte| byte.is_ascii_digit()))?;
        let (unit, behind) = behind.split_at_checked(run(behind, |byte| byte.is_ascii_alphabetic()))?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        // Units must get smaller from left to right: each duration has one notation.
        if *factor >= largest {
            return None;
        }
        largest = *factor;
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = behind;
    }
    (!text.is_empty()).then(|| Duration::from_millis(millis))
}

fn run(text: &str, of: impl Fn(&u8) -> bool) -> usize {
    text.bytes().take_while(|byte| of(byte)).count()
}

/// A duration in the notation of the configuration: `1h30m`.
pub(crate) fn show(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, factor) in UNITS {
        if rest >= factor {
            text.push_str(&format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let cases = [
            ("30s", Some(30_000)),
            ("500ms", Some(500)),
            ("1h30m", Some(5_400_000)),
            ("7d", Some(604_800_000)),
            ("0s", Some(0)),
            ("", None),
            ("30", None),
            ("s", None),
            ("1.5h", None),
            ("-1s", None),
            ("1 h", None),
            ("30m1h", None),
            ("1s1s", None),
            ("1w", None),
            ("1H", None),
            ("99999999999999999999d", None),
            ("999999999999999d", None),
        ];
        for (text, want) in cases {
            assert_eq!(read(text), want.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn common_notations_of_times_are_understood() {
        let cases = [
            ("1.5h", Some("1h30m")),
            ("90 minutes", Some("1h30m")),
            ("1H", Some("1h")),
            ("2w", Some("14d")),
            ("30 sec", Some("30s")),
            ("soon", None),
            ("-1s", None),
            ("1e9d", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(meant(text).map(show).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn shown_durations_parse_back() {
        for text in ["0s", "1ms", "1s", "1h30m", "2d3h4m5s6ms"] {
            assert_eq!(show(read(text).unwrap()), text);
        }
    }
}
