//! What goes wrong with a bucket.

use std::error::Error;
use std::io;

use crate::digest::Digest;
use crate::remote::wire::{Broken, Refusal};
use crate::store::{ImageName, StoreError};

/// Why nothing came of what was to be done with a bucket.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// What the environment says makes no sense.
    #[error("what is said about `{place}` makes no sense")]
    Setting {
        /// The bucket.
        place: String,
        /// What does not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Tasks cannot be run.
    #[error("cannot start what speaks to buckets")]
    Start(#[source] io::Error),
    /// It is not there.
    #[error("there is no bucket `{place}`")]
    NoBucket {
        /// The bucket.
        place: String,
    },
    /// It does not want us.
    #[error("`{place}` does not let us {what}: {refusal}")]
    Denied {
        /// The bucket.
        place: String,
        /// What we tried: a verb and more.
        what: String,
        /// What it said.
        refusal: Refusal,
    },
    /// It cannot now, or says what means nothing here.
    #[error("cannot {what} in `{place}`: {refusal}")]
    Refused {
        /// The bucket.
        place: String,
        /// What we tried.
        what: String,
        /// What it said.
        refusal: Refusal,
    },
    /// It cannot be reached, a connection broke off again and again, or what it says makes no sense.
    #[error("cannot {what} in `{place}`")]
    Ask {
        /// The bucket.
        place: String,
        /// What we tried.
        what: String,
        /// What happened.
        source: Box<dyn Error + Send + Sync>,
    },
    /// It has no such image.
    #[error("`{place}` has no image `{name}`")]
    NoImage {
        /// The bucket.
        place: String,
        /// The image.
        name: ImageName,
    },
    /// There is something under a name which is no record of an image.
    #[error("what `{place}` has under the name `{name}` is no image of firebox's")]
    NoRecord {
        /// The bucket.
        place: String,
        /// The name.
        name: ImageName,
    },
    /// A part of an image is missing there.
    #[error("`{place}` lacks `{digest}`, which its image consists of")]
    Lacks {
        /// The bucket.
        place: String,
        /// What is missing.
        digest: Digest,
    },
    /// A part of an image is not what it should be there.
    #[error("`{digest}` is damaged in `{place}`: it has {found} bytes there and should have {expected}")]
    Length {
        /// The bucket.
        place: String,
        /// What is damaged.
        digest: Digest,
        /// How long it is there.
        found: u64,
        /// How long it should be.
        expected: u64,
    },
    /// An image that says that it needs much.
    #[error("`{name}` needs {} MiB by what `{place}` says, and {} MiB is the most it may take", .needed.div_ceil(1 << 20), .allowed >> 20)]
    Size {
        /// The bucket.
        place: String,
        /// The image.
        name: ImageName,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that it may take.
        allowed: u64,
    },
    /// It has more than anybody would look at.
    #[error("`{place}` has more than {most} names, or does not come to the end of them")]
    Endless {
        /// The bucket.
        place: String,
        /// How many it may have.
        most: usize,
    },
    /// This host's store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another object failed first.
    #[error("another part of the image could not be sent")]
    Stopped,
}

impl BucketError {
    /// What an error of the object store means.
    pub(super) fn of(place: &str, what: String, error: object_store::Error) -> BucketError {
        let place = place.to_owned();
        let Some(refusal) = refusal(&error).cloned() else {
            return BucketError::Ask { place, what, source: cause(error) };
        };
        match refusal.status {
            404 if is_about_bucket(&refusal) => BucketError::NoBucket { place },
            401 | 403 => BucketError::Denied { place, what, refusal },
            _ if is_about_us(&refusal) => BucketError::Denied { place, what, refusal },
            _ => BucketError::Refused { place, what, refusal },
        }
    }
}

/// Whether what was looked for is not there, though the bucket is.
pub(super) fn is_missing(error: &object_store::Error) -> bool {
    match refusal(error) {
        Some(refusal) => refusal.status == 404 && !is_about_bucket(refusal),
        None => matches!(error, object_store::Error::NotFound { .. }),
    }
}

/// Whether what is missing is the bucket itself, as S3 and Google call it, and as Azure does.
fn is_about_bucket(refusal: &Refusal) -> bool {
    matches!(refusal.code.as_deref(), Some("NoSuchBucket" | "ContainerNotFound"))
}

/// Whether those who are asked for a token know nobody of our name and key.
fn is_about_us(refusal: &Refusal) -> bool {
    matches!(refusal.code.as_deref(), Some("invalid_client" | "invalid_grant" | "unauthorized_client"))
}

fn refusal(error: &object_store::Error) -> Option<&Refusal> {
    causes(error).find_map(|cause| cause.downcast_ref::<Refusal>())
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// What was the matter, once: each of the layers of words around it repeats those below.
fn cause(error: object_store::Error) -> Box<dyn Error + Send + Sync> {
    if let Some(broken) = causes(&error).find_map(|cause| cause.downcast_ref::<Broken>()) {
        return Box::new(broken.clone());
    }
    match causes(&error).find_map(|cause| cause.downcast_ref::<io::Error>()) {
        Some(system) => Box::new(io::Error::new(system.kind(), error.to_string())),
        None => error.to_string().into(),
    }
}
