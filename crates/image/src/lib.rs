//! Container images made into root filesystems.
//!
//! The principal function is [`take_in`]: an image from a [`Source`] (a [`Registry`], an [`OciLayout`], a
//! [`DockerArchive`]) becomes a [`Record`] in the [`Store`], and two things can be had of it from then on: directories
//! for jails, by [`Store::hold`], and a filesystem image for microVMs, by [`Store::filesystem_image`].
//!
//! ```no_run
//! use firebox_image::{OciLayout, Platform, Request, Store, take_in};
//!
//! let store = Store::open("/var/lib/firebox/images".as_ref(), None)?;
//! let source = OciLayout::directory("rust-image".as_ref(), Some("alpine"))?;
//! let request = Request {
//!     name: "rust".parse()?,
//!     from: "oci:rust-image:alpine".to_owned(),
//!     platform: Platform::of_this_host(),
//!     size: 1200 << 20,
//!     parallel: 4,
//! };
//! let record = take_in(&store, &source, &request, &|_| ())?;
//! println!("{} entries, {} bytes", record.entries, record.bytes);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Between hosts, images travel through a [`Bucket`], which is sent what it lacks and is a source like the others. Snapshots of microVMs, kept as
//! [`Snapshots`], travel through the same.
//!
//! Everything an image says is hostile. Its archives are read by one reader that knows no path (`layer::tar`); its
//! files are written under numbers (`layer::unpack`); what its layers come to is worked out in memory (`tree::merge`);
//! and only then are names of the image given to files, each in a directory made a moment before (`tree::assemble`).
//! All of it is counted and bounded ([`Bounds`]), and needs no privilege.

mod bounds;
mod digest;
mod disk;
mod document;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod kernel;
mod layer;
mod mutex;
mod origin;
mod record;
mod reference;
mod registry;
mod remote;
mod several;
mod snapshot;
mod source;
mod store;
mod strokes;
mod sys;
mod take_in;
mod tree;
#[cfg(test)]
#[path = "../tests/kit/workshop.rs"]
mod workshop;

pub use bounds::Bounds;
pub use digest::{Digest, NoDigest};
pub use disk::{DiskError, WriteError};
pub use document::{Descriptor, DocumentError, NoPlatform, Platform};
pub use kernel::{
    ArError, CheckSignature, Debian, FetchError, Initramfs, KeptFile, KeptModule, KernelBounds, KernelExceeded,
    KernelName, KernelOrigin, KernelProgress, KernelRecord, KernelRequest, KernelSource, Kernels, ListFault, Loading,
    Mirror, MirrorError, ModuleFault, ModuleName, NamedKernel, NeedsError, NoKernelName, NoMirror, NoRelease, NoSuite,
    ReadyKernel, Release, ReleaseFault, SignatureError, Suite, Tell, Trust, Unpack, fetch_kernel,
};
pub use layer::entry::EntryFault;
pub use layer::index::DamagedIndex;
pub use layer::path::PathFault;
pub use layer::tally::Exceeded;
pub use layer::tar::ArchiveError;
pub use layer::unpack::UnpackError;
pub use origin::{NoOrigin, Origin};
pub use record::{LayerRecord, Record};
pub use reference::{NoReference, Reference, ReferenceFault, Version};
pub use registry::{
    CredentialHelperError, Credentials, Endpoint, Login, Mirrors, NoMirrors, Patience, Registry, RegistryError,
    UnreadableCredentials,
};
pub use remote::{
    Bucket, BucketError, BucketPlace, Catalogued, CataloguedSnapshot, Fetched, NoPlace, Refusal, Sent, Settings,
    SnapshotProgress, TellOfSnapshot, TravelError, VerifySnapshot,
};
pub use snapshot::{
    Frozen, NoSnapshotName, ReadySnapshot, SnapshotDamage, SnapshotDraft, SnapshotName, SnapshotRecord, Snapshots,
};
pub use source::{DockerArchive, OciLayout, Source, SourceError};
pub use store::{Collected, Damage, Held, HeldDisk, Home, ImageName, NoHome, NoName, Store, StoreError, Verified};
pub use take_in::{Progress, Request, TakeInError, take_in};
pub use tree::{AssembleError, MergeError, MergeFault};
