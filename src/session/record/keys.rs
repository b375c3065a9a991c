//! The keys of a session: that of the sign-in, and one for each further host.

use super::Session;
use crate::session::store::HostKey;
use crate::values::session_id::SessionKey;

impl Session {
    /// Adds the key of a further host. `false` if the session has ended or has a successor.
    pub(in crate::session) fn add_key(&self, key: HostKey) -> bool {
        let mut further = self.rare().further.lock();
        let live = !self.has_ended() && !self.is_succeeded();
        if live {
            further.push(key);
        }
        live
    }

    /// Removes a key of a further host.
    pub(in crate::session) fn take_key(&self, key: &SessionKey) {
        if let Some(rare) = self.rare.get() {
            rare.further.lock().retain(|further| further.key != *key);
        }
    }

    /// Removes and returns every other key of the host of `by`, which replaces them.
    pub(in crate::session) fn take_replaced(&self, by: &HostKey) -> Vec<SessionKey> {
        let is_replaced = |other: &mut HostKey| other.host == by.host && other.key != by.key;
        self.rare().further.lock().extract_if(.., is_replaced).map(|replaced| replaced.key).collect()
    }

    pub(super) fn host(&self) -> Option<&str> {
        self.rare.get()?.host.as_deref()
    }

    /// Every key, with the host of its cookie. `login` is the login host.
    pub(crate) fn host_keys(&self, login: &str) -> Vec<(SessionKey, Box<str>)> {
        let further = self.rare.get().map(|rare| rare.further.lock().clone()).unwrap_or_default();
        let first = (self.name, self.host().unwrap_or(login).into());
        std::iter::once(first).chain(further.into_iter().map(|HostKey { key, host }| (key, host))).collect()
    }

    /// The hosts that have a cookie of the session, that of the sign-in first. `login` is the login host.
    pub(crate) fn hosts(&self, login: &str) -> Vec<Box<str>> {
        let mut hosts: Vec<Box<str>> = Vec::new();
        for (_, host) in self.host_keys(login) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }

    /// Every key, that of the sign-in first.
    pub(crate) fn keys(&self) -> Vec<SessionKey> {
        let further = self.rare.get().map(|rare| rare.further.lock().clone()).unwrap_or_default();
        std::iter::once(self.name).chain(further.into_iter().map(|further| further.key)).collect()
    }
}
