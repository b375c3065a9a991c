//! Messages for addresses that cannot be listened on, with what to do.

use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use crate::values::listen_address::ListenAddress;

use super::files;
use super::refusal::ValueRefusal;

/// The number of higher ports that are tried if one is in use.
const TRIED_PORTS: u16 = 20;

/// Why the system refused an address, and what to write instead.
pub(crate) fn refused(address: &ListenAddress, error: &Error) -> ValueRefusal {
    match address {
        ListenAddress::Tcp(socket) => tcp(*socket, error),
        ListenAddress::Unix(path) => unix(path, error),
    }
}

fn tcp(socket: SocketAddr, error: &Error) -> ValueRefusal {
    let port = socket.port();
    match error.kind() {
        ErrorKind::AddrInUse => {
            let refusal = ValueRefusal::new(format!("port {port} is in use: another program listens on {socket}"));
            let refusal = match free(socket) {
                Some(other) => refusal.write(format!("write \"{other}\": this port is free")),
                None => refusal,
            };
            refusal.write(format!("or stop the other program, which `ss -ltnp sport = :{port}` shows"))
        }
        ErrorKind::PermissionDenied => privileged(socket),
        ErrorKind::AddrNotAvailable => {
            let every = if socket.is_ipv4() { "0.0.0.0" } else { "[::]" };
            ValueRefusal::new(format!("this machine has no address {}", socket.ip())).write(format!(
                "write \"{every}:{port}\" for all addresses of this machine, or one that `ip addr` shows"
            ))
        }
        _ => ValueRefusal::new(format!("this address cannot be used: {error}")),
    }
}

/// The message for a privileged port.
pub(crate) fn privileged(socket: SocketAddr) -> ValueRefusal {
    let other = SocketAddr::new(socket.ip(), 8080);
    ValueRefusal::new(format!("port {} needs a privilege: ports below 1024 are reserved", socket.port()))
        .write(format!("write \"{}\", a port above 1023", free(other).unwrap_or(other)))
        .write("or give the service the privilege: `systemctl edit exeunt`, and add under [Service] the lines")
        .write("AmbientCapabilities=CAP_NET_BIND_SERVICE")
        .write("CapabilityBoundingSet=CAP_NET_BIND_SERVICE")
        .write("PrivateUsers=no")
        .write("or, without a service manager: setcap cap_net_bind_service=+ep /usr/bin/exeunt")
}

/// The same address with the first free port from its own on, if there is one.
fn free(socket: SocketAddr) -> Option<SocketAddr> {
    first_free(socket, |socket| TcpListener::bind(socket).is_ok())
}

fn first_free(socket: SocketAddr, is_free: impl Fn(&SocketAddr) -> bool) -> Option<SocketAddr> {
    let ports = socket.port()..=socket.port().saturating_add(TRIED_PORTS);
    ports.map(|port| SocketAddr::new(socket.ip(), port)).find(is_free)
}

fn unix(path: &Path, error: &Error) -> ValueRefusal {
    let shown = path.display();
    let folder = path.parent().unwrap_or(Path::new("/"));
    match error.kind() {
        ErrorKind::NotFound => files::no_folder(folder),
        ErrorKind::PermissionDenied => {
            ValueRefusal::new(format!("this user cannot create a socket in {}", folder.display()))
                .write("write \"unix:/run/exeunt/http.sock\": the service may write in /run/exeunt")
        }
        ErrorKind::AddrInUse => {
            ValueRefusal::new(format!("another program answers on {shown}")).write("stop it, or write another path")
        }
        _ => ValueRefusal::new(format!("this socket cannot be created: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_port_in_use_is_not_proposed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = listener.local_addr().unwrap();
        let refusal = refused(&ListenAddress::Tcp(taken), &ErrorKind::AddrInUse.into());
        assert!(refusal.what.contains("is in use"), "{refusal:?}");
        let proposal = format!("write \"{taken}\"");
        assert!(!refusal.write.iter().any(|help| help.starts_with(&proposal)), "{refusal:?}");
    }

    #[test]
    fn the_next_free_port_is_proposed() {
        let cases: [(u16, &[u16], Option<u16>); 5] = [
            (8080, &[8080], Some(8080)),
            (8080, &[80, 8082, 8083], Some(8082)),
            (8080, &[8100], Some(8100)),
            (8080, &[8079, 8101], None),
            (65535, &[], None),
        ];
        for (port, free, first) in cases {
            let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let found = first_free(at(port), |socket| free.contains(&socket.port()));
            assert_eq!(found, first.map(at), "{port} {free:?}");
        }
    }

    #[test]
    fn every_cause_has_its_help() {
        let cases = [
            ("127.0.0.1:80", ErrorKind::PermissionDenied, "CAP_NET_BIND_SERVICE"),
            ("10.9.8.7:80", ErrorKind::AddrNotAvailable, "write \"0.0.0.0:80\""),
            ("unix:/nowhere/a.sock", ErrorKind::NotFound, "run: mkdir -p /nowhere"),
            ("unix:/etc/a.sock", ErrorKind::PermissionDenied, "write \"unix:/run/exeunt/http.sock\""),
            ("unix:/tmp/a.sock", ErrorKind::AddrInUse, "write another path"),
        ];
        for (address, kind, help) in cases {
            let refusal = refused(&address.parse().unwrap(), &kind.into());
            assert!(refusal.write.concat().contains(help), "{address}: {refusal:?}");
        }
    }
}
