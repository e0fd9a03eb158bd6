//! Why a kernel could not be had.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::kernel::ar::ArError;
use crate::kernel::debian::{ListFault, MirrorError, ReleaseFault, SignatureError};
use crate::kernel::module::{ModuleFault, ModuleName};
use crate::kernel::needs::NeedsError;
use crate::kernel::release::Release;
use crate::layer::path::PathFault;
use crate::layer::tar::ArchiveError;
use crate::store::StoreError;

/// Why a kernel was not taken into the store.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A file or a directory that was named cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is neither a package nor a kernel.
    #[error("`{}` is {what}: a kernel is taken from a Debian package, or from a kernel's file", .path.display())]
    Neither {
        /// Which.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// A package is to have other modules than it has.
    #[error("`{}` is a package, which has its own modules: others do not go with it", .0.display())]
    OwnModules(PathBuf),
    /// A kernel's file does not say which kernel it is.
    #[error("`{}` does not say which release of Linux it is: it is damaged, or no kernel", .0.display())]
    Nameless(PathBuf),
    /// There are no modules for it.
    #[error("there are no modules of {release} in {}", listed(.looked))]
    NoModules {
        /// The kernel's.
        release: Release,
        /// Where they were looked for.
        looked: Vec<PathBuf>,
    },
    /// The package is no `ar` archive.
    #[error("the package is damaged, or no Debian package: {0}")]
    Package(#[from] ArError),
    /// It has no content that we know to unpack.
    #[error("the package holds nothing that can be unpacked: {0}")]
    Content(&'static str),
    /// Its content is no archive.
    #[error("the package is damaged")]
    Archive(#[from] ArchiveError),
    /// A path in it leads out of it.
    #[error("the package is not meant well: the path of its entry `{path}` {fault}")]
    Path {
        /// Its path, as far as it can be shown.
        path: String,
        /// What is wrong.
        fault: PathFault,
    },
    /// It is larger than it may be.
    #[error(transparent)]
    Exceeded(#[from] KernelExceeded),
    /// It has no kernel, or several.
    #[error("the package has {} kernels in `boot`, and one is needed{}", .0.len(), several(.0))]
    Kernels(Vec<Release>),
    /// A part of it cannot be read.
    #[error("{what} cannot be read")]
    Part {
        /// Which.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// A module is none.
    #[error("the module `{name}` {fault}")]
    Module {
        /// Which.
        name: ModuleName,
        /// What is wrong.
        fault: ModuleFault,
    },
    /// Two files hold the same module.
    #[error("there are two modules `{0}`")]
    Twice(ModuleName),
    /// A module was built for another kernel.
    #[error("the module `{name}` was built for {built}, and the kernel is {release}: take modules of the same kernel")]
    Other {
        /// Which.
        name: ModuleName,
        /// For which kernel.
        built: Release,
        /// Which kernel it is.
        release: Release,
    },
    /// The modules are not what a guest needs.
    #[error("{release} is not for guests: {needs}")]
    Needs {
        /// Which kernel.
        release: Release,
        /// What is wrong.
        needs: NeedsError,
    },
    /// The kernel could not be unpacked.
    #[error("the kernel cannot be unpacked")]
    Unpack(#[source] Box<dyn Error + Send + Sync>),
    /// It is not the same any more as when it was looked at.
    #[error("what is read was changed meanwhile: try again")]
    Changed,
    /// A mirror does not give it.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// What the mirror says is not believed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// What the mirror says is of no use.
    #[error(transparent)]
    Release(#[from] ReleaseFault),
    /// Nor is its list of packages.
    #[error("the mirror is not whole")]
    List(#[from] ListFault),
    /// It cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which bound a kernel went past.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelExceeded {
    /// A package or a kernel's file.
    #[error("`{}` has {found} bytes, and {most} is the most for a kernel", .path.display())]
    Package {
        /// Which.
        path: PathBuf,
        /// How many it has.
        found: u64,
        /// How many it may.
        most: u64,
    },
    /// Too many entries.
    #[error("there are more than {0} entries beside the kernel")]
    Entries(u64),
    /// Too many bytes.
    #[error("the kernel and its modules unpack to more than {} MiB", .0 >> 20)]
    Unpacked(u64),
    /// One part.
    #[error("{what} unpacks to more than {most} bytes")]
    File {
        /// Which.
        what: String,
        /// How many it may.
        most: u64,
    },
    /// Too much to remember.
    #[error("what the modules say of themselves takes more than {} MiB", .0 >> 20)]
    Metadata(u64),
    /// Too much to keep.
    #[error("the modules that a guest needs take more than {} MiB", .0 >> 20)]
    Kept(u64),
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(" or ")
}

fn several(releases: &[Release]) -> String {
    let names: Vec<String> = releases.iter().map(Release::to_string).collect();
    if names.is_empty() { String::new() } else { format!(": it has {}", names.join(", ")) }
}
