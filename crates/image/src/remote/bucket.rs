//! A bucket, opened: what is asked of it, one thing at a time.
//!
//! Called from ordinary threads. What asks runs on a few threads of its own, and never more at once than was said.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;

use crate::bounds::Bounds;
use crate::record::Record;
use crate::registry::Patience;
use crate::remote::error::is_missing;
use crate::remote::keeper::Keeper;
use crate::remote::pieces::TakesPieces;
use crate::remote::{BucketError, BucketPlace, NAMES, place_of_name};
use crate::store::ImageName;

/// How a bucket is spoken to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The variables of the environment: those that begin with `AWS_`, `GOOGLE_` or `AZURE_` say who keeps buckets of S3, of
    /// Google or of Azure, and who we are there.
    pub variables: Vec<(String, String)>,
    /// The address of whoever keeps the bucket, whatever the variables say.
    pub endpoint: Option<String>,
    /// How long it may take.
    pub patience: Patience,
    /// How many things are asked for at once.
    pub parallel: usize,
}

/// A place for images that is elsewhere.
#[derive(Debug)]
pub struct Bucket {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) pieces: Arc<dyn TakesPieces>,
    /// The folder that everything is in.
    pub(super) base: Path,
    /// What it is called in messages.
    pub(super) place: String,
    pub(super) parallel: usize,
    /// A permit for each piece that is on its way: it bounds the memory, too.
    pub(super) gate: Arc<Semaphore>,
    handle: Handle,
    /// There until this is dropped.
    runtime: Option<Runtime>,
}

impl Bucket {
    /// Opens it. Asks nobody yet.
    pub fn open(place: &BucketPlace, settings: &Settings) -> Result<Bucket, BucketError> {
        let parallel = settings.parallel.max(1);
        let Keeper { objects, pieces, folder: base, name } = Keeper::of(place, settings)?;
        // Two threads keep time and pass things on; whatever blocks has threads of its own.
        let runtime =
            Builder::new_multi_thread().worker_threads(2).enable_time().build().map_err(BucketError::Start)?;
        let gate = Arc::new(Semaphore::new(parallel));
        let handle = runtime.handle().clone();
        Ok(Bucket { objects, pieces, base, place: name, parallel, gate, handle, runtime: Some(runtime) })
    }

    /// What it is called.
    pub fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn wrong(&self, what: &str) -> impl FnOnce(object_store::Error) -> BucketError + use<> {
        let (place, what) = (self.place.clone(), what.to_owned());
        move |error| BucketError::of(&place, what, error)
    }

    /// How long an object is; none where there is none.
    pub(super) fn length(&self, object: &Path, what: &str) -> Result<Option<u64>, BucketError> {
        match self.handle().block_on(self.objects.head(object)) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.wrong(what)(error)),
        }
    }

    /// All of a small object; none where there is none.
    pub(super) fn document(&self, object: &Path, what: &str, most: u64) -> Result<Option<Bytes>, BucketError> {
        let question = Question { objects: self.objects.clone(), object: object.clone() };
        match self.handle().block_on(question.document(most)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.wrong(what)(error)),
        }
    }

    /// What is written down under a name.
    pub(super) fn written(&self, name: &ImageName) -> Result<Option<Bytes>, BucketError> {
        let what = format!("look for image `{name}`");
        let written = self.document(&place_of_name(&self.base, name), &what, Bounds::default().document)?;
        if written.is_none() {
            self.exists(&self.base.clone().join(NAMES), &what)?;
        }
        Ok(written)
    }

    /// Some who speak as S3 does say of an object that it is missing where there is no bucket, and take one for it. They
    /// have no list of it, though.
    pub(super) fn exists(&self, folder: &Path, what: &str) -> Result<(), BucketError> {
        match self.handle().block_on(self.objects.list(Some(folder)).next()) {
            Some(Err(error)) => match self.wrong(what)(error) {
                // Whoever may look for a name need not be somebody who may list them.
                BucketError::Denied { .. } => Ok(()),
                error => Err(error),
            },
            _ => Ok(()),
        }
    }

    /// The image of a name, by what the bucket says.
    pub fn record(&self, name: &ImageName) -> Result<Record, BucketError> {
        let none = || BucketError::NoImage { place: self.place.clone(), name: name.clone() };
        let bytes = self.written(name)?.ok_or_else(none)?;
        self.read_record(name, &bytes)
    }

    /// Reads a record. What it says of where the image came from is shown to people.
    pub(super) fn read_record(&self, name: &ImageName, bytes: &[u8]) -> Result<Record, BucketError> {
        const SOURCE: usize = 4096;
        let record = Record::decode(bytes).filter(|record| record.source.len() <= SOURCE);
        record.ok_or_else(|| BucketError::NoRecord { place: self.place.clone(), name: name.clone() })
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // Whatever is still on its way is of no use to anybody, and waiting for it could take minutes.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Something that is asked for by a task.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) object: Path,
}

impl Question {
    /// All of it, unless that is too much.
    pub(super) async fn document(self, most: u64) -> object_store::Result<Bytes> {
        let found = self.objects.get(&self.object).await?;
        if most < found.meta.size {
            let source = format!("it has {} bytes, and {most} are the most", found.meta.size);
            return Err(object_store::Error::Generic { store: "document", source: source.into() });
        }
        found.bytes().await
    }

    /// A piece of it, and how long all of it is.
    pub(super) async fn piece(self, range: Range<u64>) -> object_store::Result<(Bytes, u64)> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.objects.get_opts(&self.object, options).await?;
        let length = found.meta.size;
        Ok((found.bytes().await?, length))
    }
}
