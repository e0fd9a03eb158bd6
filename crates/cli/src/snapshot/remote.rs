//! `firebox snapshot upload`, `download` and `list --remote`: snapshots in buckets.

use std::error::Error;
use std::fs::File;

use anyhow::anyhow;
use firebox_image::{Bucket, BucketPlace, CataloguedSnapshot, Fetched, SnapshotName, SnapshotProgress, Snapshots};
use firebox_lang::Catalogue;
use serde::Serialize;

use crate::args::{BucketArgs, DownloadSnapshotArgs, UploadSnapshotArgs, WhichSnapshotArgs};
use crate::bucket::{self, tell_of_sent};
use crate::failure::Failure;
use crate::line::{Line, Worth, bar};
use crate::outlet;
use crate::rootfs::printable;
use crate::shelf::Shelf;
use crate::snapshot::listed::{ListedSnapshot, in_table};
use crate::snapshot::told::{told_of_fetching, told_of_sending, told_of_store};
use crate::snapshot::verify::verify;

/// What was fetched, and where it is now.
#[derive(Serialize)]
struct ListedFetched {
    #[serde(flatten)]
    snapshot: ListedSnapshot,
    place: String,
    objects: usize,
    fetched: usize,
    fetched_bytes: u64,
}

/// Sends a snapshot.
pub(super) fn upload(snapshots: &Snapshots, args: UploadSnapshotArgs, json: bool) -> Result<(), Failure> {
    // Exhaustive: a new flag must be decided here.
    let UploadSnapshotArgs { which, bucket, anew } = args;
    let known = snapshots.names().map_err(told_of_store)?;
    let name = meant(&known, &which, "here", "`firebox snapshot list` has all names")?;
    let bucket = bucket::open(bucket)?;
    let sent = watched(|tell| bucket.upload_snapshot(snapshots, &name, anew, &is_sound, tell));
    let sent = sent.map_err(|error| told_of_sending(error, &name))?;
    tell_of_sent(&name, &bucket, sent.ok_or_else(|| Shelf::Snapshots.lacks(&name, &known))?, json)
}

/// Fetches a snapshot.
pub(super) fn download(snapshots: &Snapshots, args: DownloadSnapshotArgs, json: bool) -> Result<(), Failure> {
    let DownloadSnapshotArgs { which, bucket, size } = args;
    let bucket = bucket::open(bucket)?;
    let name = name_there(&bucket, &which)?;
    let bytes = size.map(|size| u64::from(size) << 20);
    let fetched = watched(|tell| bucket.download_snapshot(snapshots, &name, bytes, &is_sound, tell));
    let Fetched { record, parts, fetched, bytes } = fetched.map_err(told_of_fetching)?;
    let snapshot = ListedSnapshot::of(&record, snapshots.allocated(&record).map_err(told_of_store)?);
    if !json {
        return outlet::say(&in_table(&[snapshot]));
    }
    let place = snapshots.place(&record).display().to_string();
    outlet::say_json(&ListedFetched { snapshot, place, objects: parts, fetched, fetched_bytes: bytes })
}

/// Lists what a bucket has.
pub(super) fn list(bucket: BucketPlace, endpoint: Option<String>, json: bool) -> Result<(), Failure> {
    // Records are small: more at once would help nobody.
    let bucket = bucket::open(BucketArgs { bucket, endpoint, parallel: 8 })?;
    let mut listed = Vec::new();
    for CataloguedSnapshot { name: _, snapshot } in bucket.snapshots().map_err(told_of_fetching)? {
        match snapshot {
            Ok((record, bytes)) => listed.push(ListedSnapshot::of(&record, bytes)),
            // The others are there all the same.
            Err(error) => outlet::remark(&format!("firebox: {}\n", printable(&error.to_string()))),
        }
    }
    if json {
        return outlet::say_json(&listed);
    }
    if listed.is_empty() {
        let place = printable(bucket.place());
        outlet::remark(&format!(
            "firebox: there are no snapshots in {place}; `firebox snapshot upload` sends one there\n"
        ));
        return Ok(());
    }
    outlet::say(&in_table(&listed))
}

fn is_sound(state: &File, memory: Option<&File>) -> Result<(), Box<dyn Error + Send + Sync>> {
    Ok(verify(state, memory)?)
}

/// The snapshot that is meant in a bucket, which is asked for its names where not all of one was said.
fn name_there(bucket: &Bucket, which: &WhichSnapshotArgs) -> Result<SnapshotName, Failure> {
    const HELP: &str = "`firebox snapshot list --remote --bucket …` has all names";
    if let WhichSnapshotArgs { lang, mem: Some(mem), vcpus: Some(vcpus) } = which {
        return SnapshotName::new(&language(lang)?, *mem, *vcpus).map_err(Failure::request);
    }
    let known = bucket.names_of_all_snapshots().map_err(told_of_fetching)?;
    meant(&known, which, &format!("in {}", printable(bucket.place())), HELP)
}

/// As the language calls itself.
fn language(lang: &str) -> Result<String, Failure> {
    Ok(Catalogue::builtin().find(lang).map_err(Failure::request)?.name().to_owned())
}

/// The one of these that is meant.
fn meant(known: &[SnapshotName], which: &WhichSnapshotArgs, place: &str, all: &str) -> Result<SnapshotName, Failure> {
    let WhichSnapshotArgs { lang, mem, vcpus } = which;
    let language = language(lang)?;
    let is_meant = |name: &&SnapshotName| {
        name.language() == language
            && mem.is_none_or(|mem| name.mebibytes() == mem)
            && vcpus.is_none_or(|vcpus| name.vcpus() == vcpus)
    };
    let found: Vec<&SnapshotName> = known.iter().filter(is_meant).collect();
    match found.as_slice() {
        [only] => Ok((*only).clone()),
        [] => {
            let mem = mem.map(|mem| format!(" with {mem} MiB")).unwrap_or_default();
            let vcpus = vcpus.map(|vcpus| format!(" for --vcpus {vcpus}")).unwrap_or_default();
            Err(Failure::request(anyhow!("there is no snapshot of `{language}`{mem}{vcpus} {place}")).with_help(all))
        }
        several => {
            let names: Vec<String> = several.iter().map(|name| format!("`{name}`")).collect();
            let which = anyhow!("there are several snapshots of `{language}` {place}: {}", names.join(", "));
            Err(Failure::request(which).with_help("`--mem` and `--vcpus` say which"))
        }
    }
}

/// Shows how far it is while it is done. The line about that is gone when it returns.
fn watched<T>(done: impl FnOnce(&(dyn Fn(SnapshotProgress) + Sync)) -> T) -> T {
    let line = Line::begin();
    done(&|progress| {
        let (worth, words) = match progress {
            SnapshotProgress::Reading => (Worth::AtOnce, "reading what is here".to_owned()),
            SnapshotProgress::Moving { bytes: 0, of } => (Worth::AtOnce, bar(0, of)),
            SnapshotProgress::Moving { bytes, of } => (Worth::InItsTurn, bar(bytes, of)),
            SnapshotProgress::Verifying => (Worth::AtOnce, "reading all of it once more".to_owned()),
        };
        line.show(worth, || words);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn which(lang: &str, mem: Option<u32>, vcpus: Option<u8>) -> WhichSnapshotArgs {
        WhichSnapshotArgs { lang: lang.to_owned(), mem, vcpus }
    }

    #[test]
    fn the_only_one_of_a_language_is_meant_and_one_of_several_is_said() {
        let known: Vec<SnapshotName> =
            ["python-512-1", "rust-1024-1", "rust-512-1", "rust-512-2"].map(|name| name.parse().unwrap()).to_vec();
        let meant = |lang, mem, vcpus| {
            super::meant(&known, &which(lang, mem, vcpus), "here", "look")
                .map(|name| name.to_string())
                .map_err(|failure| failure.message().unwrap_or_default())
        };
        for (lang, mem, vcpus, name) in [
            ("python", None, None, "python-512-1"),
            ("py", None, None, "python-512-1"),
            ("rust", Some(1024), None, "rust-1024-1"),
            ("rs", None, Some(2), "rust-512-2"),
            ("rust", Some(512), Some(1), "rust-512-1"),
        ] {
            assert_eq!(meant(lang, mem, vcpus).as_deref(), Ok(name));
        }
        for (lang, mem, vcpus, says) in [
            ("rust", None, None, "several snapshots of `rust` here: `rust-1024-1`, `rust-512-1`, `rust-512-2`"),
            ("rust", Some(512), None, "`--mem` and `--vcpus` say which"),
            (
                "rust",
                Some(513),
                Some(2),
                "there is no snapshot of `rust` with 513 MiB for --vcpus 2 here\n  help: look",
            ),
            ("go", None, None, "there is no snapshot of `go` here"),
            ("pyton", None, None, "python"),
        ] {
            let error = meant(lang, mem, vcpus).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
