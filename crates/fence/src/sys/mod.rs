//! The system calls that `rustix` does not wrap, each under a safe function that answers the kernel's conditions.
#![expect(unsafe_code, reason = "to close by number has no safe wrapper elsewhere")]

mod descriptors;

pub(crate) use descriptors::keep_only;
