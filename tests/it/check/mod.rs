//! What `exeunt check` says: golden files for broken configurations, and the annotated reference.

mod command;
mod cure;
mod golden;
mod mistakes;
mod reference;
mod warnings;
