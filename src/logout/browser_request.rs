//! A browser's request to sign out, as far as it is passed to the applications that are called.

use std::fmt;

use crate::values::client_address::ClientAddress;
use crate::values::origin::Scheme;

/// A browser's request to sign out, as far as it is passed to applications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrowserRequest {
    /// The own host that it came to.
    pub(crate) host: Box<str>,
    /// Its `Host`, as the browser wrote it.
    pub(crate) authority: Box<str>,
    /// The scheme of its address, as the browser sees it.
    pub(crate) scheme: Scheme,
    /// Where it came from.
    pub(crate) client: ClientAddress,
    /// Its cookies without those of the gateway.
    pub(crate) cookies: CookieLine,
}

/// A `Cookie` line, which is not shown.
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
