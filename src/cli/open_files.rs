//! The limit of open files, to which connections of clients and to applications count.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files besides connections: listeners, the log, the store.
const RESERVED_FILES: u64 = 64;

/// Raises the limit as far as the system allows, and warns if that is not enough for `connections`.
pub(crate) fn raise_limit(connections: usize) {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    let (files, wanted) = (if raised { hard } else { soft }, needed(connections));
    if files < wanted {
        tracing::warn!(
            files,
            wanted,
            "too few open files for limits.connections: write LimitNOFILE={wanted} into the unit, or ulimit -n {wanted}"
        );
    }
}

/// The number of files for the clients' connections, as many connections to upstreams, and other files.
fn needed(connections: usize) -> u64 {
    (connections as u64).saturating_mul(2).saturating_add(RESERVED_FILES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_allowed() {
        raise_limit(1);
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
        assert_eq!(needed(20_000), 40_064);
    }
}
