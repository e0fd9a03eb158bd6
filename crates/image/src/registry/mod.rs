//! Registries, by the protocol of Docker's that OCI made its own (the distribution specification).
//!
//! Only reads, one repository at a time. Everything that comes back is hostile: documents are bounded, blobs are hashed
//! by whoever asked for them, no redirection leads from TLS to plain text, and no credential goes to anybody but the
//! registry that it is for and the token service that this registry names.

mod challenge;
mod client;
mod credential_helper;
mod credentials;
mod endpoint;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod retry_after;
mod steady;

pub use client::{Patience, Registry, RegistryError};
pub(crate) use client::{Reach, agent, is_busy, is_transient};
pub use credential_helper::CredentialHelperError;
pub use credentials::{Credentials, Login, UnreadableCredentials};
pub(crate) use endpoint::is_here;
pub use endpoint::{Endpoint, Mirrors, NoMirrors};
pub(crate) use retry_after::retry_after;
pub(crate) use steady::Steady;
