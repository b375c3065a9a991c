//! TCP keep-alive towards clients and upstreams: a peer that has vanished without closing, or whose connection a
//! firewall has dropped, is detected after two minutes, even where longer pauses are allowed.

use std::time::Duration;

/// The idle time before the first probe.
const IDLE: Duration = Duration::from_secs(60);
/// The interval between two probes.
const INTERVAL: Duration = Duration::from_secs(15);
/// The number of unanswered probes after which the connection is closed.
const PROBES: u32 = 4;

/// For sockets that the gateway opens.
pub(super) const FOR_SOCKETS: socket2::TcpKeepalive =
    socket2::TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL).with_retries(PROBES);

/// For sockets that pingora opens.
pub(super) const FOR_THE_ENGINE: pingora::protocols::TcpKeepalive = pingora::protocols::TcpKeepalive {
    idle: IDLE,
    interval: INTERVAL,
    count: PROBES as usize,
    user_timeout: Duration::ZERO,
};
