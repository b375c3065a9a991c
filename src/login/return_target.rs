//! Where a sign-in leads, and how that target is encoded in the sign-in form.
//!
//! [`ReturnTo`] checks every target that an attacker could have written. A requested page that the gateway has accepted
//! must be reached unchanged: if that check would refuse it, it is encoded as base64url with a MAC.

use data_encoding::BASE64URL_NOPAD;

use crate::logout::answer::{self, Next};
use crate::routes::table::RouteTable;
use crate::values::form::FormValue;
use crate::values::mac::{Mac, MacKeys, MacPurpose};
use crate::values::own_hosts::{HostId, OwnHosts};
use crate::values::own_path::OwnPages;
use crate::values::return_to::{AllowedOrigins, ReturnTo};
use crate::values::target::Target;

/// The prefix of an encoded target: neither a path nor a URL begins with it.
const PREFIX: char = '.';
/// The length of a MAC, in characters.
const MAC_LENGTH: usize = 22;

/// The parts of one configuration that decide where a sign-in may lead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReturnTargets<'a> {
    /// The target for users who did not come from another page.
    pub(crate) default: &'a ReturnTo,
    /// The origins of the gateway itself.
    pub(crate) own_origins: &'a AllowedOrigins,
    /// The hosts that are served.
    pub(crate) hosts: &'a OwnHosts,
    /// The gateway's own addresses: a sign-in does not lead there.
    pub(crate) own_pages: &'a OwnPages,
    /// The routes.
    pub(crate) routes: &'a RouteTable,
    /// The keys of the MAC.
    pub(crate) keys: &'a MacKeys,
}

impl ReturnTargets<'_> {
    /// The target of a sign-in on this host: the requested page, if it is one of an application, or the default.
    pub(crate) fn of(&self, field: FormValue<'_>, host: HostId) -> ReturnTo {
        let own = match field {
            FormValue::One(text) => self.read(text, host),
            FormValue::Absent | FormValue::Several => None,
        };
        own.or_else(|| self.checked(field, host)).unwrap_or_else(|| self.default.clone())
    }

    /// Encodes a target so that [`ReturnTargets::of`] can read it.
    pub(crate) fn encode(&self, target: &ReturnTo, host: HostId) -> String {
        let text = target.to_string();
        if self.checked(FormValue::One(&text), host).as_ref() == Some(target) {
            return text;
        }
        let code = self.keys.sign(MacPurpose::ReturnTarget, &[self.name_of(host), text.as_bytes()]).encode();
        format!("{PREFIX}{code}{}", BASE64URL_NOPAD.encode(text.as_bytes()))
    }

    fn checked(&self, field: FormValue<'_>, host: HostId) -> Option<ReturnTo> {
        match answer::next(field, self.own_origins, self.hosts, self.own_pages) {
            Next::Page(target) => Some(target).filter(|target| !self.signs_out(target, host)),
            Next::Ignored | Next::Logout => None,
        }
    }

    /// Whether it is an application's own logout link, which would end the new session at once.
    fn signs_out(&self, target: &ReturnTo, host: HostId) -> bool {
        let host = target.origin().map_or(Some(host), |origin| self.hosts.host_id(&origin.host));
        let path = target.path_and_query().split('#').next().unwrap_or_default();
        let (Some(host), Ok(asked)) = (host, Target::parse(path.as_bytes())) else { return false };
        matches!(self.routes.find(host, asked.path()), Ok(Some(route)) if route.logout.is_link(&asked))
    }

    /// Reads a target that the gateway encoded. It still has to be an application's page, since routes may have
    /// changed.
    fn read(&self, text: &str, host: HostId) -> Option<ReturnTo> {
        let (code, text) = text.strip_prefix(PREFIX)?.split_at_checked(MAC_LENGTH)?;
        let text = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let code = Mac::parse(code.as_bytes())?;
        if !self.keys.verify(MacPurpose::ReturnTarget, &[self.name_of(host), &text], &code) {
            return None;
        }
        // A path on this host, or a page of another host of the gateway.
        let (origin, rest) = match text.strip_prefix(b"/") {
            Some(_) => (None, &*text),
            None => {
                ReturnTo::split(std::str::from_utf8(&text).ok()?).map(|(origin, rest)| (origin, rest.as_bytes()))?
            }
        };
        let host = match &origin {
            Some(origin) if self.own_origins.contains(origin) => self.hosts.host_id(&origin.host)?,
            Some(_) => return None,
            None => host,
        };
        let target = Target::parse(rest).ok()?;
        let path = target.path();
        let is_page =
            matches!(self.own_pages.find(path), Ok(None)) && matches!(self.routes.find(host, path), Ok(Some(_)));
        is_page.then(|| {
            let target = ReturnTo::of_target(&target);
            origin.iter().fold(target, |target, origin| target.on(origin))
        })
    }

    fn name_of(&self, host: HostId) -> &[u8] {
        self.hosts.names().get(host.index()).map(|host| host.as_str().as_bytes()).unwrap_or_default()
    }
}
