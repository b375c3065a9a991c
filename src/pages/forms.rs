//! Where the forms of an operator's templates are sent. Pages with a form have no `form-action` in their policy, so
//! browsers do not stop a form that is sent to another site: `check` warns of it.

use super::page::Page;
use crate::values::file_problem::FileProblem;

/// Problems in the forms of a rendered page.
pub(super) fn form_problems(page: &Page<'_>, html: &str) -> Vec<FileProblem> {
    let (mut found, mut posts) = (Vec::new(), false);
    for tag in tags(html) {
        if tag.is("form") {
            posts = tag.value("method").is_some_and(|method| method.eq_ignore_ascii_case("post"));
        }
        let target = if tag.is("form") { tag.value("action") } else { tag.value("formaction") };
        let Some(target) = target.map(|target| target.replace("&#x2f;", "/")).filter(|target| !target.is_empty())
        else {
            continue;
        };
        if is_elsewhere(&target) {
            found.push(elsewhere(page.template(), &target));
        } else if posts && matches!(page, Page::Login(_)) {
            found.push(loses_fragment(page.template()));
        }
    }
    found
}

fn elsewhere(template: &str, target: &str) -> FileProblem {
    let what = format!("a form of {template} is sent to {target}, with all that is typed into it");
    FileProblem::whole(what, "leave action and formaction out, or name an address of the gateway")
}

fn loses_fragment(template: &str) -> FileProblem {
    let what =
        format!("the form of {template} has an action: the fragment of an address (#...) is lost at the sign-in");
    FileProblem::whole(what, "write <form method=\"post\">: without action it goes to its own page's address")
}

/// Whether browsers read this as an address of another site (WHATWG URL 4.4): it has a scheme, or begins with two
/// slashes or backslashes, leading spaces and all tabs and newlines ignored.
fn is_elsewhere(target: &str) -> bool {
    let target: String = target.trim().chars().filter(|sign| !sign.is_control()).collect();
    let scheme = target.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|sign: char| sign.is_ascii_alphabetic())
            && scheme.chars().all(|sign| sign.is_ascii_alphanumeric() || "+-.".contains(sign))
    });
    let mut signs = target.chars();
    let slash = |sign: Option<char>| matches!(sign, Some('/' | '\\'));
    scheme || slash(signs.next()) && slash(signs.next())
}

/// A start tag.
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Tag<'a> {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value of an attribute; the first one if the name is repeated.
    fn value(&self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// The start tags of a page; comments have none.
fn tags(html: &str) -> Vec<Tag<'_>> {
    let (mut found, mut rest) = (Vec::new(), html);
    while let Some((_, after)) = rest.split_once('<') {
        rest = match after.strip_prefix("!--") {
            Some(comment) => comment.split_once("-->").map_or("", |(_, behind)| behind),
            None if after.starts_with(|sign: char| sign.is_ascii_alphabetic()) => {
                let (name, behind) = split_where(after, ends_name);
                let (attributes, behind) = attributes(behind);
                found.push(Tag { name, attributes });
                behind
            }
            None => after,
        };
    }
    found
}

/// The attributes of a tag, and the text after it.
fn attributes(text: &str) -> (Vec<(&str, &str)>, &str) {
    let (mut found, mut rest) = (Vec::new(), text);
    loop {
        rest = rest.trim_start_matches(|sign: char| sign.is_ascii_whitespace() || sign == '/');
        let (name, behind) = split_where(rest, |sign| ends_name(sign) || sign == '=');
        if name.is_empty() {
            return (found, rest);
        }
        let (value, behind) = match behind.trim_start().strip_prefix('=') {
            Some(value) => value_of(value.trim_start()),
            None => ("", behind),
        };
        found.push((name, value));
        rest = behind;
    }
}

/// A value in quotes or without, and the text after it.
fn value_of(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    split_where(text, |sign| sign.is_ascii_whitespace() || sign == '>')
}

fn ends_name(sign: char) -> bool {
    sign.is_ascii_whitespace() || matches!(sign, '/' | '>')
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at_checked(text.find(ends).unwrap_or(text.len())).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::super::{SignInForm, SignedInPage};
    use super::*;

    const LOGIN: Page<'_> = Page::Login(SignInForm { site: "", next: "", user: "", problem: None });
    const SIGNED_IN: Page<'_> =
        Page::SignedIn(SignedInPage { user: "", next: "", switch: "", came_back: false, sessions: "", password: None });

    fn messages(page: &Page<'_>, html: &str) -> Vec<&'static str> {
        let kind =
            |problem: FileProblem| if problem.message.contains(" is sent to ") { "elsewhere" } else { "fragment" };
        form_problems(page, html).into_iter().map(kind).collect()
    }

    #[test]
    fn forms_to_other_sites_or_without_the_fragment_are_reported() {
        let cases: [(&str, &[&str]); 18] = [
            ("<form method=post>", &[]),
            ("<form method=post action>", &[]),
            ("<form method=\"post\" action=\"\">", &[]),
            ("<form method=\"post\" action=\"&#x2f;login\">", &["fragment"]),
            ("<FORM class=x ACTION = '#' Method=POST>", &["fragment"]),
            ("<form action=/search>", &[]),
            ("<form action=/search><form method=post action='/login'/>", &["fragment"]),
            ("<form method=post><button formaction=/login>", &["fragment"]),
            ("<form method=post><input type=image formaction='https://evil.test'>", &["elsewhere"]),
            ("<form action=https://evil.test/x>", &["elsewhere"]),
            ("<form action=' \n//evil.test'>", &["elsewhere"]),
            ("<form action='&#x2f;&#x2f;evil.test'>", &["elsewhere"]),
            ("<form action='/\\evil.test'>", &["elsewhere"]),
            ("<form action='java\tscript:x'>", &["elsewhere"]),
            ("<form action=mailto:a@b>", &["elsewhere"]),
            ("<!-- <form action=https://evil.test> -->", &[]),
            ("<formx action=https://evil.test>", &[]),
            ("a < b <form method=post action=\"", &[]),
        ];
        for (html, want) in cases {
            assert_eq!(messages(&LOGIN, html), want, "{html}");
            let elsewhere: Vec<_> = want.iter().copied().filter(|kind| *kind == "elsewhere").collect();
            assert_eq!(messages(&SIGNED_IN, html), elsewhere, "{html}");
        }
    }
}
