//! A program that does one thing to a store, done again and again, each time with another of its calls refused: the disk is full there, and nowhere
//! else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;

use firebox_image::{Bucket, ImageName, OciLayout, Patience, Platform, Record, Settings, Store, Verified};

use super::layout::Layout;
use super::{chain, strace, take, text};

/// Runs that go on at once.
const AT_ONCE: usize = 2;
/// How a program of Rust ends that met what it did not expect.
const PANICKED: i32 = 101;
/// What need not end with an error: how a call's name begins, and what it is about.
const PASSED_OVER: [(&str, &str); 4] = [
    // What nobody holds any more is claimed by the next who comes, or removed with what else was left.
    ("unlink", ".claim\""),
    // A file may have no room for one more attribute. Where the disk has, as it says here, it goes without.
    ("fsetxattr", "user.note"),
    // Nothing rests on it: `fsync` says later what became of it.
    ("sync_file_range", ""),
    // What something took is also found out without what it says of itself.
    ("openat", "/size\", O_RDONLY"),
];

/// What may find a disk full: whatever makes something, gives it bytes, or says that the disk has it; and on filesystems that never write in
/// place, or above others, also what takes something away or changes what is noted of it. An `?` is before those that not every machine has.
pub(crate) const CALLS: &str = "?open,openat,openat2,?creat,?mkdir,mkdirat,?mknod,mknodat,?link,linkat,?symlink,symlinkat,\
    ?rename,?renameat,renameat2,write,writev,pwrite64,pwritev,pwritev2,?sendfile,copy_file_range,splice,ftruncate,truncate,fallocate,\
    fsync,fdatasync,syncfs,sync_file_range,setxattr,lsetxattr,fsetxattr,?unlink,unlinkat,?rmdir,?chmod,fchmod,fchmodat,?utimes,utimensat";

pub(crate) fn name() -> ImageName {
    "x".parse().unwrap()
}

/// An image, which there is as a layout and in a bucket.
pub(crate) struct Bench {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) record: Record,
}

impl Bench {
    /// Of layers that these scripts make. None where something is missing, which is said.
    pub(crate) fn of(layers: &[&str]) -> Option<Bench> {
        if !strace::may_be() {
            return None;
        }
        let directory = super::workshop();
        let image = lay_out(&directory.path().join("oci"), layers);
        let here = super::store(directory.path());
        let record = take(&here, &image, "x").unwrap();
        let bench = Bench { directory, record };
        bucket_beside(here.path()).upload(&here, &name(), false, &|_| ()).unwrap().unwrap();
        Some(bench)
    }

    pub(crate) fn at(&self, what: &str) -> String {
        format!("{}/{what}", text(self.directory.path()))
    }

    pub(crate) fn here(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    pub(crate) fn oci(&self) -> OciLayout {
        OciLayout::directory(self.at("oci").as_ref(), None).unwrap()
    }

    /// Another image, also to be called `x` there.
    pub(crate) fn another(&self, layers: &[&str]) -> OciLayout {
        lay_out(self.at("another").as_ref(), layers)
    }
}

fn lay_out(place: &Path, layers: &[&str]) -> OciLayout {
    let layout = Layout::new(place.to_owned());
    layout.call(&layout.image_of(&Platform::of_this_host().architecture, layers), "x");
    OciLayout::directory(place, None).unwrap()
}

/// A bucket in the directory that a store is in.
pub(crate) fn bucket_beside(store: &Path) -> Bucket {
    let directory = store.with_file_name("bucket");
    fs::create_dir_all(&directory).unwrap();
    let settings = Settings { variables: Vec::new(), endpoint: None, patience: Patience::default(), parallel: 2 };
    Bucket::open(&format!("file://{}", text(&directory)).parse().unwrap(), &settings).unwrap()
}

/// What is done while the disk is full at one call.
pub(crate) struct Step<'b> {
    pub(crate) bench: &'b Bench,
    /// What the example is told. `HERE` stands for the directory that the store is in.
    pub(crate) thing: String,
    /// What is done before, with no call refused.
    pub(crate) before: &'b (dyn Fn(&Store) + Sync),
    /// What it may leave when a call was refused: this is the name of the call.
    pub(crate) leaves: &'b (dyn Fn(&Store, &str) + Sync),
    /// The same as what was refused, which goes well now.
    pub(crate) again: &'b (dyn Fn(&Store) + Sync),
    /// Those that are refused.
    pub(crate) calls: &'b str,
    /// What strace answers in any case.
    pub(crate) answers: &'b [&'b str],
}

impl<'b> Step<'b> {
    /// On a store that has nothing yet, and as most are.
    pub(crate) fn of(bench: &'b Bench, thing: impl Into<String>, again: &'b (dyn Fn(&Store) + Sync)) -> Step<'b> {
        Step {
            bench,
            thing: thing.into(),
            before: &|_| (),
            leaves: &something_sound,
            again,
            calls: CALLS,
            answers: &[],
        }
    }
}

/// What almost all leave: something sound, and in `staging` nothing that cannot be collected.
pub(crate) fn something_sound(store: &Store, _: &str) {
    assert_sound(store);
    store.collect().unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(fs::read_dir(store.path().join("staging")).unwrap().count(), 0);
}

fn assert_sound(store: &Store) {
    let Verified { damages, unread, .. } = store.verify().unwrap();
    assert_eq!((damages, unread), (Vec::new(), Vec::new()));
}

/// The n-th call of a name in a thread.
type Moment = (String, usize);

impl Step<'_> {
    /// Runs it with each call refused, and returns the names of those that were.
    pub(crate) fn check(&self) -> BTreeSet<String> {
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
        let telling = Telling(told);
        let store = Store::open(&path, None).unwrap_or_else(|error| panic!("{}", chain(&error)));
        (self.leaves)(&store, call);
        (self.again)(&store);
        assert_eq!(store.record(&name()).unwrap().as_ref(), Some(&self.bench.record));
        assert_sound(&store);
        drop(telling);
        lines
    }
}

/// Says what was refused when what comes of it is not what it should be.
struct Telling(String);

impl Drop for Telling {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.0);
        }
    }
}

/// Each of these was refused, by whichever of its names.
pub(crate) fn assert_all(refused: &BTreeSet<String>, kinds: &[&str]) {
    for kind in kinds {
        assert!(kind.split(' ').any(|name| refused.contains(name)), "no {kind} was refused: {refused:?}");
    }
}
