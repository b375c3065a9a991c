//! TCP keep-alive, towards clients and upstreams: a peer that vanished without closing, or whose connection a firewall
//! has forgotten, is noticed after two minutes, however long a silence is allowed.

use std::time::Duration;

/// Silence before the first probe.
const IDLE: Duration = Duration::from_secs(60);
/// Between two probes.
const INTERVAL: Duration = Duration::from_secs(15);
/// Unanswered probes before the connection is given up.
const PROBES: u32 = 4;

/// For sockets that are opened here.
pub(super) const FOR_SOCKETS: socket2::TcpKeepalive =
    socket2::TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL).with_retries(PROBES);

/// For sockets that the engine opens.
pub(super) const FOR_THE_ENGINE: pingora::protocols::TcpKeepalive = pingora::protocols::TcpKeepalive {
    idle: IDLE,
    interval: INTERVAL,
    count: PROBES as usize,
    user_timeout: Duration::ZERO,
};
