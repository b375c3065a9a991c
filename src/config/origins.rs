//! Hosts and origins, with help for common mistakes.

use crate::values::origin::{Authority, Host, Origin, Scheme};

use super::refusal::ValueRefusal;

/// A host name alone.
pub(crate) fn host(text: &str) -> Result<Host, ValueRefusal> {
    if let Some(host) = Host::parse(text) {
        return Ok(host);
    }
    if let Some((_, rest)) = text.split_once("://") {
        let name = rest.split(['/', ':', '?']).next().unwrap_or_default();
        return Err(
            ValueRefusal::new("must be a host name alone, without scheme and path").write(format!("write \"{name}\""))
        );
    }
    if text.contains('*') {
        let name = text.replace('*', "app");
        return Err(ValueRefusal::new("a wildcard is not accepted: every host is listed by its name")
            .write(format!("write \"{name}\"")));
    }
    if let Some((name, _)) = text.split_once(':').filter(|(name, _)| Host::parse(name).is_some()) {
        return Err(ValueRefusal::new("must be a host name without a port: ports are not compared")
            .write(format!("write \"{name}\"")));
    }
    Err(not_a_host(text))
}

/// Scheme, host and, if it is not the default, port.
pub(crate) fn origin(text: &str) -> Result<Origin, ValueRefusal> {
    Origin::parse(text).ok_or_else(|| explain(text))
}

/// The URL that users enter in the browser; a trailing slash is ignored.
pub(crate) fn public_url(text: &str) -> Result<Origin, ValueRefusal> {
    origin(text.strip_suffix('/').unwrap_or(text))
}

fn explain(text: &str) -> ValueRefusal {
    let Some((scheme, rest)) = text.split_once("://") else {
        let host = if Authority::parse(text).is_some() { text } else { "app.example.com" };
        let schemes = if Host::parse(host.split(':').next().unwrap_or(host)).is_some_and(|host| host.is_loopback()) {
            ["http", "https"]
        } else {
            ["https", "http"]
        };
        let [first, second] = schemes.map(|scheme| format!("\"{scheme}://{host}\""));
        return ValueRefusal::new("has no scheme").write(format!("write {first} or {second}"));
    };
    let Some(scheme) = Scheme::parse(scheme) else {
        let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        return ValueRefusal::new(format!("\"{scheme}\" is not http or https"))
            .write(format!("write \"https://{host}\""));
    };
    if let Some((_, host)) = rest.rsplit_once('@') {
        return ValueRefusal::new("must not contain a user name or password")
            .write(format!("write \"{}://{host}\"", scheme.as_str()));
    }
    if let Some((authority, _)) = rest.split_once(['/', '?', '#']) {
        return ValueRefusal::new("must be scheme, host and port, without a path")
            .write(format!("write \"{}://{authority}\"", scheme.as_str()));
    }
    match rest.rsplit_once(':') {
        Some((host, port)) if Host::parse(host).is_some() => {
            let usual = format!("write \"{}://{host}\", or a port up to 65535", scheme.as_str());
            ValueRefusal::new(format!("\"{port}\" is not a port")).write(usual)
        }
        _ => not_a_host(rest),
    }
}

fn not_a_host(text: &str) -> ValueRefusal {
    let refusal = ValueRefusal::new(format!("\"{text}\" is not a valid host name"));
    match url::Host::parse(text) {
        Ok(url::Host::Domain(ascii)) if !text.is_ascii() => {
            refusal.write(format!("write \"{ascii}\", its ASCII form (punycode)"))
        }
        _ => refusal.write("write \"app.example.com\", or another name of letters, digits, hyphens and dots"),
    }
}
