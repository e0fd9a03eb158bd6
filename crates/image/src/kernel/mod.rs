//! Kernels of distributions, made ready for microVMs: taken from a package or from where they are installed, unpacked, and kept with the few
//! modules that a guest of ours needs and the archive of files that it begins with.
//!
//! ```text
//! debian (a mirror) --.
//! source -- package (ar, tar) | files ---- parts: a walk over what matters
//!                                             |
//! fetch -- needs (module by module, in order) |--> shelf: what is kept, by name
//!                                                    `--> initramfs: the first process, and modules with their order
//! ```
//!
//! A package is hostile like an image: read by readers that know no path, counted and bounded ([`KernelBounds`]), and nothing of it runs here.
//! What runs of it is the kernel of a guest, which nobody trusts either.

mod ar;
mod bounds;
mod debian;
mod error;
mod fetch;
mod files;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod initramfs;
mod module;
mod needs;
mod package;
mod parts;
mod record;
mod release;
mod shelf;
mod source;
#[cfg(test)]
mod tests;
mod unpacked;

pub use ar::ArError;
pub use bounds::KernelBounds;
pub use debian::{
    CheckSignature, Debian, ListFault, Mirror, MirrorError, NoMirror, NoSuite, ReleaseFault, SignatureError, Suite,
    Trust,
};
pub use error::{FetchError, KernelExceeded};
pub use fetch::{KernelProgress, KernelRequest, Tell, Unpack, fetch_kernel};
#[cfg(any(test, fuzzing))]
pub(crate) use fuzzing::{list, modules_of_package, name, package_around, record};
pub use initramfs::Initramfs;
pub use module::{ModuleFault, ModuleName};
pub use needs::{Loading, NeedsError};
pub use record::{KeptFile, KeptModule, KernelRecord};
pub use release::{NoRelease, Release};
pub use shelf::{KernelName, KernelOrigin, Kernels, NamedKernel, NoKernelName, ReadyKernel};
pub use source::KernelSource;
