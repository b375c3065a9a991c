//! The parts of a browser's logout request that logout calls need.

use std::fmt;

use crate::values::client_address::ClientAddress;
use crate::values::origin::Scheme;

/// The parts of a browser's logout request that logout calls need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrowserRequest {
    /// The host that it was for.
    pub(crate) host: Box<str>,
    /// Its `Host`, as the browser wrote it.
    pub(crate) authority: Box<str>,
    /// The scheme of its address, as the browser sees it.
    pub(crate) scheme: Scheme,
    /// The client's address.
    pub(crate) client: ClientAddress,
    /// Its cookies without those of the gateway.
    pub(crate) cookies: CookieLine,
}

/// The value of a `Cookie` line; `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct CookieLine(pub(crate) Vec<u8>);

impl CookieLine {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for CookieLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieLine(…)")
    }
}
