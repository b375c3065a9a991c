//! INTERIM: stands in for the parts' own settings until they are merged.
use std::path::PathBuf;
use std::time::Duration;
use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use crate::values::header_edits::HeaderEdits;
use crate::values::identity::Field;
use crate::values::origin::{Authority, Host, Origin};
use crate::values::upstream_address::UpstreamAddress;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedProxy { Net(IpNet), Unix }

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPrefix(pub String);
impl PathPrefix {
    pub fn parse(t: &str) -> Option<Self> {
        let ok = t.starts_with('/') && !t.contains("//") && t.bytes().all(|b| b.is_ascii_graphic() && !b"?#%;\\".contains(&b))
          && t.split('/').all(|s| s != "." && s != "..");
        ok.then(|| Self(t.into()))
    }
    pub fn matches(&self, path: &str) -> bool {
        let p = self.0.trim_end_matches('/');
        path.strip_prefix(p).is_some_and(|r| r.is_empty() || r.starts_with('/'))
    }
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access { Public, SignedIn, Groups(Vec<String>) }

#[derive(Clone, Debug)]
pub struct RouteSettings {
    pub host: Option<Host>, pub path: PathPrefix, pub upstreams: Vec<UpstreamAddress>, pub upstream_host: Option<Authority>,
    pub upstream_ca: Option<Vec<u8>>, pub access: Access, pub origins: Vec<Origin>, pub request_headers: HeaderEdits, pub response_headers: HeaderEdits,
}
#[derive(Clone, Debug, Default)]
pub struct UpstreamTimeouts { pub connect: Duration, pub response: Duration }

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset { XForwarded, Remote }
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece { Text(String), Field(Field) }
#[derive(Clone, Debug)]
pub struct IdentitySettings { pub headers: Vec<Preset>, pub custom: Vec<(HeaderName, Vec<Piece>)> }

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite { Lax, Strict, None }
#[derive(Clone, Debug)]
pub struct SessionSettings { pub idle_timeout: Duration, pub max_lifetime: Duration, pub max_per_user: usize, pub sessions: usize, pub same_site: SameSite, pub cookie: String }
#[derive(Clone, Debug)]
pub struct LoginSettings { pub users: PathBuf, pub path: String, pub next: String, pub body: usize }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnGet { Navigate, Confirm, Never }
#[derive(Clone, Debug)]
pub struct LogoutSettings { pub paths: Vec<String>, pub get: OnGet, pub next: Option<crate::values::return_to::ReturnTo>, pub allowed_origins: Vec<crate::values::return_to::OriginPattern>, pub grace: Duration, pub clear_site_data: Vec<&'static str> }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat { Text, Json, Combined }
pub type Unused = HeaderValue;
