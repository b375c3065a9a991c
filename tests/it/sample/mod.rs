//! The sample application: through the whole gateway, and as `exeunt demo` shows it.

mod demo;
mod shop;
