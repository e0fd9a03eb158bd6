//! `firebox rootfs upload`, `download` and `list --remote`: images in buckets.

use anyhow::anyhow;
use firebox_image::{
    Bucket, BucketError, BucketPlace, Catalogued, ImageName, Progress, Record, SourceError, Store, TakeInError,
};
use firebox_lang::Catalogue;

use crate::args::{BucketArgs, DownloadArgs, UploadArgs, WhichImageArgs};
use crate::bucket::{self, tell_of_sent};
use crate::failure::Failure;
use crate::outlet;
use crate::rootfs::listed::{ListedImage, in_table};
use crate::rootfs::progress::Watch;
use crate::rootfs::told::{DAMAGED, printable, told_of_bucket, told_of_image, told_of_store};
use crate::rootfs::unknown;

/// The names that are meant, the likeliest first.
fn names(which: WhichImageArgs) -> Result<Vec<ImageName>, Failure> {
    let WhichImageArgs { lang, name } = which;
    let Some(lang) = lang else { return Ok(name.into_iter().collect()) };
    let catalogue = Catalogue::builtin();
    let language = catalogue.find(&lang).map_err(Failure::request)?;
    // Whoever has called the image `node` means it by `--lang node`, whatever the language is called here.
    let words = [lang.as_str(), language.name()].into_iter().chain(language.aliases().iter().map(String::as_str));
    Ok(words.filter_map(|word| word.parse().ok()).collect())
}

/// Sends an image.
pub(super) fn upload(store: &Store, args: UploadArgs, json: bool) -> Result<(), Failure> {
    let UploadArgs { which, bucket, anew } = args;
    let names = names(which)?;
    let known = store.names().map_err(told_of_store)?;
    let Some(name) = names.iter().find(|name| known.contains(name)) else {
        return Err(names
            .first()
            .map_or_else(|| Failure::request(anyhow!("no image is meant")), |name| unknown(Some(store), name)));
    };
    let bucket = bucket::open(bucket)?;
    let sent = watched(|hear| bucket.upload(store, name, anew, hear)).map_err(told_of_bucket)?;
    let sent = sent.ok_or_else(|| unknown(Some(store), name))?;
    tell_of_sent(name, &bucket, sent, json)
}

/// Fetches an image.
pub(super) fn download(store: &Store, args: DownloadArgs, json: bool) -> Result<(), Failure> {
    let DownloadArgs { which, bucket, size } = args;
    let names = names(which)?;
    let bucket = bucket::open(bucket)?;
    let bytes = size.map(|size| u64::from(size) << 20);
    let (name, record) = watched(|hear| first(&bucket, store, &names, bytes, hear)).map_err(told)?;
    let image = ListedImage::of(&name, &record);
    if json { outlet::say_json(&image) } else { outlet::say(&in_table(&[image])) }
}

fn told(error: TakeInError) -> Failure {
    let is_damaged = matches!(error, TakeInError::Source(SourceError::Digest { .. }));
    let failure = told_of_image(error);
    if is_damaged { failure.with_help(DAMAGED) } else { failure }
}

/// The first of these that the bucket has.
fn first(
    bucket: &Bucket,
    store: &Store,
    names: &[ImageName],
    size: Option<u64>,
    hear: &(dyn Fn(Progress) + Sync),
) -> Result<(ImageName, Record), TakeInError> {
    let mut missing = None;
    for name in names {
        match bucket.download(store, name, size, hear) {
            Ok(record) => return Ok((name.clone(), record)),
            Err(TakeInError::Source(SourceError::Bucket(error @ BucketError::NoImage { .. }))) => {
                missing.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(missing.map_or(TakeInError::Stopped, |error| SourceError::from(error).into()))
}

/// Lists what a bucket has.
pub(super) fn list(bucket: BucketPlace, endpoint: Option<String>, json: bool) -> Result<(), Failure> {
    // Records are small: more at once would help nobody.
    let bucket = bucket::open(BucketArgs { bucket, endpoint, parallel: 8 })?;
    let mut images = Vec::new();
    for Catalogued { name, record } in bucket.images().map_err(told_of_bucket)? {
        match record {
            Ok(record) => images.push(ListedImage::of(&name, &record)),
            // The others are there all the same.
            Err(error) => outlet::remark(&format!("firebox: {}\n", printable(&error.to_string()))),
        }
    }
    if json {
        return outlet::say_json(&images);
    }
    if images.is_empty() {
        let place = printable(bucket.place());
        outlet::remark(&format!("firebox: there are no images in {place}; `firebox rootfs upload` sends one there\n"));
        return Ok(());
    }
    outlet::say(&in_table(&images))
}

/// Shows how far it is while it is done. The line about that is gone when it returns.
fn watched<T>(done: impl FnOnce(&(dyn Fn(Progress) + Sync)) -> T) -> T {
    let line = Watch::begin();
    done(&|progress| line.hear(progress))
}
