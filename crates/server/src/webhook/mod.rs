//! Telling somebody elsewhere that a job has ended: a signed request to an address that a client chose.
//!
//! ```text
//! address (may it be?) --> deliveries in the database --> deliverer (when, and again) --> resolve (where is it, may it be?)
//!   --> send (connect there and nowhere else, a request, the head of an answer)
//! ```
//!
//! The address is hostile: a service that fetches whatever it is told to reaches what its clients cannot. So names are
//! resolved once for each try, every address that comes back must be a public one, the connection goes to one of those, and
//! no redirect is followed. What becomes of a delivery changes nothing about its job.

mod address;
mod deliverer;
mod public;
mod resolve;
mod send;
mod signature;
mod trust;

pub(crate) use address::Address;
pub(crate) use deliverer::deliver_all;
pub(crate) use resolve::ASKED_AT_ONCE;
pub use trust::Trust;

/// What an operator decides about webhooks.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// What they are signed with when a client names no secret.
    pub secret: Option<String>,
    /// Whether they may go where only this host or its network can, and unencrypted.
    pub allow_private: bool,
    /// Who is trusted to say who those are to whom they go.
    pub trust: Trust,
}
