//! Gateways as programs, clients that note what they ask for and are answered, and something that goes wrong again and
//! again: killed gateways, stopped ones, clocks that jump, a server that restarts or is replaced by another one, a
//! network that is slow or cut. The checker of histories then finds whether anybody was let in after a sign-out had
//! been answered, or out without one.

mod clients;
mod cluster;
mod failovers;
mod network;
mod tests;

pub use self::clients::{Clients, Gateway, Verdict};
pub use self::network::{Network, Way};
