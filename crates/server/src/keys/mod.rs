//! Keys: who may come in, and what each of them is granted.
//!
//! ```text
//! firebox keys (create, revoke) --> file (appended to) --> book (what it says) --> watch --> ring (who is let in)
//! a request --> credentials (the key it shows) --> ring (is it one of ours?) --> holder --> caller
//! ```
//!
//! A key is made of random bits alone, so its hash is all that is stored, and a fast one is right: there is nothing to
//! guess, and each request is checked. Nothing in here knows a job.

mod account;
mod book;
mod credentials;
mod file;
mod holder;
mod key;
mod ledger;
mod ring;
mod watch;

pub use book::{Book, BookError, Entry};
pub use credentials::{Unusable, credential};
pub use file::{KeyFile, KeyFileError};
pub use key::{Key, KeyId, NoKey};
pub use ring::Ring;

pub(crate) use credentials::shown;
pub(crate) use holder::Holder;
pub(crate) use ledger::Ledger;
pub(crate) use watch::watch;
