//! Who somebody is: an ordered list of sign-in methods, each in a file or a folder of its own. All of them are asked
//! the same way, with what a request presents, and answer a [`Verdict`].

pub mod account_status;
pub mod apr1;
pub mod basic;
pub mod hashing;
pub mod htpasswd;
pub mod methods;
pub mod password;
pub mod problem;
pub mod sha2_crypt;
pub mod stored_hash;
pub mod user_edit;
pub mod user_file;
pub mod user_lock;
pub mod user_reader;
pub mod username_password;
