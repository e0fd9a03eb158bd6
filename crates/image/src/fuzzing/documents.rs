//! Documents of strangers, each through its parser.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use crate::bounds::Bounds;
use crate::document::{Config, Document, Platform, choose};
use crate::layer::tally::Tally;
use crate::layer::unpack::prove;
use crate::record::Record;
use crate::reference::Reference;
use crate::remote::BucketPlace;
use crate::snapshot::SnapshotName;
use crate::source::{DockerArchive, OciLayout, Source, find};
use crate::store::ImageName;
use crate::{kernel, registry, remote};

/// What a digest takes in a document, at least: its letters.
const DIGEST: usize = 64;

/// The first byte says which: an index or a manifest (`m`), a configuration (`c`), the record of an image (`r`) or of a kernel (`k`), what is
/// under a kernel's name (`n`), what is under a snapshot's in a bucket (`s`), the chunks of a memory (`t`), what a mirror of Debian says (`d`), what a registry wants (`w`), a file of logins (`l`), a name (`b`), or an
/// archive of images (`a`), whose check sums are put right. False where it says nothing. Panics where something is taken that should not be.
pub fn document(bytes: &[u8]) -> bool {
    let Some((which, rest)) = bytes.split_first() else { return false };
    match which {
        b'm' => manifest(rest),
        b'c' => configuration(rest),
        b'r' => record(rest),
        b'k' => kernel::record(rest),
        b'n' => kernel::name(rest),
        b's' => remote::fuzzing::named(rest),
        b't' => remote::fuzzing::chunks(rest),
        b'd' => kernel::list(rest),
        b'w' => registry::fuzzing::hear(rest),
        b'l' => registry::fuzzing::logins(rest, &reference()),
        b'b' => name(rest),
        b'a' => archive(rest),
        _ => return false,
    }
    true
}

fn reference() -> Reference {
    "some.example/thing:1".parse().unwrap_or_else(|error| panic!("{error}"))
}

fn manifest(bytes: &[u8]) {
    match Document::parse(bytes) {
        Ok(Document::Manifest(manifest)) => {
            assert!((1 + manifest.layers.len()) * DIGEST <= bytes.len(), "more layers than were named");
        }
        Ok(Document::Index(entries)) => {
            assert!(entries.len() * DIGEST <= bytes.len(), "more images than were named");
            if let Ok(chosen) = choose(&entries, &Platform::of_this_host()) {
                assert!(entries.contains(chosen), "an image that nobody named");
            }
        }
        Err(_) => {}
    }
}

fn configuration(bytes: &[u8]) {
    let Ok(config) = Config::parse(bytes) else { return };
    let said = config.environment.iter().map(String::len).sum::<usize>();
    assert!(config.archives.len() * DIGEST + said <= bytes.len(), "more than was said");
}

fn record(bytes: &[u8]) {
    let Some(record) = Record::decode(bytes) else { return };
    assert_eq!(Record::decode(&record.encode()).as_ref(), Some(&record), "a record is not read as it was written");
}

/// What stands in a list of a bucket's, in a store's directory, or on a command line.
fn name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = text.parse::<ImageName>() {
        let name = name.to_string();
        assert!(name == text && !name.starts_with('.') && !name.contains(['/', '\0']), "{name:?} leads elsewhere");
    }
    if let Ok(name) = text.parse::<SnapshotName>() {
        let name = name.to_string();
        assert!(name == text && !name.starts_with('.') && !name.contains(['/', '\0']), "{name:?} leads elsewhere");
    }
    if let Ok(place) = text.parse::<BucketPlace>() {
        assert_eq!(place.to_string().parse(), Ok(place));
    }
    if let Ok(reference) = text.parse::<Reference>() {
        let written = reference.to_string();
        let leads_on = |part: &str| part == "." || part == "..";
        assert!(written.bytes().all(|byte| byte.is_ascii_graphic()), "{written:?}");
        assert!(!written.split(['/', ':', '@']).any(leads_on), "{written:?} leads elsewhere");
        assert_eq!(written.parse(), Ok(reference));
    }
}

fn archive(bytes: &[u8]) {
    let mut blocks = bytes.to_vec();
    super::put_right(&mut blocks);
    let Ok(memory) = rustix::fs::memfd_create("images", rustix::fs::MemfdFlags::CLOEXEC) else { return };
    let mut file = File::from(memory);
    if file.write_all(&blocks).is_err() {
        return;
    }
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    if let Ok(source) = OciLayout::archive(&path, None) {
        look_at(&source, blocks.len());
    }
    if let Ok(source) = DockerArchive::open(&path, None) {
        look_at(&source, blocks.len());
    }
}

/// All that is asked of a source.
fn look_at(source: &dyn Source, length: usize) {
    let bounds = Bounds { unpacked: 1 << 20, ..Bounds::default() };
    let Ok(image) = find(source, &Platform::of_this_host(), &bounds) else { return };
    assert_eq!(image.layers.len(), image.config.archives.len());
    assert!(image.manifest_bytes.len() <= length.max(1 << 20) && image.config_bytes.len() <= length);
    let (tally, stop) = (Tally::new(bounds), false.into());
    for (layer, archive) in image.layers.iter().zip(&image.config.archives) {
        if let Ok(blob) = source.blob(layer, 0) {
            let _ = prove(std::io::BufReader::new(blob), *archive, &tally, &stop);
        }
    }
}
