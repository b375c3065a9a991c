//! One access line for every exchange, however it ends.

use exeunt::audit::Format;
use exeunt::values::invisible::is_invisible;
use tokio::sync::Semaphore;

use super::answer::request;
use super::harness::{FORM, Site};
use crate::server::client::within;
use crate::upstream;

async fn busy_site(format: Format) -> Site {
    let (site, _echo) = Site::with_echo_and(|setup| setup.log.format = format).await;
    let alice = site.sign_in("alice").await;
    assert_eq!(site.get("/a?x", &[&alice]).await.status, 200);
    assert_eq!(site.get("/b?x", &[]).await.status, 401);
    assert_eq!(site.get("//c?x", &[&alice]).await.status, 400);
    assert_eq!(site.ask("POST", "/login", &[FORM], "username=alice&password=wrong").await.status, 401);
    assert_eq!(site.ask("POST", "/logout?next=/e", &[&alice], "").await.status, 303);
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exchange_has_one_line_in_every_format() {
    for format in [Format::Text, Format::Json, Format::Combined] {
        let site = busy_site(format).await;
        // What the line of this exchange has, and no other line.
        let exchanges: [(&str, [&str; 3]); 6] = [
            ("/login", ["303", "401", ""]),
            ("/a", ["200", "", ""]),
            ("/b", ["401", "", ""]),
            ("//c", ["400", "", ""]),
            ("/logout", ["303", "", ""]),
            ("/none", ["", "", ""]),
        ];
        for (path, statuses) in exchanges {
            let statuses: Vec<_> = statuses.into_iter().filter(|status| !status.is_empty()).collect();
            super::harness::until(|| access_lines(&site, format, path).len() >= statuses.len()).await;
            let lines = access_lines(&site, format, path);
            assert_eq!(lines.len(), statuses.len(), "{path} in {format:?}: {lines:?}");
            for status in statuses {
                assert_eq!(lines.iter().filter(|line| has_status(line, format, status)).count(), 1, "{lines:?}");
            }
        }
        if format == Format::Json {
            let broken = |line: &String| serde_json::from_str::<serde_json::Value>(line).is_err();
            assert_eq!(site.lines().into_iter().find(broken), None);
        }
    }
}

fn access_lines(site: &Site, format: Format, path: &str) -> Vec<String> {
    let wanted = match format {
        Format::Text => format!(" path={path} "),
        Format::Json => format!("\"path\":\"{path}\""),
        Format::Combined => format!(" {path} HTTP/1.1\" "),
    };
    site.lines().into_iter().filter(|line| line.contains(&wanted)).collect()
}

fn has_status(line: &str, format: Format, status: &str) -> bool {
    line.contains(&match format {
        Format::Text => format!(" status={status} "),
        Format::Json => format!("\"status\":{status}"),
        Format::Combined => format!("\" {status} "),
    })
}

/// Cut by a logout, left by its client, refused before it was read: one line each.
#[tokio::test(flavor = "multi_thread")]
async fn exchanges_that_are_cut_have_their_line() {
    let asked = std::sync::Arc::new(Semaphore::new(0));
    let note = std::sync::Arc::clone(&asked);
    let silent = upstream::start(move |mut connection, _| {
        let note = std::sync::Arc::clone(&note);
        async move {
            while connection.request().await.is_some() {
                note.add_permits(1);
            }
        }
    })
    .await;
    let site = Site::before_one(silent);
    let alice = site.session_of("alice").await;
    let mut cut = site.client().await;
    cut.say(&request("GET", "/cut", &[&alice], "")).await;
    let mut left = site.client().await;
    left.say(&request("GET", "/left", &[&alice], "")).await;
    asked.acquire_many(2).await.unwrap().forget();
    left.stream.set_zero_linger().unwrap();
    drop(left);
    assert_eq!(site.access_lines(1, "path=/left ").await.len(), 1);
    site.sign_out(&alice).await;
    assert_eq!(site.turning(cut.rest()).await, "");
    for path in ["/cut", "/left"] {
        let lines = site.access_lines(1, &format!("path={path} ")).await;
        assert!(lines.len() == 1 && lines[0].contains("user=alice") && lines[0].contains("status=-"), "{lines:?}");
    }
}

/// A client that sent a byte has an access line, however its connection ended.
#[tokio::test(flavor = "multi_thread")]
async fn every_connection_that_sent_a_byte_has_a_line() {
    let (site, _echo) = Site::with_echo_and(|_| {}).await;
    let gone = ["G", "GET /half HTTP/1.1\r\nHost: app.te", "POST /public/x HTTP/1.1\r\nHost: app.test\r\n"];
    for (at, bytes) in gone.into_iter().enumerate() {
        for resets in [false, true] {
            let mut client = site.client().await;
            client.say(bytes).await;
            within(site.server.reached(1)).await;
            // What was sent has come when the time for it begins to run: nothing else can be seen of it from outside.
            super::harness::until(|| site.server.connections() == 1).await;
            if resets {
                client.stream.set_zero_linger().unwrap();
            }
            drop(client);
            within(site.server.reached(0)).await;
            let lines = site.access_lines(at * 2 + usize::from(resets) + 1, "cut=client_gone").await;
            assert!(lines.iter().all(|line| line.contains("status=-")), "{lines:?}");
        }
    }
    for bytes in ["\x16\x03\x01", "GET / HTTP/9.9\r\n", "GET /a b HTTP/1.1\r\n", "POST / HTTP/1.1\r\nX: \0\r\n\r\n"] {
        let before = site.lines().len();
        let mut client = site.client().await;
        client.say(bytes).await;
        let message = client.rest().await;
        assert!(message.starts_with("HTTP/1.1 ") && !message.to_ascii_lowercase().contains("pingora"), "{message}");
        super::harness::until(|| site.lines().len() == before + 1).await;
    }
}

/// Control characters of terminals and line breaks, in every place that a client controls: as bytes where HTTP allows
/// them, else encoded in the form of a sign-in.
#[tokio::test(flavor = "multi_thread")]
async fn control_characters_are_escaped_in_log_lines() {
    for format in [Format::Text, Format::Json, Format::Combined] {
        let (site, _echo) = Site::with_echo_and(|setup| setup.log.format = format).await;
        let heads = [
            "GET /public/agent HTTP/1.1\r\nHost: app.test\r\nUser-Agent: a\u{9b}31m\u{85}\r\n",
            "GET /public/referer HTTP/1.1\r\nHost: app.test\r\nReferer: http://app.test/\u{9b}31m\r\n",
            "GET /path/\u{9b}31m HTTP/1.1\r\nHost: app.test\r\n",
            "GET /escape/\u{1b}[31m\u{7f}\u{7} HTTP/1.1\r\nHost: app.test\r\n",
            "GET /encoded/%0d%0aevent=signed_in%1b%00 HTTP/1.1\r\nHost: app.test\r\n",
            "GET /host HTTP/1.1\r\nHost: app.test\u{9b}31m\r\n",
            "G\u{1b}ET /method HTTP/1.1\r\nHost: app.test\r\n",
            "GET /return HTTP/1.1\r\nHost: app.test\r\nUser-Agent: a\rb\r\n",
            "GET /public/bidi HTTP/1.1\r\nHost: app.test\r\nUser-Agent: a\u{202e}b\u{2066}c\u{e0041}\r\n",
            "GET http://user:geheim-user@app.test/absolute HTTP/1.1\r\nHost: app.test\r\n",
            "GET /host HTTP/1.1\r\nHost: user:geheim-host@app.test\r\n",
            "GET /public/from HTTP/1.1\r\nHost: app.test\r\nReferer: http://user:geheim-referer@app.test/\r\n",
            "GET /nothing HTTP/1.1\r\nHost: app.test\r\nReferer: a\0b\r\n",
        ];
        for head in heads {
            let mut client = site.client().await;
            client.say(&format!("{head}Connection: close\r\n\r\n")).await;
            client.rest().await;
        }
        let name = "e%e2%80%aeve%0d%0aevent%3Dsigned_in%1b%5b31m%00%08%7f%c2%9b%c2%85";
        let answer = site.ask("POST", "/login", &[FORM], &format!("username={name}&password=geheim-password")).await;
        assert!(answer.status >= 400, "{answer:?}");
        for path in ["/public/agent", "/public/referer", "/path/", "/host", "/public/bidi", "/absolute", "/public/from"]
        {
            super::harness::until(|| site.lines().iter().any(|line| line.contains(path))).await;
        }
        let lines = site.lines();
        assert_eq!(lines.iter().find(|line| line.contains(is_invisible)), None, "{format:?}");
        let all = lines.join("\n");
        assert!(!all.contains("geheim"), "{all}");
        assert!(all.contains("9b") && !all.contains("\nevent=signed_in"), "they are there, and escaped: {all}");
    }
}
