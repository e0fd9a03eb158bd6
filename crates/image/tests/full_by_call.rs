//! A disk that is full at one call: strace says so in the system's place, to one call after the other.
//!
//! Small disks (`full`, `remote_full`) are full where chance has it, and then for all that comes after. Here everything else goes well, so that
//! each call has to tell by itself.

mod kit;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use firebox_image::{BucketError, OciLayout, SourceError, Store, TakeInError};
use kit::refusing::{Bench, Step, assert_all, bucket_beside, name, something_sound};
use kit::registry::{RealRegistry, Wants};
use kit::{chain, has, take};

const LOWER: &str =
    "mkdir -p bin etc/deep; head -c 40000 /dev/zero > bin/sh; chmod 755 bin/sh; ln bin/sh bin/also; ln -s sh bin/bash
    echo old > etc/old; echo one > etc/one; echo hidden > etc/deep/hidden";
const UPPER: &str = "mkdir etc; : > etc/.wh.old; : > etc/.wh.deep; echo two > etc/one; seq 2000 > etc/many; ln -s /nowhere etc/dangling";
const ANOTHER: &str = "mkdir etc; seq 3000 > etc/another";

/// What puts a thing in its place, whatever it is.
const KEEPING: [&str; 7] =
    ["openat", "mkdir mkdirat", "write", "fsync", "syncfs", "rename renameat renameat2", "unlink unlinkat"];
/// What lays out a root filesystem.
const LAYING_OUT: [&str; 7] = ["openat2", "mkdirat", "linkat", "symlinkat", "fsetxattr", "fchmod", "utimensat"];

#[test]
fn who_takes_an_image_in_tells_at_each_call_that_the_disk_is_full() {
    let Some(bench) = Bench::of(&[LOWER, UPPER]) else { return };
    let again = |store: &Store| drop(take(store, &bench.oci(), "x").unwrap());
    let thing = format!("take:{}", bench.at("oci"));
    let step = Step::of(&bench, thing, &again);
    let refused = step.check();
    assert_all(&refused, &KEEPING);
    assert_all(&refused, &LAYING_OUT);
    assert_all(&refused, &["ftruncate"]);
}

#[test]
fn who_pulls_one_from_a_registry_tells_so_as_well() {
    if !has(&["docker-registry", "skopeo"]) {
        return;
    }
    let Some(bench) = Bench::of(&[LOWER, UPPER]) else { return };
    let registry = RealRegistry::start(bench.directory.path(), &Wants::Nothing);
    registry.push(&format!("oci:{}:x", bench.at("oci")), "x:y", &["--preserve-digests"]);
    let again = |store: &Store| drop(take(store, &bench.oci(), "x").unwrap());
    let thing = format!("pull:{}/x:y", registry.host);
    let step = Step::of(&bench, thing, &again);
    let refused = step.check();
    assert_all(&refused, &KEEPING);
    assert_all(&refused, &LAYING_OUT);
}

#[test]
fn who_copies_what_has_all_the_names_it_may_have_tells_so_as_well() {
    let Some(bench) = Bench::of(&[LOWER, UPPER]) else { return };
    let again = |store: &Store| drop(take(store, &bench.oci(), "x").unwrap());
    let thing = format!("take:{}", bench.at("oci"));
    let calls = "linkat,openat2,copy_file_range,?sendfile,write,fsetxattr,fchmod,utimensat";
    let answers = ["linkat:error=EMLINK:when=1+2"];
    let step = Step { calls, answers: &answers, ..Step::of(&bench, thing, &again) };
    assert_all(&step.check(), &["copy_file_range sendfile"]);
}

#[test]
fn who_has_the_disk_begin_early_need_not_tell() {
    let Some(bench) = Bench::of(&["head -c 20000000 /dev/zero > large"]) else { return };
    let again = |store: &Store| drop(take(store, &bench.oci(), "x").unwrap());
    let thing = format!("take:{}", bench.at("oci"));
    let calls = "sync_file_range";
    let step = Step { calls, ..Step::of(&bench, thing, &again) };
    assert_all(&step.check(), &[calls]);
}

#[test]
fn who_fetches_one_from_a_bucket_tells_so_as_well() {
    let Some(bench) = Bench::of(&[LOWER, UPPER]) else { return };
    let again = |store: &Store| drop(bucket_beside(&bench.here()).download(store, &name(), None, &|_| ()).unwrap());
    let thing = format!("fetch:file://{}", bench.at("bucket"));
    let step = Step::of(&bench, thing, &again);
    let refused = step.check();
    assert_all(&refused, &KEEPING);
    assert_all(&refused, &LAYING_OUT);
}

#[test]
fn who_makes_a_filesystem_image_tells_so_as_well() {
    let Some(bench) = Bench::of(&[LOWER, UPPER]) else { return };
    let before = |store: &Store| drop(take(store, &bench.oci(), "x").unwrap());
    let made = |store: &Store| store.filesystem_image(&name()).unwrap().unwrap().digest();
    let expected = made(&kit::store(bench.directory.path()));
    let again = |store: &Store| assert_eq!(made(store), expected);
    let step = Step { before: &before, ..Step::of(&bench, "disk:".to_owned(), &again) };
    assert_all(&step.check(), &KEEPING);
}

#[test]
fn who_sends_one_to_a_bucket_tells_so_as_well_and_leaves_no_half_of_it_under_its_name() {
    let Some(bench) = Bench::of(&[LOWER, UPPER]) else { return };
    let before = |store: &Store| {
        take(store, &bench.oci(), "x").unwrap();
        drop(bucket_beside(store.path()));
    };
    let again = |store: &Store| {
        let bucket = bucket_beside(store.path());
        let there = Store::open(&store.path().with_file_name("there"), None).unwrap();
        match bucket.download(&there, &name(), None, &|_| ()) {
            Err(TakeInError::Source(SourceError::Bucket(BucketError::NoImage { .. }))) => {}
            found => drop(found.unwrap_or_else(|error| panic!("half an image: {}", chain(&error)))),
        }
        bucket.upload(store, &name(), false, &|_| ()).unwrap().unwrap();
        assert_eq!(bucket.download(&there, &name(), None, &|_| ()).unwrap(), bench.record);
        assert_eq!(there.verify().unwrap().damages, []);
    };
    let thing = "send:file://HERE/bucket".to_owned();
    let step = Step { before: &before, ..Step::of(&bench, thing, &again) };
    assert_all(&step.check(), &["openat", "mkdir mkdirat", "write", "fsync", "rename renameat renameat2"]);
}

/// All that a store keeps, but for what is in the making.
fn kept(store: &Path) -> BTreeSet<PathBuf> {
    let kinds = ["blobs", "layers", "trees", "disks", "names", "proofs"];
    let of = |kind| {
        fs::read_dir(store.join(kind)).unwrap().map(move |entry| Path::new(kind).join(entry.unwrap().file_name()))
    };
    kinds.into_iter().flat_map(of).collect()
}

/// Takes in `x`, and another image that shares a layer with it, both with their filesystem images.
fn take_both(store: &Store, x: &OciLayout, another: &OciLayout) {
    for (name, source) in [("x", x), ("another", another)] {
        take(store, source, name).unwrap();
        drop(store.filesystem_image(&name.parse().unwrap()).unwrap().unwrap());
    }
}

#[test]
fn who_collects_what_is_no_images_any_more_tells_so_and_collects_the_rest() {
    let Some(bench) = Bench::of(&[LOWER, UPPER]) else { return };
    let another = bench.another(&[LOWER, ANOTHER]);
    let before = |store: &Store| {
        take_both(store, &bench.oci(), &another);
        store.remove_name(&"another".parse().unwrap()).unwrap();
        // As whoever was killed leaves it.
        fs::write(store.path().join("staging/file-1"), "half").unwrap();
        fs::create_dir_all(store.path().join("staging/layers-1/files")).unwrap();
    };
    let clean = kit::store(bench.directory.path());
    drop(clean.filesystem_image(&name()).unwrap().unwrap());
    let expected = kept(clean.path());
    let leaves = |store: &Store, call: &str| {
        let stays: Vec<_> = kept(store.path()).difference(&expected).cloned().collect();
        // One that could not be removed, and the proof of it.
        let is_removal = call.starts_with("unlink") || call.starts_with("rename") || call == "rmdir";
        assert!(!is_removal || stays.len() <= 2, "{stays:?}");
        something_sound(store, call);
    };
    let again = |store: &Store| assert_eq!(kept(store.path()), expected);
    let thing = "collect:".to_owned();
    let step = Step { before: &before, leaves: &leaves, ..Step::of(&bench, thing, &again) };
    assert_all(&step.check(), &["openat", "rename renameat renameat2", "unlink", "unlinkat"]);
}

#[test]
fn who_repairs_tells_so_and_removes_nothing_that_is_sound() {
    let Some(bench) = Bench::of(&[LOWER, UPPER]) else { return };
    let another = bench.another(&[LOWER, ANOTHER]);
    let is_damaged = |thing: &&PathBuf| !thing.starts_with("proofs");
    let before = |store: &Store| {
        take(store, &bench.oci(), "x").unwrap();
        drop(store.filesystem_image(&name()).unwrap().unwrap());
        let of_x = kept(store.path());
        take_both(store, &bench.oci(), &another);
        // All that is the other's alone, and its name.
        for thing in kept(store.path()).difference(&of_x).filter(is_damaged) {
            damage(&store.path().join(thing));
        }
    };
    let clean = kit::store(bench.directory.path());
    drop(clean.filesystem_image(&name()).unwrap().unwrap());
    let sound = kept(clean.path());
    let leaves = |store: &Store, _: &str| {
        let lost: Vec<_> = sound.difference(&kept(store.path())).cloned().collect();
        assert_eq!(lost, [] as [PathBuf; 0], "what was sound is gone");
    };
    let again = |store: &Store| {
        assert_eq!(store.repair().unwrap().unread, []);
        store.collect().unwrap();
        assert_eq!(kept(store.path()), sound);
    };
    let thing = "repair:".to_owned();
    let step = Step { before: &before, leaves: &leaves, ..Step::of(&bench, thing, &again) };
    assert_all(&step.check(), &["openat", "openat2", "rename renameat renameat2", "unlink", "unlinkat"]);
}

/// Changes a file, or one in a directory that is kept.
fn damage(thing: &Path) {
    let inner = ["files/0", "image", "root/etc/another"].map(|name| thing.join(name));
    let file = inner.iter().find(|file| file.is_file()).map_or(thing, PathBuf::as_path);
    fs::remove_file(file).unwrap();
    fs::write(file, "no longer what it was").unwrap();
}

#[test]
fn who_removes_a_name_tells_so_and_another_time_the_disk_knows_it_is_gone() {
    let Some(bench) = Bench::of(&[LOWER, UPPER]) else { return };
    let before = |store: &Store| drop(take(store, &bench.oci(), "x").unwrap());
    let again = |store: &Store| {
        store.remove_name(&name()).unwrap();
        assert_eq!(store.names().unwrap(), []);
        take(store, &bench.oci(), "x").unwrap();
    };
    let thing = "remove:".to_owned();
    let step = Step { before: &before, ..Step::of(&bench, thing, &again) };
    assert_all(&step.check(), &["openat", "unlink unlinkat", "fsync"]);
}
