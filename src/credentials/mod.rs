//! Authentication: an ordered list of sign-in methods, each in a file or a folder of its own. All of them get what a
//! request presents and return a [`methods::Verdict`].

pub(crate) mod account_status;
pub(crate) mod apr1;
pub(crate) mod basic;
pub mod hashing;
pub(crate) mod masking;
pub(crate) mod methods;
pub mod password;
pub mod problem;
pub(crate) mod sha2_crypt;
pub(crate) mod stored_hash;
pub mod user_file;
pub(crate) mod username_password;
