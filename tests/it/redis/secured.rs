//! Sentinels and a Cluster over TLS, and Sentinels that ask for a password: gateways reach them, and they each other.

use std::fs;
use std::path::Path;

use super::cluster::Cluster;
use super::failover::hold;
use super::group::{Node, primary_on, primary_with, until};
use super::sentinels::{Sentinels, Ways};
use super::{gateway_with, start};
use crate::restarts::sign_out;

/// A certificate for 127.0.0.1, which vouches for itself.
struct Certificate {
    /// What it is, as options of a server: a name and a value each.
    options: Vec<(&'static str, String)>,
    authority: String,
}

impl Certificate {
    fn in_folder(folder: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name).display().to_string());
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let authority = certificate.clone();
        let options = vec![
            ("tls-cert-file", certificate.clone()),
            ("tls-key-file", key),
            ("tls-ca-cert-file", certificate),
            ("tls-auth-clients", "no".to_owned()),
            ("tls-replication", "yes".to_owned()),
        ];
        Self { options, authority }
    }

    fn options(&self) -> Vec<String> {
        self.options.iter().flat_map(|(name, value)| [format!("--{name}"), value.clone()]).collect()
    }

    fn lines(&self) -> String {
        self.options.iter().map(|(name, value)| format!("{name} {value}\n")).collect()
    }

    /// The folder of a gateway on this store.
    fn gateway(&self, store: &str) -> tempfile::TempDir {
        let authority = format!("store_ca_file = \"{}\"", self.authority);
        gateway_with(&format!("staleness = \"2s\"\n{authority}\nstore = \"{store}\""))
    }
}

/// Another server takes over, and everybody is as before.
fn outlive(gateways: &[tempfile::TempDir; 2], fail_over: impl FnOnce()) {
    let [a, b] = gateways;
    let (one, other) = start(a, b);
    let (inside, outside) = (one.sign_in(), one.sign_in());
    assert_eq!([other.status(&inside), other.status(&outside)], [200, 200]);
    assert!(sign_out(b.path(), &outside));
    fail_over();
    hold([a.path(), b.path()], &inside, &outside);
}

fn fail_over(sentinels: &Sentinels, nodes: &[Node]) {
    let before = sentinels.primary(nodes).port;
    sentinels.fail_over();
    until("no other server takes over", || sentinels.primary(nodes).port != before);
}

#[test]
fn sentinels_and_their_servers_are_reached_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::in_folder(folder.path());
    let options = certificate.options();
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let nodes = primary_on("--tls-port", folder.path(), 2, &options);
    let ways = Ways { lines: &certificate.lines(), is_tls: true, ..Ways::default() };
    let sentinels = Sentinels::reached(folder.path(), &nodes, ways);
    let store = sentinels.address().replace("redis+", "rediss+");
    let gateways = [certificate.gateway(&store), certificate.gateway(&store)];
    outlive(&gateways, || fail_over(&sentinels, &nodes));
}

#[test]
fn a_cluster_is_reached_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::in_folder(folder.path());
    let options = certificate.options();
    let options: Vec<_> = options.iter().map(String::as_str).chain(["--tls-cluster", "yes"]).collect();
    let mut cluster = Cluster::start_on("--tls-port", folder.path(), 2, &options);
    let store = format!("rediss+cluster://{}", cluster.hosts());
    let gateways = [certificate.gateway(&store), certificate.gateway(&store)];
    outlive(&gateways, || cluster.fail_over());
}

#[test]
fn sentinels_that_ask_for_a_password_get_that_of_the_servers() {
    const PASSWORD: &str = "open-sesame";
    let folder = tempfile::tempdir().unwrap();
    let nodes = primary_with(folder.path(), 2);
    // Each of them could become the primary, and is asked by Sentinels.
    for command in ["masterauth", "requirepass"] {
        nodes.iter().for_each(|node| _ = node.server.ask(&format!("CONFIG SET {command} {PASSWORD}")));
    }
    let sentinels = Sentinels::reached(folder.path(), &nodes, Ways { password: Some(PASSWORD), ..Ways::default() });
    let gateway = || {
        let store = format!("store = \"{}\"", sentinels.address());
        let gateway = gateway_with(&format!("staleness = \"2s\"\nstore_password_file = \"password\"\n{store}"));
        fs::write(gateway.path().join("password"), PASSWORD).unwrap();
        gateway
    };
    let gateways = [gateway(), gateway()];
    outlive(&gateways, || fail_over(&sentinels, &nodes));
    let said = fs::read_to_string(gateways[0].path().join("log")).unwrap();
    assert!(!said.contains(PASSWORD));
}
