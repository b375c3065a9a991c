//! The application: answers every request with 1 KiB, on kept connections.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;

use super::scenario::Request;
use super::{Result, wait_for_the_end};

const BODY_LENGTH: usize = 1024;

/// Serves until the input ends.
pub fn run() -> Result<ExitCode> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}\n", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that breaks is the other side's business.
            thread::spawn(move || drop(serve(stream)));
        }
    });
    wait_for_the_end();
    Ok(ExitCode::SUCCESS)
}

/// The cookies that are set at [`Request::FILL`], as applications write them.
const COOKIES: &str = "\
Set-Cookie: sid=s%3Ae1fT0Wq7mB9uZxk3.h2Yv8Lr5Nc; Path=/; HttpOnly; SameSite=Lax\r\n\
Set-Cookie: remember_me=4f1c0b7d9e2a4c55b8c06d1e; Path=/; HttpOnly; Max-Age=86400\r\n\
Set-Cookie: basket=b7d2e9a41f; Path=/shop; HttpOnly\r\n";

/// Answers every head. The requests have no bodies.
fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let (answer, filling) = (answer(""), answer(COOKIES));
    let fill = ["GET ", Request::FILL, " "].concat().into_bytes();
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        request.extend_from_slice(piece.get(..count).unwrap_or_default());
        if request.ends_with(b"\r\n\r\n") {
            stream.write_all(if request.starts_with(&fill) { &filling } else { &answer })?;
            request.clear();
        }
    }
}

/// An answer with these further lines in its head.
fn answer(lines: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: application\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: {BODY_LENGTH}\r\nX-Frame-Options: DENY\r\n{lines}\r\n"
    );
    [head.into_bytes(), vec![b'x'; BODY_LENGTH]].concat()
}
