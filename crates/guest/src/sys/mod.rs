//! What the kernel has for guests alone, and the one place with `unsafe`.

mod vsock;

pub use vsock::{call_host, listen_to_host};
