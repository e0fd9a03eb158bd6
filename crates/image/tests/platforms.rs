//! Images for several machines behind one name, of which one is taken.

mod kit;

use std::path::{Path, PathBuf};

use firebox_image::{
    Credentials, Digest, Mirrors, OciLayout, Patience, Platform, Record, Registry, Request, Source, Store, TakeInError,
    take_in,
};
use kit::layout::{Layout, Put};
use kit::registry::{RealRegistry, Wants};
use kit::{chain, has, run, store, text};

const TOOLS: [&str; 2] = ["skopeo", "docker-registry"];

/// An index as tools that build images write it. The image for this machine is not the first there.
struct Several {
    directory: tempfile::TempDir,
    layout: Layout,
    index: Digest,
    arm64: Put,
    amd64: Put,
}

impl Several {
    fn new() -> Several {
        let directory = kit::workshop();
        let layout = Layout::new(directory.path().join("oci"));
        let (attestation, arm64, amd64) = (layout.attestation(), layout.image("arm64"), layout.image("amd64"));
        let index = layout.index(&[
            attestation.of("unknown", "unknown"),
            arm64.of("linux", "arm64"),
            amd64.of("linux", "amd64"),
        ]);
        layout.call(&index, "x");
        Several { directory, index: index.digest, layout, arm64, amd64 }
    }

    /// A real registry that has it as it is: all of its images, and its digests.
    fn in_registry(&self) -> RealRegistry {
        let real = RealRegistry::start(self.directory.path(), &Wants::Nothing);
        let oci = format!("oci:{}:x", text(self.layout.path()));
        real.push(&oci, "several:y", &["--all", "--preserve-digests"]);
        real
    }

    /// Where the registry keeps a document.
    fn kept(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let blobs = self.directory.path().join("registry/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(&hex).join("data")
    }
}

fn registry(reference: &str) -> Registry {
    Registry::new(reference.parse().unwrap(), &Mirrors::default(), &Credentials::default(), Patience::default())
}

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

fn take_for(store: &Store, source: &dyn Source, platform: Platform) -> Result<Record, TakeInError> {
    take_in(store, source, &Request { platform, ..kit::request("x") }, &|_| ())
}

/// For which machine the image says that it is, which is in the store.
fn machine(store: &Store) -> String {
    let held = store.hold(&"x".parse().unwrap()).unwrap().unwrap();
    std::fs::read_to_string(held.tree().join("machine")).unwrap()
}

#[test]
fn of_an_image_for_several_machines_the_one_that_is_asked_for_is_taken() {
    if !has(&TOOLS) {
        return;
    }
    let several = Several::new();
    let real = several.in_registry();
    let archive = several.directory.path().join("several.tar");
    run("tar", &["-C", text(several.layout.path()), "-cf", text(&archive), "."]);
    let store = store(several.directory.path());
    let sources: [(&str, Box<dyn Source>); 4] = [
        ("by tag", Box::new(registry(&format!("{}/several:y", real.host)))),
        ("by the digest of the index", Box::new(registry(&format!("{}/several@{}", real.host, several.index)))),
        ("directory", Box::new(OciLayout::directory(several.layout.path(), Some("x")).unwrap())),
        ("archive", Box::new(OciLayout::archive(&archive, None).unwrap())),
    ];
    for (how, source) in sources {
        for (architecture, image) in [("arm64", &several.arm64), ("amd64", &several.amd64)] {
            let wanted = platform(&format!("linux/{architecture}"));
            let record = take_for(&store, &*source, wanted).unwrap_or_else(|error| panic!("{how}: {}", chain(&error)));
            assert_eq!((machine(&store).as_str(), record.manifest), (architecture, image.digest), "{how}");
            assert_eq!(record.platform, format!("linux/{architecture}"), "{how}");
        }
        let none = take_for(&store, &*source, platform("linux/s390x")).unwrap_err().to_string();
        let found = "linux/arm64, linux/amd64";
        assert_eq!(none, format!("there is no image for linux/s390x; there are {found}"), "{how}");
    }
    // Where nobody says for which, it is this one.
    let here = Platform::of_this_host();
    kit::take(&store, &registry(&format!("{}/several:y", real.host)), "x").unwrap();
    assert_eq!(format!("linux/{}", machine(&store)), here.to_string());
    assert_eq!(store.verify().unwrap().damages, []);
}

#[test]
fn what_an_index_leads_to_is_what_it_says_or_nothing() {
    if !has(&TOOLS) {
        return;
    }
    let several = Several::new();
    let real = several.in_registry();
    let store = store(several.directory.path());
    let (arm64, amd64) = (several.arm64.digest, several.amd64.digest);
    // Each is a good image. It is only not the one that was asked for.
    let lie = |there: &Path, instead: &Path| std::fs::copy(instead, there).unwrap();
    lie(&several.kept(&amd64), &several.layout.blob(&arm64));
    let taken = take_for(&store, &registry(&format!("{}/several:y", real.host)), platform("linux/amd64"));
    let error = chain(&taken.unwrap_err());
    let expected = format!("the manifest `{amd64}` has another content: its digest is {arm64}");
    assert!(error.contains(&expected), "{error}");
    lie(&several.layout.blob(&amd64), &several.layout.blob(&arm64));
    let directory = OciLayout::directory(several.layout.path(), Some("x")).unwrap();
    let error = chain(&take_for(&store, &directory, platform("linux/amd64")).unwrap_err());
    assert!(error.contains(&expected), "{error}");
    // So with the index itself, if it is asked for by its digest.
    lie(&several.kept(&several.index), &several.layout.blob(&arm64));
    let by_digest = registry(&format!("{}/several@{}", real.host, several.index));
    let error = chain(&take_for(&store, &by_digest, platform("linux/arm64")).unwrap_err());
    assert!(error.contains("has another content"), "{error}");
    assert_eq!(store.names().unwrap(), []);
    assert_eq!(store.verify().unwrap().damages, []);
}

#[test]
fn an_index_may_lead_to_another_but_not_for_ever() {
    let directory = kit::workshop();
    let layout = Layout::new(directory.path().join("oci"));
    let store = store(directory.path());
    let mut put = layout.image("amd64");
    for depth in 1..=5 {
        put = layout.index(&[put.of_nothing()]);
        layout.call(&put, "x");
        let source = OciLayout::directory(layout.path(), Some("x")).unwrap();
        let taken = take_for(&store, &source, platform("linux/amd64"));
        match taken {
            Ok(_) => assert!(depth <= 3, "{depth} indexes were followed"),
            Err(error) => {
                assert!(3 < depth, "{depth}: {}", chain(&error));
                assert!(chain(&error).contains("is behind an index of indexes of indexes"), "{}", chain(&error));
            }
        }
    }
}
