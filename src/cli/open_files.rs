//! How many files the process may open: a connection is one, and so is the one to the application behind it.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files besides connections: listeners, the log, the store.
const OTHERS: u64 = 64;

/// Asks the system for as many files as it gives, and says what to write where that is less than `connections` need.
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

/// A connection of a client, and one to an upstream for each.
fn needed(connections: usize) -> u64 {
    (connections as u64).saturating_mul(2).saturating_add(OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_as_the_system_gives() {
        raise_limit(1);
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
        assert_eq!(needed(20_000), 40_064);
    }
}
