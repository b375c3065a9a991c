//! Hosts and origins as operators write them, and what to say to the slips they make.

use crate::values::origin::{Authority, Host, Origin, Scheme};

use super::raw::ValueRefusal;

/// A host name alone.
pub fn host(text: &str) -> Result<Host, ValueRefusal> {
    if let Some(host) = Host::parse(text) {
        return Ok(host);
    }
    if let Some((_, rest)) = text.split_once("://") {
        let name = rest.split(['/', ':', '?']).next().unwrap_or_default();
        return Err(ValueRefusal::new("is a host name, not an address").write(format!("write \"{name}\"")));
    }
    if text.contains('*') {
        return Err(
            ValueRefusal::new("a wildcard would accept names that are not yours").write("name every host by itself")
        );
    }
    if let Some((name, _)) = text.split_once(':').filter(|(name, _)| Host::parse(name).is_some()) {
        return Err(ValueRefusal::new("ports are not compared").write(format!("write \"{name}\"")));
    }
    Err(not_a_host(text))
}

/// Scheme, host and, where it is not the usual one, port.
pub fn origin(text: &str) -> Result<Origin, ValueRefusal> {
    Origin::parse(text).ok_or_else(|| explain(text))
}

/// The address that browsers type; a slash at its end is forgiven.
pub fn public_url(text: &str) -> Result<Origin, ValueRefusal> {
    origin(text.strip_suffix('/').unwrap_or(text))
}

fn explain(text: &str) -> ValueRefusal {
    let Some((scheme, rest)) = text.split_once("://") else {
        let host = if Authority::parse(text).is_some() { text } else { "app.example.com" };
        return ValueRefusal::new("has no scheme").write(format!("write \"https://{host}\" or \"http://{host}\""));
    };
    let Some(scheme) = Scheme::parse(scheme) else {
        return ValueRefusal::new(format!("\"{scheme}\" is no scheme of browsers")).write("write http or https");
    };
    if let Some((_, host)) = rest.rsplit_once('@') {
        return ValueRefusal::new("a user name or password has no place here")
            .write(format!("write \"{}://{host}\"", scheme.as_str()));
    }
    if let Some((authority, _)) = rest.split_once(['/', '?', '#']) {
        return ValueRefusal::new("only scheme, host and port belong here")
            .write(format!("write \"{}://{authority}\"", scheme.as_str()));
    }
    match rest.rsplit_once(':') {
        Some((host, port)) if Host::parse(host).is_some() => {
            ValueRefusal::new(format!("\"{port}\" is no port")).write("write a number up to 65535, or none")
        }
        _ => not_a_host(rest),
    }
}

fn not_a_host(text: &str) -> ValueRefusal {
    let refusal = ValueRefusal::new(format!("\"{text}\" is no host name"));
    if text.is_ascii() { refusal } else { refusal.write("write the form that begins with xn-- (punycode)") }
}
