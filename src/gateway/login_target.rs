//! Where a sign-in leads, and how that is written down until then.
//!
//! What strangers can write goes through the sieve of [`ReturnTo`]. A page that was asked for here, and judged here,
//! comes back as it was: where the sieve would not let it through, it is written as base64url with a code that only
//! the gateway can make.

use data_encoding::BASE64URL_NOPAD;

use super::assembled::{Assembled, Requested};
use crate::logout::answer::{self, Next};
use crate::values::form::FormValue;
use crate::values::mac::{Mac, Purpose};
use crate::values::own_hosts::HostId;
use crate::values::return_to::ReturnTo;
use crate::values::target::Target;

/// Begins what only the gateway writes: no path and no address begins like this.
const MARK: char = '.';
/// Characters of a code.
const CODE: usize = 22;

/// The target of a sign-in: what was asked for, if it is a page of ours, or the configured one.
pub(super) fn login_target(field: FormValue<'_>, host: HostId, assembled: &Assembled) -> ReturnTo {
    let own = match field {
        FormValue::One(text) => read(text, host, assembled),
        FormValue::Absent | FormValue::Several => None,
    };
    own.or_else(|| checked_target(field, assembled)).unwrap_or_else(|| assembled.login.next.clone())
}

/// How a target is written so that [`login_target`] reads it again.
pub(super) fn encode_target(target: &ReturnTo, host: HostId, assembled: &Assembled) -> String {
    let text = target.to_string();
    if checked_target(FormValue::One(&text), assembled).as_ref() == Some(target) {
        return text;
    }
    let code = assembled.keys.sign(Purpose::ReturnTarget, &[name_of(host, assembled), text.as_bytes()]).encode();
    format!("{MARK}{code}{}", BASE64URL_NOPAD.encode(text.as_bytes()))
}

fn checked_target(field: FormValue<'_>, assembled: &Assembled) -> Option<ReturnTo> {
    match answer::next(field, &assembled.own_origins, &assembled.hosts, &assembled.own_pages) {
        Next::Page(target) => Some(target),
        Next::Ignored | Next::Logout => None,
    }
}

/// Reads what the gateway wrote. The routes may have changed since: it still has to be an application's page.
fn read(text: &str, host: HostId, assembled: &Assembled) -> Option<ReturnTo> {
    let (code, text) = text.strip_prefix(MARK)?.split_at_checked(CODE)?;
    let text = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let code = Mac::parse(code.as_bytes())?;
    let parts = [name_of(host, assembled), &text];
    if !assembled.keys.verify(Purpose::ReturnTarget, &parts, &code) {
        return None;
    }
    let target = Target::parse(&text).ok()?;
    let is_page = matches!(assembled.at(host, target.path()), Ok(Requested::Route(_)));
    is_page.then(|| ReturnTo::of_target(&target))
}

fn name_of(host: HostId, assembled: &Assembled) -> &[u8] {
    assembled.hosts.names().get(host.index()).map(|host| host.as_str().as_bytes()).unwrap_or_default()
}
