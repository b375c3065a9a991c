//! The probable meaning of values with a wrong type, and of placeholders.

use toml::de::DeValue;

use super::refusal::ValueRefusal;
use super::schema;

/// A string in TOML syntax.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) { format!("'{text}'") } else { format!("\"{text}\"") }
}

/// The string that a value of another type probably means.
pub(crate) fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Array(values) if values.len() == 1 => match values.first()?.get_ref() {
            DeValue::String(text) => Some(quoted(text)),
            _ => None,
        },
        DeValue::Integer(number) => Some(format!("\"{}\"", number.as_str())),
        _ => None,
    }
}

/// The list that a single value probably means.
pub(crate) fn list(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(format!("[{}]", quoted(text))),
        _ => None,
    }
}

/// The boolean that a value probably means.
pub(crate) fn switch(value: &DeValue<'_>) -> Option<String> {
    let word = match value {
        DeValue::String(text) => text.to_ascii_lowercase(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        _ => return None,
    };
    match word.as_str() {
        "true" | "yes" | "on" | "1" => Some("true".to_owned()),
        "false" | "no" | "off" | "0" => Some("false".to_owned()),
        _ => None,
    }
}

/// The number that a string such as `20` or `32k` probably means. For sizes a k is 1024, otherwise 1000.
pub(crate) fn number(key: &str, text: &str) -> Option<u64> {
    let bare: String = text.chars().filter(|sign| !" _'".contains(*sign)).collect();
    let end = bare.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(bare.len());
    let (digits, unit) = bare.split_at_checked(end)?;
    let is_size = key.ends_with("_size") || key.ends_with("_body");
    let unit = unit.to_ascii_lowercase();
    let thousand: u64 = if is_size || unit.ends_with('b') { 1024 } else { 1000 };
    let factor = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 1,
        "k" => thousand,
        "m" => thousand * thousand,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// Refuses a string with a variable or template placeholder. `key` is the full path of its key.
pub(crate) fn placeholder(key: &str, text: &str) -> Option<ValueRefusal> {
    let is_name = |rest: &str| rest.starts_with(|sign: char| sign.is_ascii_uppercase() || sign == '_');
    let begins = ["${", "{env.", "{$", "$ENV{", "{{", "$("].iter().any(|mark| text.contains(mark));
    if !begins && !text.strip_prefix('$').is_some_and(is_name) {
        return None;
    }
    let refusal = ValueRefusal::new(format!("\"{text}\" is a placeholder, and placeholders are not expanded"));
    let refusal = match schema::example(key) {
        Some(example) => refusal.write(format!("write {example}, or the value that you mean")),
        None => refusal.write("write the value itself"),
    };
    Some(refusal.write("or fill the file in before the start: envsubst < config.toml.in > config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_are_converted() {
        let cases = [
            ("fields", "20", Some(20)),
            ("connections", "20k", Some(20_000)),
            ("connections", "1_000", Some(1000)),
            ("head_size", "32k", Some(32_768)),
            ("head_size", "32 KiB", Some(32_768)),
            ("login_body", "1M", Some(1_048_576)),
            ("min_rate", "1 kB", Some(1024)),
            ("fields", "many", None),
            ("fields", "", None),
            ("fields", "-1", None),
            ("fields", "99999999999999999999k", None),
        ];
        for (key, text, want) in cases {
            assert_eq!(number(key, text), want, "{key} {text}");
        }
    }

    #[test]
    fn placeholders_are_distinguished_from_texts() {
        for text in ["${APP}", "http://${APP}:80", "$APP", "{env.APP}", "{$APP}", "{{ app }}", "$(hostname)"] {
            assert!(placeholder("route[1].upstream", text).is_some(), "{text}");
        }
        for text in ["/a$", "$5$salt", "{user}", "http://a/?b={c}", "a $b"] {
            assert!(placeholder("route[1].upstream", text).is_none(), "{text}");
        }
        let said = placeholder("route[1].upstream[2]", "${APP}").unwrap();
        assert!(said.write[0].starts_with("write \"http://127.0.0.1:9000\","), "{said:?}");
    }
}
