//! Masks secrets in the text of a file, so that its lines can be shown in messages.

use std::ops::Range;

/// Replaces the bytes of these spans by asterisks, so that all other spans stay where they are.
pub(crate) fn mask(text: &str, secrets: &[Range<usize>]) -> String {
    let mut masked = text.to_owned();
    for span in secrets {
        let hidden = text.get(span.clone()).map(hide);
        if let Some(hidden) = hidden {
            masked.replace_range(span.clone(), &hidden);
        }
    }
    masked
}

/// Masks everything that could be a value in a text that is not valid TOML: all letters, digits and signs except in
/// keys before the first `=` of a line, table headers and comments. In an htpasswd file the `=` may be within a hash.
pub(crate) fn mask_values(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let open = line.trim_start().starts_with(['[', '#']);
        let key = line.find('=').filter(|&at| line.get(..at).is_some_and(|key| key.chars().all(is_of_key)));
        let value = if open { line.len() } else { key.unwrap_or(0) };
        let (shown, hidden) = line.split_at_checked(value).unwrap_or(("", line));
        masked.push_str(shown);
        masked.push_str(&hide(hidden));
    }
    masked
}

fn is_of_key(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || "_-.\"' \t".contains(sign)
}

/// Replaces everything except structure and white space by asterisks; the length in bytes does not change.
fn hide(secret: &str) -> String {
    let mut hidden = String::with_capacity(secret.len());
    for character in secret.chars() {
        if character.is_ascii_whitespace() || "\"'[]{}=,".contains(character) {
            hidden.push(character);
        } else {
            hidden.extend(std::iter::repeat_n('*', character.len_utf8()));
        }
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_keep_the_positions_of_all_bytes() {
        let text = "password = \"Grüße\"\nemail = \"a\"\n";
        assert_eq!(mask(text, &[11..20, 29..32]), "password = \"*******\"\nemail = \"*\"\n");
        assert_eq!(mask(text, &[]), text);
    }

    #[test]
    fn a_broken_text_shows_its_structure_only() {
        let text = "[users.alice]\npassword = \"hun=ter\n  more ]\n# why\nalice = { password = 'x y' }\nbob:{SHA}W6ph=";
        let want = "[users.alice]\npassword = \"***=***\n  **** ]\n# why\nalice = { ******** = '* *' }\n****{***}****=";
        assert_eq!(mask_values(text), want);
    }
}
