//! `login.path` and `logout.paths`: the gateway's own paths, on every host.

use crate::values::own_path::{LOGIN, LOGOUT, OwnPage, OwnPages, OwnPath, OwnPathError, RESERVED};

use super::patterns;
use super::raw::{Item, RawTable};
use super::refusal::ValueRefusal;

/// Reads both. `None` only if a problem was reported.
pub(crate) fn read(login: &RawTable<'_>, logout: &RawTable<'_>) -> Option<OwnPages> {
    let sign_in = match login.item("path") {
        Some(item) => item.parse(|text| path_but(text, LOGIN, LOGOUT, "signs out")),
        None => own_path("/login", LOGIN).ok(),
    };
    let sign_out = match logout.item("paths") {
        Some(item) => sign_out(&item)?,
        None => own_path("/logout", LOGOUT).into_iter().collect(),
    };
    let pages = OwnPages::new(sign_in.clone()?, sign_out.clone());
    if pages.is_none() && !sign_out.is_empty() {
        let sign_in_item = login.item("path");
        let free = if sign_in_item.is_some() { format!("\"{LOGIN}\"") } else { format!("[\"{LOGOUT}\"]") };
        let location = sign_in_item.or_else(|| logout.item("paths"))?.location;
        let what = format!("{} cannot both sign in and sign out", sign_in?);
        location
            .problem(ValueRefusal::new(what).write(format!("write {free}, or paths that the other page does not use")));
    }
    pages
}

fn own_path(text: &str, usual: &str) -> Result<OwnPath, ValueRefusal> {
    if let Some(refusal) = patterns::refused(text) {
        return Err(refusal);
    }
    OwnPath::parse(text).map_err(|error| match error {
        OwnPathError::Reserved => {
            ValueRefusal::new(error.to_string()).write(format!("write \"{usual}\", or a path outside {RESERVED}/"))
        }
        OwnPathError::Path(_) | OwnPathError::Root => ValueRefusal::of(text, &error),
    })
}

/// A path other than `taken`, which has another fixed use. `usual` always works.
fn path_but(text: &str, usual: &str, taken: &str, does: &str) -> Result<OwnPath, ValueRefusal> {
    let path = own_path(text, usual)?;
    if path.is(taken) {
        return Err(
            ValueRefusal::new(format!("{taken} always {does}")).write(format!("write \"{usual}\", or another path"))
        );
    }
    Ok(path)
}

fn sign_out(item: &Item<'_>) -> Option<Vec<OwnPath>> {
    let items = item.list()?;
    if items.is_empty() {
        item.location.problem(ValueRefusal::new("must name at least one path").write("write [\"/logout\"]"));
    }
    let mut paths: Vec<OwnPath> = Vec::new();
    for item in items {
        let Some(path) = item.parse(|text| path_but(text, LOGOUT, LOGIN, "signs in")) else { continue };
        if paths.iter().any(|other| other.is_same_when_folded(&path)) {
            item.location
                .problem(ValueRefusal::new(format!("{path} is listed twice")).write("remove it, or the other one"));
        } else {
            paths.push(path);
        }
    }
    Some(paths)
}

/// Why a sign-out must not lead to this page of the gateway; `None` if it may.
pub(crate) fn refusal_after_logout(page: OwnPage<'_>, path: &str) -> Option<ValueRefusal> {
    match page {
        OwnPage::Logout => {
            let refusal = ValueRefusal::new(format!("{path} is itself an address that signs out"));
            Some(refusal.write("remove this line to show the goodbye page, or write the path of another page"))
        }
        OwnPage::Login => None,
        OwnPage::Further(page) if page.eq_ignore_ascii_case("goodbye") => None,
        OwnPage::Further(_) => {
            let what = "a logout can lead to the goodbye page, but to no other page of the gateway";
            Some(ValueRefusal::new(what).write("remove this line: the goodbye page is shown without it"))
        }
    }
}
