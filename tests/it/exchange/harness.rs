//! An application that says exactly the bytes of a script, and a client that sees what became of the connection to it.

use std::sync::Arc;

use crate::server::client::Client;
use crate::site::answer::{Answer, request};
use crate::site::harness::Site;
use crate::upstream::{self, Connection};

/// What an application says to a request, byte for byte.
#[derive(Clone)]
pub struct Script {
    bytes: Arc<str>,
    /// Whether it closes the connection behind that.
    closes: bool,
}

/// Says this and keeps the connection.
pub fn says(text: &str) -> Script {
    Script { bytes: text.into(), closes: false }
}

/// Says this and closes the connection.
pub fn says_and_closes(text: &str) -> Script {
    Script { bytes: text.into(), closes: true }
}

/// An application that answers `/public/which` with the number of the connection, and everything else with the script.
pub async fn site_of(script: Script) -> Site {
    let app = upstream::start(move |connection, number| play(connection, number, script.clone())).await;
    Site::before_one(app)
}

async fn play(mut connection: Connection, number: usize, script: Script) {
    while let Some(head) = connection.request().await {
        if head.starts_with("GET /public/which ") {
            connection.answer(200, "", &number.to_string()).await;
        } else {
            connection.write(&script.bytes).await;
            if script.closes {
                return;
            }
        }
    }
}

/// The number of the connection by which the next request of this client goes.
async fn which(client: &mut Client) -> String {
    client.exchange(&request("GET", "/public/which", &[], "")).await.text().to_owned()
}

/// What came of one exchange.
pub struct Outcome {
    /// `None`: the client's connection was closed before the answer's end.
    pub answer: Option<Answer>,
    /// Whether the client's connection goes on.
    pub kept: bool,
    /// Whether the connection to the application was used again.
    pub reused: bool,
}

/// Sends a request to an application that is in use already, and looks what it is used for afterwards.
pub async fn ask(site: &Site, method: &str, lines: &[&str]) -> Outcome {
    let mut client = site.client().await;
    let before = which(&mut client).await;
    let page = request(method, "/public/x", lines, "");
    client.say(&page).await;
    let answer = client.reply_to(&page).await;
    let closes = |answer: &Answer| answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let kept = answer.as_ref().is_some_and(|answer| !closes(answer));
    if !kept {
        let behind = client.rest().await;
        assert!(answer.is_none() || behind.is_empty(), "this comes behind the last answer: {behind}");
        client = site.client().await;
    }
    Outcome { answer, kept, reused: which(&mut client).await == before }
}

/// The same with `GET` and no further lines, by an application that says this.
pub async fn get(script: Script) -> Outcome {
    ask(&site_of(script).await, "GET", &[]).await
}
