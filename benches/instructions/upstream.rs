//! The application: answers every request with 1 KiB, on kept connections.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;

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

/// Answers every head. The requests have no bodies.
fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: application\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: {BODY_LENGTH}\r\nX-Frame-Options: DENY\r\n\r\n"
    );
    let answer = [head.into_bytes(), vec![b'x'; BODY_LENGTH]].concat();
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        request.extend_from_slice(piece.get(..count).unwrap_or_default());
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            stream.write_all(&answer)?;
        }
    }
}
