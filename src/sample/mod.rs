//! The built-in sample application: a small shop in the style of a legacy application, for `exeunt demo` and for routes
//! with `upstream = "demo"`.
//!
//! It has no code for the gateway, and everything that a logout has to deal with: it trusts `X-Forwarded-User`, keeps a
//! cart on the server under its own HttpOnly cookie and the language in a cookie that scripts can read, has its own
//! logout at `/accounts/logout/`, and keeps connections open for live prices.

mod answer;
mod cart;
mod cookies;
mod event_stream;
mod handlers;
mod language;
mod pages;
mod products;
mod server;
mod shop_path;
mod texts;
mod ticker;
mod visit;
mod visitors;
mod websocket;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use pages::ShopPages;
use ticker::Ticker;
use visitors::Visitors;

/// The state that all requests share.
#[derive(Debug)]
struct Shop {
    pages: ShopPages,
    visitors: Visitors,
    ticker: Ticker,
}

impl Shop {
    /// A shop whose prices change with the counter of this sender.
    fn new() -> io::Result<(Self, watch::Sender<u64>)> {
        let (ticks, tick) = watch::channel(0);
        let pages = ShopPages::new().map_err(io::Error::other)?;
        Ok((Self { pages, visitors: Visitors::default(), ticker: Ticker::new(tick) }, ticks))
    }
}

/// The running sample application. Dropping it closes all connections at once.
#[derive(Debug)]
pub struct Sample {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Sample {
    /// Starts the shop on a free port of 127.0.0.1; to be called within a tokio runtime.
    ///
    /// At most 1,024 connections, 256 live streams and 1,000 carts: further connections wait, further streams are
    /// answered 503, and a new cart takes the place of the one that was not used for the longest time.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn start() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let (shop, ticks) = Shop::new()?;
        let serving = tokio::spawn(server::serve(listener, Arc::new(shop), ticks));
        Ok(Self { address, serving })
    }

    /// The address at which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[cfg(test)]
mod tests;
