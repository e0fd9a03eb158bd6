//! What the kernel has for guests alone, and the one place with `unsafe`.

mod generator;
mod vsock;

pub(crate) use generator::{mix_in, reseed};
pub use vsock::{call_host, listen_to_host};
