//! The messages for syntax errors, which repeat no secret.

use proptest::prelude::*;

use super::*;

/// The findings of a text: the place, the message, and what to write.
fn found(text: &str) -> Vec<(String, String, String)> {
    let shown = |finding: &Finding| {
        let span = finding.span.clone().unwrap();
        (text.get(span).unwrap().to_owned(), finding.what.clone(), finding.write.join(" | "))
    };
    findings(text).iter().map(shown).collect()
}

#[test]
fn every_syntax_error_has_a_message_and_help() {
    let cases = [
        ("path = “/app”\n", "path = “/app”", "a typographic quote (U+201C)", "write `path = \"/app\"`"),
        ("path\u{a0}= \"/\"\n", "path\u{a0}= \"/\"", "column 5 has a no-break space", "write `path = \"/\"`"),
        ("path\u{200b} = \"/\"\n", "path\u{200b} = \"/\"", "an invisible character (U+200B)", "write `path = \"/\"`"),
        ("access = True\n", "access = True", "in lower case", "write `access = true`"),
        ("access = yes # why\n", "access = yes # why", "in lower case", "write `access = true # why`"),
        ("path: /app\n", "path: /app", "this is YAML", "write `path = \"/app\"`"),
        ("session:\n", "session:", "this is YAML", "write `[session]`"),
        ("- one\n", "- one", "this is YAML: a list", "remove this line"),
        ("proxy_pass http://a:1;\n", "proxy_pass http://a:1;", "a line of nginx", "write `upstream = \"http://a:1\"`"),
        ("listen 80;\n", "listen 80;", "a line of nginx", "write `listen = [\"[::]:80\"]`"),
        ("server {\n", "server {", "no blocks", "remove this line"),
        ("};\n", "};", "no blocks", "remove this line"),
        ("path \"/\"\n", "path \"/\"", "must be an equals sign", "write `path = \"/\"`"),
        ("path := \"/\"\n", "path := \"/\"", "one equals sign", "write `path = \"/\"`"),
        ("path == \"/\"\n", "path == \"/\"", "one equals sign", "write `path = \"/\"`"),
        ("path = /app # x\n", "path = /app # x", "a text must be in quotes", "write `path = \"/app\" # x`"),
        ("path = \"/app\",\n", "path = \"/app\",", "without a comma", "write `path = \"/app\"`"),
        ("fields = 30;\n", "fields = 30;", "without a comma", "write `fields = 30`"),
        ("dir = \"C:\\dir\"\n", "dir = \"C:\\dir\"", "single quotes", "write `dir = 'C:\\dir'`"),
        ("idle = 30s\n", "idle = 30s", "in quotes", "write `idle = \"30s\"`"),
        ("idle timeout = \"1h\"\n", "idle timeout = \"1h\"", "without spaces", "write `idle_timeout = \"1h\"`"),
        ("path =\n", "path =", "path has no value", "put # before the line"),
        ("fields = 32k\n", "fields = 32k", "quotes", "write `fields = 32000`"),
        ("hosts = [\"a\"]]\n", "hosts = [\"a\"]]", "", "write `hosts = [\"a\"]`"),
        ("// why\n", "// why", "a comment begins with #", "write `# why`"),
        ("[login\n", "[login", "must be in brackets", "write `[login]`"),
        ("[[route]\n", "[[route]", "must be in brackets", "write `[[route]]`"),
        ("path = \"/app\n", "\"/app", "this \" is not closed", "write `\"/app\"`"),
        ("hosts = [\"a\"\nstate = \"x\"\n", "[\"a\"", "] is missing", "write `[\"a\"]`"),
        ("hosts = [\n  \"a\",\n  \"b\"\nstate = \"x\"\n", "[", "] is missing", "add a line `]` before line 4"),
        ("hosts = [\"a\" \"b\"]\n", "\"a\"", "must be a comma", "write `\"a\",`"),
        ("methods = [GET]\n", "GET", "in a list must be in quotes", "write `\"GET\"`"),
        ("log = { format = \"b\"\nstate = \"x\"\n", "{ format = \"b\"", "} is missing", "write `{ format = \"b\"}`"),
        ("path = \"/\"\npath = \"/\"\n", "path", "path is set twice: first in line 1", "remove this line"),
        ("[route]\npath = \"/\"\n[[route]]\n", "[[route]]", "first in line 1", "write `[[route]]` in line 1"),
        ("[login]\n[log]\n[login]\n", "[login]", "[login] is set twice: first in line 1", "move the lines"),
        ("!\n", "!", "this is not valid TOML", "a table's name in brackets"),
    ];
    let fits = |text, (place, what, write): (&str, &str, &str)| match found(text).as_slice() {
        [(stands, said, help)] => stands == place && said.contains(what) && help.contains(write),
        _ => false,
    };
    let wrong = cases.iter().filter(|(text, place, what, write)| !fits(text, (place, what, write)));
    let wrong: Vec<String> = wrong.map(|(text, ..)| format!("{text:?}: {:?}\n", found(text))).collect();
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[test]
fn all_errors_are_reported_once() {
    let text = "listen = [\"127.0.0.1:8080\"\npublic_url = http://localhost:8080\n\n[[route]]\npath: /\n\
                upstream = “http://127.0.0.1:9000”\n[login]\nusers = \"users.toml\nusers = \"b\"\n";
    let lines: Vec<usize> =
        findings(text).iter().map(|finding| Line::at(text, finding.span.clone().unwrap().start).number).collect();
    assert_eq!(lines, [1, 2, 5, 6, 8]);
}

#[test]
fn values_of_unknown_keys_are_neither_shown_nor_repeated() {
    let secret = "hunter2";
    let cases = [
        "cookie_secret = hunter2\n",
        "cookie_secret: hunter2\n",
        "cookie_secret hunter2;\n",
        "cookie_secret = \"hunter2\n",
        "cookie_secret = “hunter2”\n",
        "cookie_secret = [\"hunter2\"\nstate = \"x\"\n",
        "cookie_secret = [\n  \"hunter2\",\n  \"hunter2\"\nstate = \"x\"\n",
        "cookie_secret = \"\"\"\nhunter2\nx = hunter2\n",
        "session = { cookie_secret = \"hunter2\"\nstate = \"x\"\n",
        "session = { cookie_secret = hunter2 }\n",
        "custom = { \"X-Key\" = \"hunter2\" \"X\" = 1 }\n",
        "hunter2\n",
        "\"hunter2\"\n\"x\"",
        "x = \"\"\"\n  hunter2",
        "export SECRET=hunter2\n",
        "- hunter2\n",
        "cookie_secret = [hunter2]\n",
        "cookie_secret = hunter2\ncookie_secret = hunter2\n",
    ];
    for text in cases {
        let shown = concealed(text);
        assert_eq!(shown.len(), text.len());
        let told = found(text).into_iter().map(|(_, what, write)| what + &write).collect::<String>();
        assert!(!shown.contains(secret) && !told.contains(secret), "{text:?}: {shown}: {told}");
    }
    for text in
        ["path = /app\n", "path: /app\n", "users = \"a\n", "upstream = http://a/?b=c\n", "[login\n", "# a = b\n"]
    {
        assert_eq!(concealed(text), text);
    }
}

proptest! {
    #[test]
    fn any_text_is_explained(text in "([a-z_]{1,6}|[ =:;\\[\\]{}\"'#,\n\r\u{a0}“ä-]|listen|route|\"\"\"){0,60}") {
        let found = findings(&text);
        let sound = DeTable::parse_recoverable(&text).1.is_empty();
        prop_assert_eq!(found.is_empty(), sound);
        prop_assert!(found.iter().all(|finding| text.get(finding.span.clone().unwrap()).is_some()));
        let shown = concealed(&text);
        prop_assert!(shown.len() == text.len() && shown.matches('\n').count() == text.matches('\n').count());
    }
}
