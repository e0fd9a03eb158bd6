//! A disk that is full at one call: strace says so in the system's place, to one call after the other.
//!
//! Small disks (`full`, `remote_full`) are full where chance has it, and then for all that comes after. Here everything else goes well, so that
//! each call has to tell by itself.

mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;

use firebox_image::{
    Bucket, BucketError, ImageName, OciLayout, Patience, Platform, Record, Settings, SourceError, Store, TakeInError,
};
use kit::layout::Layout;
use kit::{chain, strace, take, text};

/// Runs that go on at once.
const AT_ONCE: usize = 2;
/// How a program of Rust ends that met what it did not expect.
const PANICKED: i32 = 101;
/// What may find a disk full: whatever makes something, gives it bytes, or says that the disk has it; and on filesystems that never write in
/// place, or above others, also what takes something away or changes what is noted of it. An `?` is before those that not every machine has.
const CALLS: &str = "?open,openat,openat2,?creat,?mkdir,mkdirat,?mknod,mknodat,?link,linkat,?symlink,symlinkat,\
    ?rename,?renameat,renameat2,write,writev,pwrite64,pwritev,pwritev2,?sendfile,copy_file_range,splice,ftruncate,truncate,fallocate,\
    fsync,fdatasync,syncfs,sync_file_range,setxattr,lsetxattr,fsetxattr,?unlink,unlinkat,?rmdir,?chmod,fchmod,fchmodat,?utimes,utimensat";

/// What need not end with an error: how a call's name begins, and what it is about.
const PASSED_OVER: [(&str, &str); 3] = [
    // What nobody holds any more is claimed by the next who comes, or removed with what else was left.
    ("unlink", ".claim\""),
    // A file may have no room for one more attribute. Where the disk has, as it says here, it goes without.
    ("fsetxattr", "user.note"),
    // Nothing rests on it: `fsync` says later what became of it.
    ("sync_file_range", ""),
];

const LOWER: &str =
    "mkdir -p bin etc/deep; head -c 40000 /dev/zero > bin/sh; chmod 755 bin/sh; ln bin/sh bin/also; ln -s sh bin/bash
    echo old > etc/old; echo one > etc/one; echo hidden > etc/deep/hidden";
const UPPER: &str = "mkdir etc; : > etc/.wh.old; : > etc/.wh.deep; echo two > etc/one; seq 2000 > etc/many; ln -s /nowhere etc/dangling";

fn name() -> ImageName {
    "x".parse().unwrap()
}

/// An image, which there is as a layout and in a bucket.
struct Bench {
    directory: tempfile::TempDir,
    record: Record,
}

impl Bench {
    /// Of layers that these scripts make. None where something is missing, which is said.
    fn of(layers: &[&str]) -> Option<Bench> {
        if !strace::may_be() {
            return None;
        }
        let directory = kit::workshop();
        let layout = Layout::new(directory.path().join("oci"));
        layout.call(&layout.image_of(&Platform::of_this_host().architecture, layers), "x");
        let here = kit::store(directory.path());
        let record = take(&here, &OciLayout::directory(layout.path(), None).unwrap(), "x").unwrap();
        let bench = Bench { directory, record };
        bucket_beside(here.path()).upload(&here, &name(), false, &|_| ()).unwrap().unwrap();
        Some(bench)
    }

    fn at(&self, what: &str) -> String {
        format!("{}/{what}", text(self.directory.path()))
    }

    fn here(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    fn oci(&self) -> OciLayout {
        OciLayout::directory(self.at("oci").as_ref(), None).unwrap()
    }
}

/// A bucket in the directory that a store is in.
fn bucket_beside(store: &Path) -> Bucket {
    let directory = store.with_file_name("bucket");
    fs::create_dir_all(&directory).unwrap();
    let settings = Settings { variables: Vec::new(), endpoint: None, patience: Patience::default(), parallel: 2 };
    Bucket::open(&format!("file://{}", text(&directory)).parse().unwrap(), &settings).unwrap()
}

/// What is done while the disk is full at one call.
struct Step<'b> {
    bench: &'b Bench,
    /// What the example is told. `HERE` stands for the directory that the store is in.
    thing: String,
    /// What is done before, with no call refused.
    before: &'b (dyn Fn(&Store) + Sync),
    /// The same as what was refused, which goes well now.
    again: &'b (dyn Fn(&Store) + Sync),
    /// Those that are refused.
    calls: &'b str,
    /// What strace answers in any case.
    answers: &'b [&'b str],
}

/// The n-th call of a name in a thread.
type Moment = (String, usize);

impl Step<'_> {
    /// Runs it with each call refused, and returns the names of those that were.
    fn check(&self) -> BTreeSet<String> {
        let moments = self.moments();
        let (queue, refused) = (Mutex::new(moments.into_iter()), Mutex::new(BTreeSet::new()));
        let next = || queue.lock().unwrap().next();
        std::thread::scope(|threads| {
            for _ in 0..AT_ONCE {
                threads.spawn(|| {
                    while let Some(moment) = next() {
                        let lines = self.refuse(&moment);
                        refused.lock().unwrap().extend((!lines.is_empty()).then_some(moment.0));
                    }
                });
            }
        });
        refused.into_inner().unwrap()
    }

    /// A store for one run, in a directory of its own.
    fn store(&self) -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir_in(self.bench.directory.path()).unwrap();
        let path = place.path().join("store");
        (self.before)(&Store::open(&path, None).unwrap());
        // What makes the store may find the disk full as well.
        if fs::read_dir(path.join("names")).unwrap().next().is_none() {
            fs::remove_dir_all(&path).unwrap();
        }
        (place, path)
    }

    /// What it says, and what each of its threads called.
    fn run(&self, store: &Path, answers: &[&str]) -> (Output, Vec<String>) {
        let test = std::env::current_exe().unwrap();
        let example = test.parent().and_then(Path::parent).unwrap().join("examples/one_step");
        assert!(example.is_file(), "{} is not there: build the examples", example.display());
        let traces = store.with_file_name("traces");
        fs::create_dir(&traces).unwrap();
        let mut strace = strace::of(&example, self.calls, answers, &traces.join("of"));
        let thing = self.thing.replace("HERE", text(store.parent().unwrap()));
        let output = strace.args([text(store), &thing]).output().unwrap();
        let read = |trace: fs::DirEntry| fs::read_to_string(trace.path()).unwrap();
        (output, fs::read_dir(&traces).unwrap().map(|trace| read(trace.unwrap())).collect())
    }

    /// Each call that some thread makes.
    fn moments(&self) -> BTreeSet<Moment> {
        let (_place, store) = self.store();
        let (output, threads) = self.run(&store, self.answers);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut moments = BTreeSet::new();
        for thread in threads {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for (call, _) in thread.lines().filter_map(|line| line.split_once('(')) {
                let n = counts.entry(call).or_default();
                *n += 1;
                moments.insert((call.to_owned(), *n));
            }
        }
        moments
    }

    /// The calls that were refused, as strace has them: in each thread the n-th, if there is one.
    fn refuse(&self, (call, n): &Moment) -> Vec<String> {
        let (_place, path) = self.store();
        let refusal = format!("{call}:error=ENOSPC:when={n}");
        let (output, threads) = self.run(&path, &[self.answers, &[&refusal]].concat());
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        // What is elsewhere is no business of ours: libraries that are looked for, a message.
        let is_refused = |line: &&str| line.contains("ENOSPC") && line.contains(text(self.bench.directory.path()));
        let lines: Vec<String> =
            threads.iter().flat_map(|thread| thread.lines().filter(is_refused)).map(str::to_owned).collect();
        let told = format!("{} refused {call} {n}: {lines:#?}\n{says}", self.thing);
        match output.status.code() {
            Some(0) => {
                let may_be = |line: &String| {
                    PASSED_OVER.iter().any(|(name, part)| call.starts_with(name) && line.contains(part))
                };
                assert!(lines.iter().all(may_be), "it passed over {told}");
            }
            Some(PANICKED) | None => panic!("{told}"),
            Some(_) => assert!(says.contains("No space left on device"), "{told}"),
        }
        for line in lines.iter().filter(|_| call == "fsync") {
            // Memory may have it still and call it written the next time, so nobody goes on with it.
            let refused = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).unwrap().0;
            assert!(!refused.contains("/staging/") || !Path::new(refused).exists(), "{refused} is there: {told}");
        }
        let store = Store::open(&path, None).unwrap_or_else(|error| panic!("{}\n{told}", chain(&error)));
        let assert_sound = || assert_eq!(store.verify().unwrap().damages, [], "{told}");
        assert_sound();
        store.collect().unwrap_or_else(|error| panic!("{}\n{told}", chain(&error)));
        assert_eq!(fs::read_dir(path.join("staging")).unwrap().count(), 0, "{told}");
        (self.again)(&store);
        assert_eq!(store.record(&name()).unwrap().as_ref(), Some(&self.bench.record), "{told}");
        assert_sound();
        lines
    }
}

/// Each of these was refused, by whichever of its names.
fn assert_all(refused: &BTreeSet<String>, kinds: &[&str]) {
    for kind in kinds {
        assert!(kind.split(' ').any(|name| refused.contains(name)), "no {kind} was refused: {refused:?}");
    }
}

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
    let step = Step { bench: &bench, thing, before: &|_| (), again: &again, calls: CALLS, answers: &[] };
    let refused = step.check();
    assert_all(&refused, &KEEPING);
    assert_all(&refused, &LAYING_OUT);
    assert_all(&refused, &["ftruncate"]);
}

#[test]
fn who_copies_what_has_all_the_names_it_may_have_tells_so_as_well() {
    let Some(bench) = Bench::of(&[LOWER, UPPER]) else { return };
    let again = |store: &Store| drop(take(store, &bench.oci(), "x").unwrap());
    let thing = format!("take:{}", bench.at("oci"));
    let calls = "linkat,openat2,copy_file_range,?sendfile,write,fsetxattr,fchmod,utimensat";
    let answers = ["linkat:error=EMLINK:when=1+2"];
    let step = Step { bench: &bench, thing, before: &|_| (), again: &again, calls, answers: &answers };
    assert_all(&step.check(), &["copy_file_range sendfile"]);
}

#[test]
fn who_has_the_disk_begin_early_need_not_tell() {
    let Some(bench) = Bench::of(&["head -c 20000000 /dev/zero > large"]) else { return };
    let again = |store: &Store| drop(take(store, &bench.oci(), "x").unwrap());
    let thing = format!("take:{}", bench.at("oci"));
    let calls = "sync_file_range";
    let step = Step { bench: &bench, thing, before: &|_| (), again: &again, calls, answers: &[] };
    assert_all(&step.check(), &[calls]);
}

#[test]
fn who_fetches_one_from_a_bucket_tells_so_as_well() {
    let Some(bench) = Bench::of(&[LOWER, UPPER]) else { return };
    let again = |store: &Store| drop(bucket_beside(&bench.here()).download(store, &name(), None, &|_| ()).unwrap());
    let thing = format!("fetch:file://{}", bench.at("bucket"));
    let step = Step { bench: &bench, thing, before: &|_| (), again: &again, calls: CALLS, answers: &[] };
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
    let step =
        Step { bench: &bench, thing: "disk:".to_owned(), before: &before, again: &again, calls: CALLS, answers: &[] };
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
    let step = Step { bench: &bench, thing, before: &before, again: &again, calls: CALLS, answers: &[] };
    assert_all(&step.check(), &["openat", "mkdir mkdirat", "write", "fsync", "rename renameat renameat2"]);
}
