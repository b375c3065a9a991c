//! Rules for several hosts of the gateway: each has an application, and browsers can reach the login host.

use crate::gateway::GatewaySettings;
use crate::values::origin::Host;
use crate::values::own_hosts::OwnHosts;

use super::raw::RawTable;
use super::refusal::ValueRefusal;

/// Applies the rules.
pub(crate) fn check(file: &RawTable<'_>, settings: &GatewaySettings) {
    without_application(file, settings);
    if settings.share {
        login_on_this_machine(file, &settings.hosts);
    }
}

/// Warns of a host without a route.
fn without_application(file: &RawTable<'_>, settings: &GatewaySettings) {
    if settings.routes.iter().any(|route| route.host.is_none()) {
        return;
    }
    for item in file.list("hosts") {
        let Some(host) = item.peek().and_then(Host::parse) else { continue };
        let own = |other: &Host| settings.hosts.host_id(other) == settings.hosts.host_id(&host);
        if !settings.routes.iter().filter_map(|route| route.host.as_ref()).any(own) {
            item.location
                .warning(ValueRefusal::new(format!("no [[route]] answers on {host}")).write(format!(
                    "write host = \"{host}\" in the [[route]] that is for it, or remove the name here"
                )));
        }
    }
}

/// Warns if browsers on other machines are redirected to a loopback name to sign in.
fn login_on_this_machine(file: &RawTable<'_>, hosts: &OwnHosts) {
    let (Some(item), Some((login, further))) = (file.item("public_url"), hosts.names().split_first()) else { return };
    let elsewhere = further.iter().find(|host| !host.is_loopback() && !host.as_str().ends_with(".localhost"));
    if let Some(host) = elsewhere.filter(|_| login.is_loopback()) {
        item.location.warning(
            ValueRefusal::new(format!("browsers at {host} are sent to {login} to sign in, which is their own machine"))
                .write(format!("write \"https://{host}\", or another name by which browsers reach this gateway"))
                .write("or share = false below [session]: then users sign in on each host"),
        );
    }
}
