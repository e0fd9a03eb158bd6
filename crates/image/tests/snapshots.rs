//! Snapshots on their way through a real server of S3, and through buckets that nobody should trust.

mod kit;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use firebox_image::{
    Bucket, Digest, Fetched, Frozen, Patience, Sent, Settings, SnapshotDamage, SnapshotName, SnapshotProgress,
    SnapshotRecord, Snapshots, StoreError, TravelError,
};
use kit::between::{Between, Meddling, Rule};
use kit::s3::{RealS3, objects};

const NAME: &str = "rust-512-1";
const MIB: usize = 1 << 20;
/// Not a whole number of chunks.
const LENGTH: usize = 20 * MIB + 8192;

/// A server with a bucket, and hosts.
struct Place {
    directory: tempfile::TempDir,
    s3: RealS3,
    bucket: PathBuf,
}

fn name() -> SnapshotName {
    NAME.parse().unwrap()
}

/// What nobody can compress, another for each number.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ (seed << 7);
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Memory with three chunks of noise (two of them the same), one of text, one with two pages, and the rest of one; all else is zero.
fn memory() -> Vec<u8> {
    let mut memory = vec![0; LENGTH];
    memory[2 * MIB..3 * MIB].copy_from_slice(&noise(1, MIB));
    memory[7 * MIB..8 * MIB].copy_from_slice(&noise(2, MIB));
    memory[9 * MIB..10 * MIB].copy_from_slice(&noise(1, MIB));
    memory[11 * MIB..12 * MIB].fill(b'x');
    memory[15 * MIB + 4096] = 1;
    memory[15 * MIB + 3 * 4096] = 2;
    memory[LENGTH - 1] = 3;
    memory
}

/// In place of what the monitor does: the state has the digest of the memory in it.
fn state_of(memory: &[u8]) -> Vec<u8> {
    format!("a state with {}", Digest::of(memory)).into_bytes()
}

fn verify(state: &File, memory: Option<&File>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let read = |file: &File| {
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    };
    let state = read(state);
    if !state.starts_with(b"a state") {
        return Err("no such state is known here".into());
    }
    let Some(memory) = memory else { return Ok(()) };
    if state == state_of(&read(memory)) { Ok(()) } else { Err("the memory is another".into()) }
}

fn frozen(name: &str, machine_bytes: u64) -> Frozen {
    Frozen {
        name: name.parse().unwrap(),
        image: "debian".parse().unwrap(),
        tree: Digest::of(b"tree"),
        disk: Digest::of(b"disk"),
        kernel: "6.1.0-x".parse().unwrap(),
        machine_bytes,
        tool: None,
        protocol: 1,
        made: 1_700_000_000,
    }
}

fn keep_state(host: &Snapshots, name: &str, memory: &[u8], state: &[u8]) -> SnapshotRecord {
    let draft = host.begin().unwrap();
    draft.state().write_all_at(state, 0).unwrap();
    for (at, page) in memory.chunks(4096).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0)) {
        draft.memory().write_all_at(page, at as u64 * 4096).unwrap();
    }
    draft.memory().set_len(memory.len() as u64).unwrap();
    draft.keep(frozen(name, memory.len() as u64)).unwrap()
}

fn keep(host: &Snapshots, name: &str, memory: &[u8]) -> SnapshotRecord {
    keep_state(host, name, memory, &state_of(memory))
}

fn memory_of(host: &Snapshots, name: &SnapshotName) -> Vec<u8> {
    let ready = host.ready(name).unwrap().unwrap();
    verify(&ready.state, Some(&ready.memory)).unwrap();
    fs::read(host.place(&ready.record).join("memory")).unwrap()
}

impl Place {
    /// None where the server is not installed, which is said.
    fn find() -> Option<Place> {
        let directory = kit::workshop();
        let s3 = RealS3::start(directory.path())?;
        let bucket = s3.make_bucket("snapshots");
        Some(Place { directory, s3, bucket })
    }

    fn host(&self, called: &str) -> Snapshots {
        Snapshots::open(&self.directory.path().join(called)).unwrap()
    }

    fn open_at(&self, host: &str) -> Bucket {
        self.open_with(host, 4)
    }

    fn open_with(&self, host: &str, parallel: usize) -> Bucket {
        let patience =
            Patience { silence: Duration::from_secs(60), tries: 3, pause: Duration::from_millis(50), rate: 8 << 10 };
        let settings = Settings { variables: self.s3.variables(host), endpoint: None, patience, parallel };
        Bucket::open(&"snapshots".parse().unwrap(), &settings).unwrap()
    }

    fn open(&self) -> Bucket {
        self.open_at(&self.s3.host)
    }

    fn part(&self, digest: &Digest) -> PathBuf {
        self.bucket.join("snapshots/parts").join(digest.hex())
    }

    /// Nobody has the chunk that is fetched last where they are fetched one by one: they are in the order of their digests.
    fn without_last(&self, host: &Snapshots) -> Rule {
        let memory = memory_of(host, &name());
        let chunks = memory.chunks(MIB).filter(|chunk| chunk.iter().any(|byte| *byte != 0));
        let last = chunks.map(Digest::of).max().unwrap().hex();
        Rule { method: "GET", path: String::leak(last), meddling: Meddling::Status(503), times: 1000 }
    }

    /// The largest part, which is a chunk of noise.
    fn largest(&self) -> PathBuf {
        let largest = objects(&self.bucket).into_iter().max_by_key(|(_, length, _)| *length).unwrap();
        self.bucket.join(largest.0)
    }
}

fn send_by(bucket: &Bucket, host: &Snapshots, name: &SnapshotName, anew: bool) -> Result<Sent, TravelError> {
    bucket.upload_snapshot(host, name, anew, &verify, &|_| ()).map(Option::unwrap)
}

fn send(bucket: &Bucket, host: &Snapshots) -> Sent {
    send_by(bucket, host, &name(), false).unwrap()
}

fn fetch(bucket: &Bucket, host: &Snapshots) -> Result<Fetched, TravelError> {
    bucket.download_snapshot(host, &name(), None, &verify, &|_| ())
}

/// Nothing is half there: neither a draft nor a part of what was fetched.
fn assert_nothing_left(host: &Snapshots) {
    for directory in ["staging", "fetching"] {
        let left: Vec<_> = fs::read_dir(host.path().join(directory)).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn what_is_sent_is_what_is_fetched_and_nothing_travels_twice() {
    let Some(place) = Place::find() else { return };
    let (here, there) = (place.host("here"), place.host("there"));
    let record = keep(&here, NAME, &memory());
    assert!(
        place.open().upload_snapshot(&here, &"go-512-1".parse().unwrap(), false, &verify, &|_| ()).unwrap().is_none()
    );
    let sent = send(&place.open(), &here);
    // Noise twice, text, two pages, the rest; the state, and the list of chunks.
    assert_eq!((sent.objects, sent.sent), (7, 7));
    assert!((2 * MIB..3 * MIB).contains(&(sent.bytes as usize)), "zeros do not travel: {}", sent.bytes);
    let before = objects(&place.bucket);
    assert_eq!(before.len(), 7 + 1, "{before:?}");
    assert!(place.part(&record.state.digest).exists() && place.bucket.join("snapshots/names").join(NAME).exists());

    let between = Between::start(&place.s3.host, &[]);
    assert_eq!(send(&place.open_at(&between.host), &here), Sent { objects: 7, sent: 0, bytes: 0 });
    let asks = |question: &String| question.starts_with("HEAD ") || question.starts_with("GET ");
    assert!(between.questions().iter().all(asks), "{:?}", between.questions());
    assert_eq!(objects(&place.bucket), before, "nothing was written again");

    let told = Mutex::new(Vec::new());
    let tell = |progress| told.lock().unwrap().push(progress);
    let fetched = place.open().download_snapshot(&there, &name(), None, &verify, &tell).unwrap();
    assert_eq!((&fetched.record, fetched.parts, fetched.fetched), (&record, 6, 6));
    assert!(fetched.bytes <= sent.bytes, "{}", fetched.bytes);
    assert_eq!(memory_of(&there, &name()), memory());
    let file = there.place(&record).join("memory").metadata().unwrap();
    assert!(file.blocks() * 512 < 5 * MIB as u64, "it has holes where nothing is: {}", file.blocks());
    assert_eq!((file.mode() & 0o777, there.find(&name()).unwrap()), (0o600, Some(record)));
    assert_nothing_left(&there);
    let told = told.into_inner().unwrap();
    let of = 5 * MIB as u64 + 8192;
    assert_eq!(told.first(), Some(&SnapshotProgress::Reading));
    assert_eq!(told.get(1), Some(&SnapshotProgress::Moving { bytes: 0, of }));
    assert!(told.contains(&SnapshotProgress::Moving { bytes: of, of }), "{told:?}");
    assert_eq!(told.last(), Some(&SnapshotProgress::Verifying));

    // What is here is not fetched again.
    let between = Between::start(&place.s3.host, &[]);
    assert_eq!(fetch(&place.open_at(&between.host), &there).unwrap().fetched, 0);
    assert_eq!(between.about("/parts/").len(), 1, "the list of chunks: {:?}", between.questions());
    assert_nothing_left(&there);
    // Nor is one that was damaged here taken for one that is here.
    let path = there.place(&there.find(&name()).unwrap().unwrap()).join("memory");
    File::options().write(true).open(&path).unwrap().write_all_at(b"other", 0).unwrap();
    let fetched = fetch(&place.open(), &there).unwrap();
    assert_eq!(
        (fetched.fetched, memory_of(&there, &name())),
        (1, memory()),
        "the state; chunks are in the damaged one"
    );
    File::options().write(true).open(&path).unwrap().set_len(5).unwrap();
    assert_eq!(fetch(&place.open(), &there).unwrap().fetched, 6);
    assert_eq!(memory_of(&there, &name()), memory());
}

#[test]
fn of_a_similar_snapshot_only_what_differs_travels_both_ways() {
    let Some(place) = Place::find() else { return };
    let (here, there) = (place.host("here"), place.host("there"));
    keep(&here, NAME, &memory());
    send(&place.open(), &here);
    fetch(&place.open(), &there).unwrap();

    // The same language with more memory, of which one page is another and one chunk is where nothing was.
    let mut other = memory();
    other[7 * MIB + 5000] ^= 1;
    other[18 * MIB..19 * MIB].copy_from_slice(&noise(3, MIB));
    other.extend_from_slice(&vec![0; 4 * MIB]);
    // The last chunk is longer than it was, so it is another, too.
    let larger: SnapshotName = "rust-1024-2".parse().unwrap();
    keep(&here, "rust-1024-2", &other);
    let sent = send_by(&place.open(), &here, &larger, false).unwrap();
    assert_eq!((sent.objects, sent.sent), (8, 5), "two chunks of noise and the rest, the state, the list");
    let fetched = place.open().download_snapshot(&there, &larger, None, &verify, &|_| ()).unwrap();
    assert_eq!((fetched.parts, fetched.fetched), (7, 4));
    assert_eq!((memory_of(&there, &larger), memory_of(&there, &name())), (other, memory()));

    let listed = place.open().snapshots().unwrap();
    let listed: Vec<_> = listed.into_iter().map(|one| (one.name.to_string(), one.snapshot.unwrap())).collect();
    assert_eq!(listed[1], ("rust-1024-2".to_owned(), (fetched.record, 7 * MIB as u64)));
    assert_eq!((listed.len(), listed[0].1.1), (2, 5 * MIB as u64 + 8192));
    assert_eq!(place.open().names_of_all_snapshots().unwrap(), [name(), larger]);
}

#[test]
fn parts_travel_several_at_once() {
    let Some(place) = Place::find() else { return };
    let (here, there) = (place.host("here"), place.host("there"));
    keep(&here, NAME, &memory());
    // Each is there for a while.
    let linger = Meddling::Meet(Duration::from_millis(300));
    let linger = |method| Rule { method, path: "/parts/", meddling: linger, times: 1000 };
    let between = Between::start(&place.s3.host, &[linger("PUT")]);
    send(&place.open_at(&between.host), &here);
    assert!((2..=4).contains(&between.most_at_once("PUT", "/parts/")));
    let between = Between::start(&place.s3.host, &[linger("GET")]);
    fetch(&place.open_with(&between.host, 2), &there).unwrap();
    assert_eq!(between.most_at_once("GET", "/parts/"), 2);
}

#[test]
fn what_is_not_sound_here_is_not_sent() {
    let Some(place) = Place::find() else { return };
    let here = place.host("here");
    let record = keep(&here, NAME, &memory());
    let path = here.place(&record).join("memory");
    File::options().write(true).open(&path).unwrap().write_all_at(b"other", 0).unwrap();
    let error = send_by(&place.open(), &here, &name(), false).unwrap_err();
    assert!(matches!(&error, TravelError::Unsound { place, .. } if Path::new(place) == here.place(&record)), "{error}");
    File::options().write(true).open(&path).unwrap().set_len(5).unwrap();
    let error = send_by(&place.open(), &here, &name(), false).unwrap_err();
    let TravelError::Store(StoreError::DamagedSnapshot { damage: SnapshotDamage::Length { found: 5, .. }, .. }) = error
    else {
        panic!("{error}")
    };
    assert_eq!(objects(&place.bucket), []);
}

#[test]
fn what_was_damaged_in_a_bucket_is_refused_and_sent_anew() {
    let Some(place) = Place::find() else { return };
    let (here, there) = (place.host("here"), place.host("there"));
    let record = keep(&here, NAME, &memory());
    send(&place.open(), &here);
    let chunk = place.largest();
    let digest = Digest::from_hex(chunk.file_name().unwrap().to_str().unwrap()).unwrap();
    let whole = fs::read(&chunk).unwrap();
    let mut altered = whole.clone();
    altered[1000] ^= 1;
    let other = zstd_of(&noise(9, MIB));
    let bomb = zstd_of(&vec![0; 64 * MIB]);
    let long = vec![0; 8 * MIB];
    for (what, content) in [
        ("altered", &altered[..]),
        ("cut off", &whole[..whole.len() / 2]),
        ("empty", b""),
        ("another", &other),
        ("a bomb", &bomb),
        ("too long", &long),
        ("longer than it can be", &long[..2 * MIB]),
    ] {
        fs::write(&chunk, content).unwrap();
        let error = fetch(&place.open(), &there).unwrap_err();
        let TravelError::Damaged { digest: damaged, .. } = error else { panic!("{what}: {error:?}") };
        assert_eq!(damaged, digest, "{what}");
        assert_eq!(there.find(&name()).unwrap(), None, "{what}");
    }
    fs::remove_file(&chunk).unwrap();
    let error = fetch(&place.open(), &there).unwrap_err();
    assert!(matches!(error, TravelError::Lacks { digest: lacks, .. } if lacks == digest), "{error}");
    // What is missing is sent; what is there and only looks right, when somebody says so.
    assert_eq!(send(&place.open(), &here).sent, 1);
    fs::write(&chunk, &altered).unwrap();
    assert_eq!(send(&place.open(), &here).sent, 0);
    assert_eq!(send_by(&place.open(), &here, &name(), true).unwrap().sent, 7);
    let fetched = fetch(&place.open(), &there).unwrap();
    assert_eq!(fetched.record, record);
    assert!(fetched.fetched < 6, "what was fetched before is there: {fetched:?}");
    assert_eq!(memory_of(&there, &name()), memory());
    assert_nothing_left(&there);
}

fn zstd_of(content: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(content, 1).unwrap()
}

#[test]
fn a_name_that_stands_for_what_cannot_be_is_refused() {
    let Some(place) = Place::find() else { return };
    let (here, there) = (place.host("here"), place.host("there"));
    keep(&here, NAME, &memory());
    let error = fetch(&place.open(), &there).unwrap_err();
    assert!(matches!(error, TravelError::NoSnapshot { .. }), "{error}");
    send(&place.open(), &here);
    let named = place.bucket.join("snapshots/names").join(NAME);
    let text = fs::read_to_string(&named).unwrap();
    let of = (5 * MIB + 8192).to_string();
    let length = LENGTH.to_string();
    for (was, is) in [
        ("\"mebibytes\": 512", "\"mebibytes\": 513"),
        ("\"rust\"", "\"../rust\""),
        (length.as_str(), "9223372036854775808"),
        (&length, "20971520"),
        (&of, "5242880"),
        (&of, "21979137"),
        ("\"chunks\": \"sha256:", "\"chunks\": \"sha256:../"),
        ("\"bytes\"", "\"more\": 1, \"bytes\""),
        ("{", "["),
    ] {
        let other = text.replacen(was, is, 1);
        assert_ne!(other, text, "{was} is not in there");
        fs::write(&named, other).unwrap();
        let error = fetch(&place.open(), &there).unwrap_err();
        assert!(matches!(error, TravelError::NoRecord { .. }), "{is} in place of {was}: {error}");
        assert_eq!(there.find(&name()).unwrap(), None);
    }
    fs::write(&named, vec![b' '; 1 << 20]).unwrap();
    fetch(&place.open(), &there).unwrap_err();
    // What is listed is what can be read; the others are told of.
    fs::write(&named, "{}").unwrap();
    let listed = place.open().snapshots().unwrap();
    assert!(listed.len() == 1 && matches!(listed[0].snapshot, Err(TravelError::NoRecord { .. })), "{listed:?}");
    fs::write(&named, &text).unwrap();
    let error = place.open().download_snapshot(&there, &name(), Some(5 * MIB as u64), &verify, &|_| ()).unwrap_err();
    assert!(matches!(error, TravelError::Size { allowed: 5_242_880, .. }), "{error}");
    fetch(&place.open(), &there).unwrap();
}

#[test]
fn a_memory_that_does_not_belong_to_its_state_is_no_snapshot_whatever_its_digests_say() {
    let Some(place) = Place::find() else { return };
    let (here, there) = (place.host("here"), place.host("there"));
    keep_state(&here, NAME, &memory(), b"a state with another");
    // Whoever sends it says that it is sound.
    place.open().upload_snapshot(&here, &name(), false, &|_, _| Ok(()), &|_| ()).unwrap().unwrap();
    let error = fetch(&place.open(), &there).unwrap_err();
    assert!(matches!(&error, TravelError::Unsound { place, .. } if place.starts_with("s3://snapshots")), "{error}");
    assert_eq!(there.find(&name()).unwrap(), None);
    assert_nothing_left(&there);

    // Of one that nothing can be made of here, the memory does not travel at all.
    keep_state(&here, NAME, &memory(), b"from elsewhere");
    place.open().upload_snapshot(&here, &name(), false, &|_, _| Ok(()), &|_| ()).unwrap().unwrap();
    let between = Between::start(&place.s3.host, &[]);
    let error = fetch(&place.open_at(&between.host), &there).unwrap_err();
    assert!(
        matches!(&error, TravelError::Unsound { source, .. } if source.to_string().contains("no such state")),
        "{error}"
    );
    assert_eq!(between.about("/parts/").len(), 2, "the list and the state: {:?}", between.questions());
    assert_nothing_left(&there);
}

#[test]
fn what_broke_off_goes_on_where_it_was() {
    let Some(place) = Place::find() else { return };
    let (here, there) = (place.host("here"), place.host("there"));
    keep(&here, NAME, &memory());
    let cut = |method, meddling| Rule { method, path: "/parts/", meddling, times: 1000 };
    let broken = Between::start(&place.s3.host, &[cut("PUT", Meddling::Cut)]);
    send_by(&place.open_at(&broken.host), &here, &name(), false).unwrap_err();
    assert!(!place.bucket.join("snapshots/names").exists(), "half a snapshot has no name");
    send(&place.open(), &here);

    // One after the other, until the last is not to be had.
    let broken = Between::start(&place.s3.host, &[place.without_last(&here)]);
    fetch(&place.open_with(&broken.host, 1), &there).unwrap_err();
    assert_eq!(there.find(&name()).unwrap(), None);
    let began: Vec<PathBuf> =
        fs::read_dir(there.path().join("fetching")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(began.len(), 1, "{began:?}");
    // Sweeping leaves it, and what the disk has lost, or has made up, is found.
    there.sweep().unwrap();
    let memory_file = File::options().write(true).open(began[0].join("memory")).unwrap();
    memory_file.write_all_at(b"nothing should be here", 17 * MIB as u64).unwrap();
    memory_file.write_all_at(&[0; 5], 15 * MIB as u64 + 4096).unwrap();
    let fetched = fetch(&place.open(), &there).unwrap();
    assert!((2..=3).contains(&fetched.fetched), "the last, the state, and the one with two pages: {fetched:?}");
    assert_eq!(memory_of(&there, &name()), memory());
    assert_nothing_left(&there);

    // What nobody has gone on with for long goes.
    let broken = Between::start(&place.s3.host, &[cut("GET", Meddling::Status(503))]);
    there.remove(&name()).unwrap();
    fetch(&place.open_at(&broken.host), &there).unwrap_err();
    let began = fs::read_dir(there.path().join("fetching")).unwrap().next().unwrap().unwrap().path();
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(8 * 24 * 3600);
    File::options().write(true).open(began.join("memory")).unwrap().set_modified(long_ago).unwrap();
    there.sweep().unwrap();
    assert_nothing_left(&there);
}

#[test]
fn two_who_fetch_the_same_at_once_fetch_it_once() {
    let Some(place) = Place::find() else { return };
    let (here, there) = (place.host("here"), place.host("there"));
    keep(&here, NAME, &memory());
    send(&place.open(), &here);
    let fetched: Vec<usize> = std::thread::scope(|scope| {
        let fetchers: Vec<_> = (0..4).map(|_| scope.spawn(|| fetch(&place.open(), &there).unwrap().fetched)).collect();
        fetchers.into_iter().map(|fetcher| fetcher.join().unwrap()).collect()
    });
    assert_eq!(fetched.iter().sum::<usize>(), 6, "{fetched:?}");
    assert_eq!(memory_of(&there, &name()), memory());
    assert_nothing_left(&there);
}

#[test]
fn a_directory_is_a_bucket_too() {
    let directory = kit::workshop();
    let host = |called: &str| Snapshots::open(&directory.path().join(called)).unwrap();
    let shelf = directory.path().join("shelf");
    let settings = Settings { variables: Vec::new(), endpoint: None, patience: Patience::default(), parallel: 4 };
    let open = || Bucket::open(&format!("file://{}", shelf.display()).parse().unwrap(), &settings).unwrap();
    keep(&host("here"), NAME, &memory());
    fs::create_dir(&shelf).unwrap();
    assert_eq!(send(&open(), &host("here")).sent, 7);
    assert_eq!(fetch(&open(), &host("there")).unwrap().fetched, 6);
    assert_eq!(memory_of(&host("there"), &name()), memory());
}
