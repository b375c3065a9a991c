//! Many users at once, on real threads: they ask, sign in, sign out, change places at one browser, are revoked, and run
//! out of time. What was recorded is checked afterwards: nothing is served, and no head leaves, after the answer to a
//! logout; no request is taken for another user's, or carries another user's cookies.

mod application;
mod browser;
pub mod history;
mod load;
