//! What `exeunt check` says: golden files for broken configurations, and the annotated reference.

mod command;
mod golden;
mod reference;
mod warnings;
