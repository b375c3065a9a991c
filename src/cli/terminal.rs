//! Whether the terminal shows colours.

use std::io::{self, IsTerminal};

/// Whether reports on standard error are coloured: on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
pub(super) fn colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
