//! A bucket, opened: what is asked of it, one thing at a time.
//!
//! Called from ordinary threads. What asks runs on a few threads of its own, and never more at once than was said.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;
use ureq::http::Uri;

use crate::bounds::Bounds;
use crate::record::Record;
use crate::registry::Patience;
use crate::remote::error::is_missing;
use crate::remote::wire::Wire;
use crate::remote::{BucketError, BucketPlace, NAMES, place_of_name};
use crate::store::ImageName;

/// How a bucket is spoken to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The variables of the environment: those that begin with `AWS_` say where S3 is and who we are.
    pub variables: Vec<(String, String)>,
    /// The address of what speaks as S3 does, whatever the variables say.
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
        let (objects, base, name) = match place {
            BucketPlace::S3 { bucket, folder } => {
                let (objects, name) = s3(bucket, place, settings)?;
                (objects, folder.clone(), name)
            }
            BucketPlace::Directory(path) => {
                let place = place.to_string();
                if !path.is_dir() {
                    return Err(BucketError::NoBucket { place });
                }
                let opened = LocalFileSystem::new_with_prefix(path);
                let opened = opened.map_err(|error| BucketError::of(&place, "open what there is".to_owned(), error))?;
                (Arc::new(opened.with_fsync(true)) as Arc<dyn ObjectStore>, Path::default(), place)
            }
        };
        // Two threads keep time and pass things on; whatever blocks has threads of its own.
        let runtime =
            Builder::new_multi_thread().worker_threads(2).enable_time().build().map_err(BucketError::Start)?;
        let gate = Arc::new(Semaphore::new(parallel));
        let handle = runtime.handle().clone();
        Ok(Bucket { objects, base, place: name, parallel, gate, handle, runtime: Some(runtime) })
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
            self.exists(&what)?;
        }
        Ok(written)
    }

    /// Some who speak as S3 does say of an object that it is missing where there is no bucket, and take one for it. They
    /// have no list of it, though.
    fn exists(&self, what: &str) -> Result<(), BucketError> {
        let folder = self.base.clone().join(NAMES);
        match self.handle().block_on(self.objects.list(Some(&folder)).next()) {
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

fn s3(bucket: &str, place: &BucketPlace, settings: &Settings) -> Result<(Arc<dyn ObjectStore>, String), BucketError> {
    let patience = settings.patience;
    let mut builder = AmazonS3Builder::new();
    for (name, value) in settings.variables.iter().filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty())
    {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
                let source = format!("{name} has letters that nobody could be asked with");
                return Err(BucketError::Setting { place: place.to_string(), source: source.into() });
            }
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    let said = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    let endpoint = said.iter().find_map(|key| builder.get_config_value(key));
    let name = match &endpoint {
        Some(endpoint) if is_address(endpoint) => format!("{place} at {endpoint}"),
        Some(_) => {
            // Which may have a password in it.
            let source =
                "the endpoint is no address: expected `https://HOST`, with a port where it needs one, and nothing else";
            return Err(BucketError::Setting { place: place.to_string(), source: source.into() });
        }
        None => place.to_string(),
    };
    // The line asks again what may pass. What is left are words of error in an answer that is otherwise good.
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(200), max_backoff: patience.pause, base: 2. };
    let retry = RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(600) };
    let built = builder.with_bucket_name(bucket).with_http_connector(Wire { patience }).with_retry(retry).build();
    match built {
        Ok(built) => Ok((Arc::new(built), name)),
        // What is around it repeats it.
        Err(error) => Err(BucketError::Setting { place: name, source: error.to_string().into() }),
    }
}

/// Whether this says whom to ask, and nothing else: what asks takes that for granted.
fn is_address(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_host =
        uri.authority().is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    is_known && is_host && uri.query().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(variables: &[(&str, &str)], endpoint: Option<&str>) -> Result<String, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let endpoint = endpoint.map(str::to_owned);
        let settings = Settings { variables, endpoint, patience: Patience::default(), parallel: 1 };
        let opened = Bucket::open(&"images".parse().unwrap(), &settings);
        opened.map(|bucket| bucket.place().to_owned()).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {}", cause.unwrap_or_default())
        })
    }

    #[test]
    fn what_is_said_about_a_bucket_makes_sense_or_is_named() {
        let key = ("AWS_ACCESS_KEY_ID", "k");
        let keys = [key, ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_ENDPOINT_URL", "https://one.example")];
        assert_eq!(open(&keys, None).unwrap(), "s3://images at https://one.example");
        assert_eq!(open(&keys, Some("http://[::1]:9000/path")).unwrap(), "s3://images at http://[::1]:9000/path");
        assert_eq!(open(&[("AWS_ENDPOINT_URL", ""), ("AWS_UNHEARD_OF", "x")], None).unwrap(), "s3://images");
        for endpoint in
            ["nonsense", "localhost:9000", "ftp://x", "https://", "https://u:secret@x", "https://x y", "https://x?y"]
        {
            let error = open(&keys, Some(endpoint)).unwrap_err();
            assert!(
                error.contains("makes no sense") && error.contains("expected `https://HOST`"),
                "{endpoint}: {error}"
            );
        }
        let newline = [key, ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "a\nsecret")];
        for (variables, says) in [
            (&newline[..], "AWS_SESSION_TOKEN has letters"),
            (&[key], "Missing SecretAccessKey"),
            (&[keys[0], keys[1], ("AWS_SKIP_SIGNATURE", "perhaps")], "perhaps"),
        ] {
            let error = open(variables, None).unwrap_err();
            assert!(error.contains(says) && !error.contains("secret"), "{error}");
        }
    }
}
