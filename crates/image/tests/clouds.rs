//! Buckets of Google and of Azure: each is all that one of S3 is, and asks for who we are in its own way.

mod kit;

use std::path::{Path, PathBuf};
use std::time::Duration;

use firebox_image::{Bucket, BucketError, ImageName, OciLayout, Patience, Record, Sent, Settings, Store};
use kit::azure::RealAzure;
use kit::between::{Between, Meddling, Rule};
use kit::google::LikeGoogle;
use kit::{Made, chain, has, listing, take};

enum Cloud {
    Google(LikeGoogle),
    Azure(RealAzure),
}

/// An image in a store, and one who keeps a bucket for it.
struct Place {
    made: Made,
    here: Store,
    record: Record,
    cloud: Cloud,
}

fn name() -> ImageName {
    "x".parse().unwrap()
}

type Start = fn(&Path) -> Option<Cloud>;

fn google(directory: &Path) -> Option<Cloud> {
    let google = LikeGoogle::start(directory)?;
    google.make_bucket("images");
    Some(Cloud::Google(google))
}

fn azure(directory: &Path) -> Option<Cloud> {
    let azure = RealAzure::start(directory)?;
    azure.make_container("images");
    Some(Cloud::Azure(azure))
}

/// Those that are installed here.
fn places() -> impl Iterator<Item = Place> {
    let clouds: [Start; 2] = [google, azure];
    let is_image = has(&["umoci"]);
    clouds.into_iter().filter(move |_| is_image).filter_map(|start| {
        let made = Made::image();
        let cloud = start(made.directory.path())?;
        // A layer that travels in more pieces than one.
        let large = made.directory.path().join("large");
        kit::run("sh", &["-ec", "mkdir $0; head -c 20000000 /dev/urandom > $0/noise", kit::text(&large)]);
        let oci = format!("{}:x", made.oci().display());
        kit::run("umoci", &["insert", "--image", &oci, kit::text(&large), "/large"]);
        let here = kit::store(made.directory.path());
        let record = take(&here, &OciLayout::directory(&made.oci(), Some("x")).unwrap(), "x").unwrap();
        Some(Place { made, here, record, cloud })
    })
}

impl Place {
    fn host(&self) -> &str {
        match &self.cloud {
            Cloud::Google(google) => &google.host,
            Cloud::Azure(azure) => &azure.host,
        }
    }

    /// How it is written, what the environment says, and who somebody else would be.
    fn said(&self, host: &str) -> (&'static str, Vec<(String, String)>, (&'static str, &'static str)) {
        match self.cloud {
            Cloud::Google(_) => ("gs", LikeGoogle::variables(host), ("GOOGLE_BEARER_TOKEN", "a-wrong-secret")),
            Cloud::Azure(_) => ("az", RealAzure::variables(host), ("AZURE_STORAGE_ACCOUNT_KEY", RealAzure::OTHER_KEY)),
        }
    }

    fn open_with(&self, bucket: &str, host: &str, more: &[(&str, &str)]) -> Bucket {
        let (scheme, mut variables, _) = self.said(host);
        // What is said last counts.
        variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let (silence, pause) = (Duration::from_secs(60), Duration::from_millis(50));
        let patience = Patience { silence, tries: 3, pause, rate: 8 << 10 };
        let settings = Settings { variables, endpoint: None, patience, parallel: 4 };
        Bucket::open(&format!("{scheme}://{bucket}").parse().unwrap(), &settings).unwrap()
    }

    fn open_at(&self, host: &str) -> Bucket {
        self.open_with("images/some/folder", host, &[])
    }

    fn open(&self) -> Bucket {
        self.open_at(self.host())
    }

    fn send(&self, bucket: &Bucket) -> Result<Sent, BucketError> {
        bucket.upload(&self.here, &name(), false, &|_| ()).map(Option::unwrap)
    }

    /// What comes of fetching it into a store that has nothing yet.
    fn fetch(&self, bucket: &Bucket, called: &str) -> Result<PathBuf, String> {
        let other = Store::open(&self.made.directory.path().join(called), None).unwrap();
        let fetched = bucket.download(&other, &name(), None, &|_| ());
        assert_eq!(other.verify().unwrap().damages, []);
        let record = fetched.map_err(|error| chain(&error))?;
        assert_eq!(record, self.record);
        Ok(other.hold(&name()).unwrap().unwrap().tree().to_owned())
    }

    fn names(&self) -> Vec<String> {
        self.open().images().unwrap().iter().map(|image| image.name.to_string()).collect()
    }

    /// An address between it and us.
    fn meddled(&self, rules: &[(&'static str, &'static str, Meddling, usize)]) -> Between {
        let rule = |&(method, path, meddling, times)| Rule { method, path, meddling, times };
        Between::start(self.host(), &rules.iter().map(rule).collect::<Vec<_>>())
    }
}

#[test]
fn what_is_sent_is_what_is_listed_and_fetched_and_only_what_is_missing_travels() {
    for place in places() {
        let bucket = place.open();
        let called = bucket.place().to_owned();
        assert_eq!(place.names(), [""; 0], "{called}");
        let sent = place.send(&bucket).unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!((sent.sent, sent.objects), (5, 5), "{called}: a manifest, a configuration, three layers");
        assert_eq!(place.names(), ["x"], "{called}");

        let between = place.meddled(&[]);
        assert_eq!(place.send(&place.open_at(&between.host)).unwrap(), Sent { objects: 5, sent: 0, bytes: 0 });
        let questions = between.questions();
        let asks = |question: &String| question.starts_with("HEAD ") || question.starts_with("GET ");
        assert!(!questions.is_empty() && questions.iter().all(asks), "{questions:?}");

        let root = place.fetch(&bucket, "other").unwrap();
        let reference = place.here.hold(&name()).unwrap().unwrap().tree().to_owned();
        assert_eq!(listing(&root, "%y %m %P %l"), listing(&reference, "%y %m %P %l"));

        // Another folder is a place of its own.
        let elsewhere = place.open_with("images/elsewhere", place.host(), &[]);
        assert!(matches!(elsewhere.record(&name()), Err(BucketError::NoImage { .. })), "{called}");
        assert_eq!(bucket.upload(&place.here, &name(), true, &|_| ()).unwrap().unwrap().sent, 5);
    }
}

#[test]
fn an_upload_that_broke_off_goes_on_with_the_pieces_that_are_there() {
    for place in places() {
        let piece = match place.cloud {
            Cloud::Google(_) => "partNumber",
            Cloud::Azure(_) => "comp=block&",
        };
        // Of three one gets there, and the others are tried as often as anything is.
        let between = place.meddled(&[("PUT", piece, Meddling::Pass, 1), ("PUT", piece, Meddling::Status(500), 2 * 3)]);
        let bucket = place.open_at(&between.host);
        place.send(&bucket).unwrap_err();
        assert_eq!(between.about(piece).len(), 1 + 2 * 3, "{:?}", between.questions());

        place.send(&bucket).unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(between.about(piece).len(), 1 + 2 * 3 + 2, "{:?}", between.questions());
        place.fetch(&place.open(), "other").unwrap();
    }
}

#[test]
fn who_has_the_wrong_key_and_what_is_not_there_are_told_apart() {
    for place in places() {
        place.send(&place.open()).unwrap();
        let (scheme, _, wrong) = place.said(place.host());
        let denied = place.open_with("images/some/folder", place.host(), &[wrong]);
        let missing = place.open_with("no-such-bucket", place.host(), &[]);
        for (bucket, words) in [(&denied, "does not let us"), (&missing, "there is no bucket")] {
            let said = [
                chain(&place.send(bucket).unwrap_err()),
                place.fetch(bucket, "other").unwrap_err(),
                chain(&bucket.images().unwrap_err()),
            ];
            for error in said {
                assert!(error.contains(words) && error.contains(&format!("{scheme}://")), "{error}");
                for secret in [wrong.1, RealAzure::KEY, LikeGoogle::TOKEN] {
                    assert!(!error.contains(secret), "a secret is nobody's business: {error}");
                }
            }
        }
        let error = place.send(&place.open_at("192.0.2.1:9000")).unwrap_err();
        let variable = if scheme == "gs" { "GOOGLE_ALLOW_HTTP=true" } else { "AZURE_ALLOW_HTTP=true" };
        let error = chain(&error);
        assert!(error.contains("`192.0.2.1:9000` is not spoken to without TLS") && error.contains(variable), "{error}");
    }
}

#[test]
fn what_breaks_off_is_asked_again_and_what_stays_broken_leaves_no_name() {
    for place in places() {
        // Google's objects are asked for with their whole name as one word.
        let (blobs, names, piece) = match place.cloud {
            Cloud::Google(_) => ("blobs%2F", "names%2F", "partNumber"),
            Cloud::Azure(_) => ("/blobs/", "/names/", "blockid"),
        };
        for (rule, says) in [
            (("PUT", piece, Meddling::Cut, 99), "does not answer"),
            (("PUT", blobs, Meddling::Status(403), 1), "does not let us send `sha256:"),
            (("PUT", piece, Meddling::Status(500), 99), "500 Meddled (on purpose), and was so 3 times"),
            (("PUT", names, Meddling::Status(418), 1), "write the name `x`"),
            (("GET", names, Meddling::Endless, 99), "it says more than the"),
        ] {
            let between = place.meddled(&[rule]);
            let error = chain(&place.send(&place.open_at(&between.host)).unwrap_err());
            assert!(error.contains(says), "{rule:?}: {error}");
            assert_eq!(place.names(), [""; 0], "{rule:?}");
        }
        let between = place.meddled(&[
            ("PUT", piece, Meddling::Cut, 2),
            ("PUT", names, Meddling::Lost, 1),
            ("HEAD", blobs, Meddling::Status(503), 2),
        ]);
        let bucket = place.open_at(&between.host);
        bucket.upload(&place.here, &name(), true, &|_| ()).unwrap_or_else(|error| panic!("{}", chain(&error))).unwrap();
        for (rule, says) in [
            (("GET", blobs, Meddling::CutAnswer(100), 99), "does not answer"),
            (("GET", blobs, Meddling::Other, 99), "has another content: its digest is"),
            (("GET", blobs, Meddling::Status(404), 99), "lacks `sha256:"),
            (("GET", blobs, Meddling::Endless, 99), "it says more than the"),
        ] {
            let between = place.meddled(&[rule]);
            let error = place.fetch(&place.open_at(&between.host), "other").unwrap_err();
            assert!(error.contains(says), "{rule:?}: {error}");
        }
        let between = place.meddled(&[("GET", blobs, Meddling::CutAnswer(100), 2), ("GET", names, Meddling::Cut, 1)]);
        place.fetch(&place.open_at(&between.host), "other").unwrap();
    }
}
