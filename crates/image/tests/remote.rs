//! Buckets that misbehave: a real server of S3 with somebody between it and us, and what is in a bucket that nobody should
//! trust.

mod kit;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use firebox_image::{
    Bucket, BucketError, BucketPlace, Digest, ImageName, OciLayout, Patience, Progress, Record, Sent, Settings, Store,
    TakeInError,
};
use kit::between::{Between, Meddling, Rule};
use kit::s3::{RealS3, objects};
use kit::{Made, chain, has, listing, take};

/// An image in a store, and a server with a bucket for it.
struct Place {
    made: Made,
    s3: RealS3,
    bucket: PathBuf,
    here: Store,
    record: Record,
}

const NAME: &str = "x";

/// What nobody can compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn name() -> ImageName {
    NAME.parse().unwrap()
}

impl Place {
    /// None where what it takes is not installed, which is said.
    fn find() -> Option<Place> {
        if !has(&["umoci"]) {
            return None;
        }
        let made = Made::image();
        let s3 = RealS3::start(made.directory.path())?;
        let bucket = s3.make_bucket("images");
        let here = kit::store(made.directory.path());
        // A layer that travels in more pieces than one.
        let large = made.directory.path().join("large");
        fs::create_dir_all(&large).unwrap();
        fs::write(large.join("noise"), noise(20_000_000)).unwrap();
        let oci = format!("{}:x", made.oci().display());
        kit::run("umoci", &["insert", "--image", &oci, kit::text(&large), "/large"]);
        let record = take(&here, &OciLayout::directory(&made.oci(), Some("x")).unwrap(), NAME).unwrap();
        Some(Place { made, s3, bucket, here, record })
    }

    fn open_at(&self, host: &str, silence: Duration) -> Bucket {
        self.open_with(host, Patience { silence, tries: 3, pause: Duration::from_millis(50), rate: 8 << 10 })
    }

    fn open_with(&self, host: &str, patience: Patience) -> Bucket {
        self.open_by(host, patience, 4)
    }

    fn open_by(&self, host: &str, patience: Patience, parallel: usize) -> Bucket {
        let settings = Settings { variables: self.s3.variables(host), endpoint: None, patience, parallel };
        Bucket::open(&"images".parse().unwrap(), &settings).unwrap()
    }

    fn open(&self) -> Bucket {
        self.open_at(&self.s3.host, Duration::from_secs(60))
    }

    fn send(&self, bucket: &Bucket) -> Result<Sent, BucketError> {
        bucket.upload(&self.here, &name(), false, &|_| ()).map(Option::unwrap)
    }

    /// A store that has nothing yet.
    fn other(&self, called: &str) -> Store {
        Store::open(&self.made.directory.path().join(called), None).unwrap()
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.bucket.join("blobs/sha256").join(digest.hex())
    }

    /// The layer that travels in several pieces.
    fn large(&self) -> &'static str {
        String::leak(self.record.layers[2].blob.hex())
    }

    fn is_named(&self) -> bool {
        self.bucket.join("names").join(NAME).exists()
    }
}

fn fetch(bucket: &Bucket, store: &Store) -> Result<Record, TakeInError> {
    bucket.download(store, &name(), None, &|_| ())
}

fn rule(method: &'static str, path: &'static str, meddling: Meddling, times: usize) -> Rule {
    Rule { method, path, meddling, times }
}

/// Short where nothing is said on purpose; nowhere else is it to count how fast this host is.
fn silence(rules: &[Rule]) -> Duration {
    let stalls = rules.iter().any(|rule| matches!(rule.meddling, Meddling::Stall(_)));
    Duration::from_secs(if stalls { 5 } else { 60 })
}

#[test]
fn what_is_sent_is_what_is_fetched_and_only_what_is_missing_travels() {
    let Some(place) = Place::find() else { return };
    let sent = place.send(&place.open()).unwrap();
    assert_eq!((sent.sent, sent.objects), (5, 5), "a manifest, a configuration, three layers");
    let before = objects(&place.bucket);
    assert_eq!(before.len(), 6, "{before:?}");
    let pieces = objects(&place.bucket).into_iter().filter(|(_, length, _)| 2 * (8 << 20) < *length);
    assert_eq!(pieces.count(), 1, "one layer is to travel in pieces");

    let between = Between::start(&place.s3.host, &[]);
    let again = place.send(&place.open_at(&between.host, Duration::from_secs(60))).unwrap();
    assert_eq!(again, Sent { objects: 5, sent: 0, bytes: 0 });
    let questions = between.questions();
    assert!(
        questions.iter().all(|question| question.starts_with("HEAD ") || question.starts_with("GET ")),
        "{questions:?}"
    );
    assert_eq!(objects(&place.bucket), before);

    let other = place.other("other");
    let record = fetch(&place.open(), &other).unwrap();
    assert_eq!(record, place.record);
    let (root, reference) =
        [&other, &place.here].map(|store| store.hold(&name()).unwrap().unwrap().tree().to_owned()).into();
    assert_eq!(listing(&root, "%y %m %P %l"), listing(&reference, "%y %m %P %l"));
    assert_eq!(other.verify().unwrap().damages, []);

    // What one of the others has in common with it is there.
    let lost = place.blob(&place.record.layers[0].blob);
    fs::remove_file(&lost).unwrap();
    assert_eq!(place.send(&place.open()).unwrap().sent, 1);
    // An object that is not as long as it should be is none.
    fs::write(&lost, "short").unwrap();
    assert_eq!(place.send(&place.open()).unwrap().sent, 1);
    // One that only looks right is sent when somebody says so.
    let length = fs::metadata(&lost).unwrap().len();
    fs::write(&lost, vec![0; length as usize]).unwrap();
    assert_eq!(place.send(&place.open()).unwrap().sent, 0);
    let anew = place.open().upload(&place.here, &name(), true, &|_| ()).unwrap().unwrap();
    assert_eq!(anew.sent, 5);
    let third = place.other("third");
    assert_eq!(fetch(&place.open(), &third).unwrap(), place.record);
}

#[test]
fn what_passes_is_waited_for() {
    let Some(place) = Place::find() else { return };
    for (number, rules) in [
        vec![rule("PUT", "/blobs/", Meddling::Status(429), 2), rule("HEAD", "", Meddling::Status(503), 2)],
        vec![rule("PUT", "partNumber", Meddling::Cut, 2), rule("POST", "uploads", Meddling::Status(500), 2)],
        vec![rule("PUT", "partNumber", Meddling::Lost, 1), rule("PUT", "/names/", Meddling::Lost, 1)],
        vec![rule("POST", "uploadId", Meddling::Lost, 1)],
        vec![rule("PUT", "/blobs/", Meddling::Stall(0), 1)],
    ]
    .into_iter()
    .enumerate()
    {
        if place.is_named() {
            fs::remove_dir_all(place.bucket.join("blobs")).unwrap();
            fs::remove_dir_all(place.bucket.join("names")).unwrap();
        }
        let between = Between::start(&place.s3.host, &rules);
        let sent = place.send(&place.open_at(&between.host, silence(&rules)));
        assert!(sent.is_ok(), "{rules:?}: {}", chain(&sent.unwrap_err()));
        let other = place.other(&format!("sent-{number}"));
        assert_eq!(fetch(&place.open(), &other).unwrap(), place.record, "{rules:?}");
    }
    for (number, rules) in [
        vec![rule("GET", "", Meddling::Status(429), 2)],
        vec![rule("GET", "", Meddling::Status(500), 2)],
        vec![rule("GET", "/blobs/", Meddling::CutAnswer(100), 2), rule("GET", "/names/", Meddling::CutAnswer(3), 1)],
        vec![rule("GET", "/blobs/", Meddling::Cut, 2)],
        vec![rule("GET", "/blobs/", Meddling::Stall(100), 1)],
    ]
    .into_iter()
    .enumerate()
    {
        let between = Between::start(&place.s3.host, &rules);
        let other = place.other(&format!("fetched-{number}"));
        let fetched = fetch(&place.open_at(&between.host, silence(&rules)), &other);
        assert!(fetched.is_ok(), "{rules:?}: {}", chain(&fetched.unwrap_err()));
    }
}

#[test]
fn who_says_when_to_ask_again_is_asked_no_sooner_but_for_what_we_have_patience() {
    let Some(place) = Place::find() else { return };
    place.send(&place.open()).unwrap();
    let wait = |seconds, pause| {
        let between = Between::start(&place.s3.host, &[rule("GET", "/names/", Meddling::Busy(seconds), 1)]);
        place.open_with(&between.host, Patience { pause, ..Patience::default() }).record(&name()).unwrap();
        let asked = between.about("/names/");
        let [first, again] = asked.as_slice() else { panic!("{:?}", between.questions()) };
        again.at.duration_since(first.at)
    };
    let waited = wait(1, Duration::from_secs(20));
    assert!(Duration::from_secs(1) <= waited, "it was asked again after {waited:?}");
    let waited = wait(600, Duration::from_millis(10));
    assert!(waited < Duration::from_secs(300), "{waited:?}");
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_was_in_the_next_call() {
    let Some(place) = Place::find() else { return };
    place.send(&place.open()).unwrap();
    let large = place.large();
    let other = place.other("other");
    // One piece after the other, of which two come.
    let patience = Patience { tries: 2, pause: Duration::from_millis(10), ..Patience::default() };
    let rules = [rule("GET", large, Meddling::Pass, 2), rule("GET", large, Meddling::Status(500), 99)];
    let between = Between::start(&place.s3.host, &rules);
    let error = chain(&fetch(&place.open_by(&between.host, patience, 1), &other).unwrap_err());
    assert!(error.contains("the answer is 500") && error.contains("2 times"), "{error}");

    let between = Between::start(&place.s3.host, &[]);
    assert_eq!(fetch(&place.open_at(&between.host, Duration::from_secs(60)), &other).unwrap(), place.record);
    let from = between.about(large).iter().map(|question| question.from).min().unwrap();
    assert_eq!(from, Some(8 << 20), "{:?}", between.questions());
}

/// Breaks an upload off when two pieces of its large layer are there, asked one after the other.
fn break_off(place: &Place) -> (Between, Bucket) {
    let rules = [rule("PUT", "partNumber", Meddling::Pass, 2), rule("PUT", "partNumber", Meddling::Status(500), 2)];
    let between = Between::start(&place.s3.host, &rules);
    let patience = Patience { tries: 2, pause: Duration::from_millis(10), ..Patience::default() };
    let bucket = place.open_by(&between.host, patience, 1);
    let error = chain(&place.send(&bucket).unwrap_err());
    assert!(error.contains("the answer is 500") && error.contains("2 times"), "{error}");
    assert_eq!(between.about("partNumber").len(), 4, "{:?}", between.questions());
    assert_eq!(journals(place).len(), 1);
    (between, bucket)
}

fn journals(place: &Place) -> Vec<PathBuf> {
    fs::read_dir(place.here.path().join("sending")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// What the journal of the large layer is called for whoever is asked there.
fn journal_of(place: &Place, host: &str) -> String {
    let called = place.open_at(host, Duration::from_secs(60)).place().to_owned();
    Digest::of(format!("{called}\nblobs/sha256/{}", place.large()).as_bytes()).hex()
}

/// Which pieces were sent since, and that all is there in the end.
fn pieces_sent(place: &Place, between: &Between, before: usize) -> Vec<usize> {
    let sent = between.about("partNumber").split_off(before);
    let number = |question: &str| question.split("partNumber=").nth(1).unwrap()[..1].parse::<usize>().unwrap();
    let mut numbers: Vec<_> = sent.iter().map(|question| number(&question.said)).collect();
    numbers.sort_unstable();
    assert_eq!(fetch(&place.open(), &place.other("other")).unwrap(), place.record);
    assert_eq!(journals(place).len(), 0);
    numbers
}

#[test]
fn an_upload_that_broke_off_goes_on_where_it_was_in_the_next_call() {
    let Some(place) = Place::find() else { return };
    let (between, bucket) = break_off(&place);
    place.send(&bucket).unwrap();
    assert_eq!(pieces_sent(&place, &between, 4), [3], "{:?}", between.questions());
}

#[test]
fn a_piece_that_is_not_what_it_should_be_is_sent_again() {
    let Some(place) = Place::find() else { return };
    let (between, bucket) = break_off(&place);
    let journal = &journals(&place)[0];
    let written = fs::read_to_string(journal).unwrap();
    let (before, after) = written.split_once("\"hash\":\"").unwrap();
    fs::write(journal, format!("{before}\"hash\":\"{}{}", "0".repeat(64), &after[64..])).unwrap();
    place.send(&bucket).unwrap();
    assert_eq!(pieces_sent(&place, &between, 4), [1, 3], "{:?}", between.questions());
}

#[test]
fn an_upload_that_was_forgotten_there_begins_anew() {
    let Some(place) = Place::find() else { return };
    let (between, bucket) = break_off(&place);
    // As the rule for uploads that nobody completes does.
    for entry in fs::read_dir(place.bucket.parent().unwrap()).unwrap().chain(fs::read_dir(&place.bucket).unwrap()) {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with(".upload") {
            fs::remove_file(path).unwrap();
        }
    }
    place.send(&bucket).unwrap();
    let mut sent = pieces_sent(&place, &between, 4);
    // Whoever knows of no such upload may hang up before it has heard the piece.
    sent.dedup();
    assert_eq!(sent, [1, 2, 3], "{:?}", between.questions());
    assert_eq!(between.about("?uploads").len(), 2);
}

#[test]
fn sending_anew_begins_anew_and_ends_only_with_the_last_word() {
    let Some(place) = Place::find() else { return };
    let (between, bucket) = break_off(&place);
    bucket.upload(&place.here, &name(), true, &|_| ()).unwrap().unwrap();
    assert_eq!(pieces_sent(&place, &between, 4), [1, 2, 3], "{:?}", between.questions());
    assert_eq!(between.questions().iter().filter(|question| question.starts_with("DELETE ")).count(), 1);

    // What is there already is not taken for what was sent.
    let between = Between::start(&place.s3.host, &[rule("POST", "uploadId", Meddling::Status(500), 99)]);
    let anew = place.open_at(&between.host, Duration::from_secs(60)).upload(&place.here, &name(), true, &|_| ());
    assert!(chain(&anew.unwrap_err()).contains("cannot send `sha256:"));
    // And it is gone on with, also by whoever does not say so again.
    assert_eq!(journals(&place).len(), 1);
    let rest = Between::start(&place.s3.host, &[]);
    let journal = &journals(&place)[0];
    let same = place.here.path().join("sending").join(journal_of(&place, &rest.host));
    fs::rename(journal, same).unwrap();
    let sent = place.send(&place.open_at(&rest.host, Duration::from_secs(60))).unwrap();
    assert_eq!((sent.sent, pieces_sent(&place, &rest, 0)), (1, Vec::new()), "{:?}", rest.questions());
}

#[test]
fn an_upload_into_a_directory_goes_on_as_well() {
    let Some(place) = Place::find() else { return };
    let directory = place.made.directory.path().join("shared");
    fs::create_dir(&directory).unwrap();
    let settings = Settings { variables: Vec::new(), endpoint: None, patience: Patience::default(), parallel: 1 };
    let bucket = Bucket::open(&format!("file://{}", directory.display()).parse().unwrap(), &settings).unwrap();
    // One piece after the other, and whoever sends them ends before the last.
    let interrupted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let progress = |progress| match progress {
            Progress::Transferred { bytes, .. } if (16 << 20) < bytes => panic!("on purpose"),
            _ => {}
        };
        bucket.upload(&place.here, &name(), false, &progress)
    }));
    assert!(interrupted.is_err());
    let half = || {
        let files = fs::read_dir(directory.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.to_str().unwrap().contains('#')).collect::<Vec<_>>()
    };
    let [begun] = half().try_into().unwrap();
    let before = fs::metadata(&begun).unwrap().ino();

    place.send(&bucket).unwrap();
    assert_eq!((half().len(), journals(&place).len()), (0, 0));
    let object = directory.join("blobs/sha256").join(place.large());
    assert_eq!(fs::metadata(object).unwrap().ino(), before, "it is the file that was begun");
    assert_eq!(fetch(&bucket, &place.other("other")).unwrap(), place.record);
}

#[test]
fn pieces_travel_several_at_once_or_one_after_the_other_as_is_wanted() {
    let Some(place) = Place::find() else { return };
    let (large, patience) = (place.large(), Patience::default());
    let meet = |method, path, within| rule(method, path, Meddling::Meet(Duration::from_millis(within)), 99);
    // Whoever comes first waits for a second one, and as long as it takes.
    let between = Between::start(&place.s3.host, &[meet("PUT", large, 30_000), meet("GET", large, 30_000)]);
    let bucket = place.open_by(&between.host, patience, 2);
    place.send(&bucket).unwrap();
    fetch(&bucket, &place.other("two")).unwrap();
    for method in ["PUT", "GET"] {
        assert_eq!(between.most_at_once(method, large), 2, "{method}: {:?}", between.questions());
    }

    // And here for a little, should there be one.
    let between = Between::start(&place.s3.host, &[meet("PUT", "/blobs/", 100), meet("GET", "/blobs/", 100)]);
    let bucket = place.open_by(&between.host, patience, 1);
    bucket.upload(&place.here, &name(), true, &|_| ()).unwrap().unwrap();
    fetch(&bucket, &place.other("one")).unwrap();
    for method in ["PUT", "GET"] {
        assert_eq!(between.most_at_once(method, "/blobs/"), 1, "{method}: {:?}", between.questions());
    }
}

#[test]
fn what_does_not_pass_is_said_and_leaves_no_name_there() {
    let Some(place) = Place::find() else { return };
    for (rules, says) in [
        (vec![rule("GET", "/names/", Meddling::Status(500), 99)], "look for image `x`"),
        (vec![rule("HEAD", "/blobs/", Meddling::Status(429), 99)], "the answer is 429, and was so 3 times"),
        (vec![rule("PUT", "/blobs/", Meddling::Status(403), 1)], "does not let us send `sha256:"),
        (vec![rule("PUT", "partNumber", Meddling::Status(500), 99)], "500 Meddled (on purpose), and was so 3 times"),
        (vec![rule("PUT", "partNumber", Meddling::Cut, 99)], "does not answer"),
        (vec![rule("POST", "uploadId", Meddling::Status(500), 99)], "cannot send `sha256:"),
        (vec![rule("PUT", "/blobs/", Meddling::Stall(0), 99)], "cannot send `sha256:"),
        (vec![rule("PUT", "/names/", Meddling::Status(418), 1)], "write the name `x`"),
        (vec![rule("GET", "/names/", Meddling::Endless, 99)], "it says more than the"),
    ] {
        let between = Between::start(&place.s3.host, &rules);
        let sent = place.send(&place.open_at(&between.host, silence(&rules)));
        let error = chain(&sent.expect_err(&format!("{rules:?}: {:?}", between.questions())));
        assert!(error.contains(says) && error.contains("s3://images at http://127.0.0.1:"), "{:?}: {error}", rules[0]);
        assert!(!error.contains(RealS3::SECRET), "{error}");
        assert!(!place.is_named(), "{:?}", rules[0]);
    }
    // Whatever went wrong before is in nobody's way, and what was sent need not be sent again.
    let sent = place.send(&place.open()).unwrap();
    assert!(sent.sent < sent.objects, "{sent:?}");
    assert!(place.is_named());
}

#[test]
fn a_bucket_that_lies_is_found_out_and_leaves_a_sound_store() {
    let Some(place) = Place::find() else { return };
    place.send(&place.open()).unwrap();
    let mut first = true;
    for (rules, says) in [
        (vec![rule("GET", "/blobs/", Meddling::Other, 99)], "has another content: its digest is"),
        (vec![rule("GET", "/blobs/", Meddling::Endless, 99)], "it says more than the"),
        (vec![rule("GET", "/blobs/", Meddling::Longer, 99)], "has another content: its digest is"),
        (vec![rule("GET", place.large(), Meddling::Longer, 99)], "it says more than the"),
        (vec![rule("GET", "/blobs/", Meddling::Shorter, 99)], "has another content: its digest is"),
        (vec![rule("GET", place.large(), Meddling::Shorter, 99)], "broke off at byte"),
        (vec![rule("GET", "/blobs/", Meddling::Status(404), 99)], "lacks `sha256:"),
        (vec![rule("GET", "/blobs/", Meddling::CutAnswer(100), 99)], "does not answer"),
        (vec![rule("GET", "/blobs/", Meddling::Stall(100), 99)], "does not answer"),
        (vec![rule("GET", "/blobs/", Meddling::Status(500), 99)], "and was so 3 times"),
        (vec![rule("GET", "/names/", Meddling::Other, 1)], "has under the name `x` is no image"),
        (vec![rule("GET", "/names/", Meddling::Status(404), 1)], "has no image `x`"),
    ] {
        let between = Between::start(&place.s3.host, &rules);
        let other = place.other("other");
        let error = chain(&fetch(&place.open_at(&between.host, silence(&rules)), &other).unwrap_err());
        assert!(error.contains(says), "{:?}: {error}", rules[0]);
        assert_eq!(other.verify().unwrap().damages, [], "{:?}", rules[0]);
        assert_eq!(other.names().unwrap(), [], "{:?}", rules[0]);
        assert!(std::mem::take(&mut first) || other.path().exists());
    }
    let other = place.other("other");
    assert_eq!(fetch(&place.open(), &other).unwrap(), place.record);
}

#[test]
fn who_says_a_byte_now_and_then_is_not_listened_to_for_ever() {
    let Some(place) = Place::find() else { return };
    place.send(&place.open()).unwrap();
    let between = Between::start(&place.s3.host, &[rule("GET", "/blobs/", Meddling::Drip, 99)]);
    let (silence, pause) = (Duration::from_secs(5), Duration::from_millis(50));
    let impatient = place.open_with(&between.host, Patience { silence, tries: 2, pause, rate: 1 << 30 });
    let error = chain(&fetch(&impatient, &place.other("other")).unwrap_err());
    assert!(error.contains("does not answer: timeout") && error.contains("2 times"), "{error}");
}

#[test]
fn what_is_in_a_bucket_is_an_image_by_its_digests_alone() {
    let Some(place) = Place::find() else { return };
    place.send(&place.open()).unwrap();
    let layer = place.blob(&place.record.layers[2].blob);
    let good = fs::read(&layer).unwrap();
    let record = place.bucket.join("names").join(NAME);
    let text = fs::read_to_string(&record).unwrap();
    let put = |path: &Path, content: &[u8]| fs::write(path, content).unwrap();
    let says = |content: &[u8], says: &str| {
        put(&layer, content);
        let other = place.other("other");
        let error = chain(&fetch(&place.open(), &other).unwrap_err());
        assert!(error.contains(says), "{error}");
        assert_eq!((other.verify().unwrap().damages.len(), other.names().unwrap().len()), (0, 0));
    };
    says(&good[..good.len() - 1], "bytes there and should have");
    says(&[&good[..], b"x"].concat(), "bytes there and should have");
    says(&[&good[..good.len() - 1], b"\0"].concat(), "has another content");
    put(&layer, &good);
    // Another manifest under the name is another image: it is what it is, and not what the record says of it.
    let manifest = place.blob(&place.record.manifest);
    let other_manifest = fs::read(&manifest).unwrap();
    put(&manifest, b"{}");
    says(&good, "the manifest `sha256:");
    put(&manifest, &other_manifest);
    for (from, to, says) in [
        (
            format!("\"bytes\": {}", place.record.bytes),
            "\"bytes\": 4096".to_owned(),
            "MiB, and 1 MiB is the most it may take",
        ),
        (format!("\"bytes\": {}", place.record.bytes), format!("\"bytes\": {}", u64::MAX), "by what `s3://images"),
        (place.record.manifest.to_string(), format!("sha256:{}", "../".repeat(21) + "x"), "is no image of firebox's"),
        (text.clone(), "x".repeat(5 << 20), "look for image `x`"),
    ] {
        put(&record, text.replace(&from, &to).as_bytes());
        let other = place.other("other");
        let error = chain(&fetch(&place.open(), &other).unwrap_err());
        assert!(error.contains(says), "{to:.80}: {error}");
        assert_eq!(other.names().unwrap(), []);
    }
    // What it says beside is not believed.
    put(
        &record,
        text.replace("linux/", "plan9/")
            .replace(&place.record.tree.to_string(), &Digest::of(b"").to_string())
            .as_bytes(),
    );
    let other = place.other("other");
    assert_eq!(fetch(&place.open(), &other).unwrap(), place.record);
}

#[test]
fn what_is_damaged_here_is_not_sent() {
    let Some(place) = Place::find() else { return };
    let blobs = place.here.path().join("blobs");
    for (blob, length) in [(place.record.layers[2].blob, 8 << 20), (place.record.config, 0)] {
        let path = blobs.join(blob.hex());
        let good = fs::read(&path).unwrap();
        assert!(length < good.len(), "it is to travel in pieces, or as a whole");
        let mut bad = good.clone();
        bad[length] ^= 1;
        fs::write(&path, bad).unwrap();
        let error = chain(&place.send(&place.open()).unwrap_err());
        assert!(error.contains("is damaged") && error.contains("verify --repair"), "{error}");
        assert!(!place.is_named() && !place.blob(&blob).exists());
        fs::write(&path, good).unwrap();
        fs::remove_dir_all(place.bucket.join("blobs")).unwrap();
    }
    place.send(&place.open()).unwrap();
}

#[test]
fn of_two_who_send_at_once_the_last_one_is_right_as_a_whole() {
    let Some(place) = Place::find() else { return };
    let second = place.other("second");
    take(&second, &OciLayout::directory(&place.made.oci(), Some("x")).unwrap(), "y").unwrap();
    let mut records = Vec::new();
    for store in [&place.here, &second] {
        let request = firebox_image::Request { from: format!("{:?}", store.path()), ..kit::request(NAME) };
        let source = OciLayout::directory(&place.made.oci(), Some("x")).unwrap();
        records.push(firebox_image::take_in(store, &source, &request, &|_| ()).unwrap());
    }
    for round in 0..5 {
        std::thread::scope(|scope| {
            for store in [&place.here, &second] {
                let bucket = place.open();
                scope.spawn(move || bucket.upload(store, &name(), round == 0, &|_| ()).unwrap().unwrap());
            }
        });
        assert!(records.contains(&place.open().record(&name()).unwrap()));
    }
}

#[test]
fn a_directory_is_a_bucket_too_and_names_are_listed() {
    if !has(&["umoci"]) {
        return;
    }
    let made = Made::image();
    let here = kit::store(made.directory.path());
    let record = take(&here, &OciLayout::directory(&made.oci(), Some("x")).unwrap(), NAME).unwrap();
    let folder = made.directory.path().join("shelf");
    let place: BucketPlace = format!("file://{}", folder.display()).parse().unwrap();
    let settings = Settings { variables: Vec::new(), endpoint: None, patience: Patience::default(), parallel: 2 };
    assert!(matches!(Bucket::open(&place, &settings), Err(BucketError::NoBucket { .. })));
    fs::create_dir(&folder).unwrap();
    let bucket = Bucket::open(&place, &settings).unwrap();
    assert_eq!(bucket.images().unwrap().len(), 0);
    bucket.upload(&here, &name(), false, &|_| ()).unwrap().unwrap();
    // What is no name, or no record, is in nobody's way.
    fs::write(folder.join("names/.hidden"), "x").unwrap();
    fs::create_dir_all(folder.join("names/below")).unwrap();
    fs::write(folder.join("names/below/y"), "x").unwrap();
    fs::write(folder.join("names/bad"), "x").unwrap();
    let images = bucket.images().unwrap();
    let [bad, good] = images.as_slice() else { panic!("{images:?}") };
    assert!(bad.name.to_string() == "bad" && matches!(bad.record, Err(BucketError::NoRecord { .. })), "{bad:?}");
    assert!(good.name == name() && good.record.as_ref().is_ok_and(|found| *found == record), "{good:?}");
    let other = Store::open(&made.directory.path().join("other"), None).unwrap();
    assert_eq!(fetch(&bucket, &other).unwrap(), record);
    assert_eq!(other.verify().unwrap().damages, []);
}
