//! Paths that look like patterns. Paths are plain text, so such a route would match nothing.

use super::refusal::ValueRefusal;

/// Why a path with wildcards, a regular expression or surrounding spaces is refused; `None` for a plain one.
pub(crate) fn refused(text: &str) -> Option<ValueRefusal> {
    if text != text.trim() && !text.trim().is_empty() {
        return Some(
            ValueRefusal::new("has spaces at its beginning or end").write(format!("write \"{}\"", text.trim())),
        );
    }
    let expression = text.starts_with(['^', '~']) || text.ends_with('$') || text.contains(['\\', '{', '|']);
    if !expression && !text.contains('*') {
        return None;
    }
    let kind = if expression { "a regular expression or template" } else { "a wildcard" };
    let refusal =
        ValueRefusal::new(format!("\"{text}\" looks like {kind}: paths are plain text, and cover all below them"));
    Some(refusal.write(format!("write \"{}\"", plain(text))))
}

/// The longest plain path that such a text begins with.
fn plain(text: &str) -> String {
    let bare = text.trim_start_matches(['^', '~', '*', '=', ' ']);
    let end = bare.find(['*', '(', '[', '{', '$', '|', '+', '?', '\\']).unwrap_or(bare.len());
    let (literal, rest) = bare.split_at_checked(end).unwrap_or((bare, ""));
    // Leaves out the dot of `.*`, and an incomplete last segment.
    let whole = rest.is_empty() || rest == "$";
    let literal = if whole { literal } else { literal.rsplit_once('/').map_or("", |(folders, _)| folders) };
    let literal = literal.trim_end_matches('/');
    if literal.starts_with('/') { literal.to_owned() } else { format!("/{literal}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_replaced_by_their_literal_prefix() {
        let cases = [
            ("/app/*", Some("/app")),
            ("/app/**", Some("/app")),
            ("/*", Some("/")),
            ("*", Some("/")),
            ("/app*", Some("/")),
            ("^/app/(.*)$", Some("/app")),
            ("^/app$", Some("/app")),
            ("~ ^/api/v\\d+", Some("/api")),
            ("/users/{id}/files", Some("/users")),
            ("/(a|b)/c", Some("/")),
            ("/app", None),
            ("/Orders(1)", None),
            ("/a.b/c-d", None),
        ];
        for (text, want) in cases {
            let said = refused(text);
            assert_eq!(said.map(|said| said.write.concat()), want.map(|want| format!("write \"{want}\"")), "{text}");
        }
    }
}
