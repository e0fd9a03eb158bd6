//! Whole images, well-meant and hostile, from the source to the disk.

mod at_once;
mod kept;
mod random;
mod too_large;

use std::collections::HashMap;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::*;
use crate::Held;
use crate::document::Descriptor;
use crate::layer::tar::tests::Maker;
use crate::source::memory::InMemory;

/// A source in memory, which can be made to misbehave.
#[derive(Default)]
struct Shelf {
    image: InMemory,
    /// What to give for a blob instead of what it is.
    lies: HashMap<Digest, Vec<u8>>,
    /// After how many bytes each answer breaks off, but for those about what is small.
    cut: Option<u64>,
    asked: AtomicUsize,
    given: AtomicU64,
}

impl Shelf {
    fn of(layers: &[Vec<u8>]) -> Shelf {
        Shelf::packed(layers, |layer| layer.to_vec())
    }

    fn packed(layers: &[Vec<u8>], pack: impl Fn(&[u8]) -> Vec<u8>) -> Shelf {
        Shelf { image: InMemory::of(layers, pack), ..Shelf::default() }
    }
}

impl Source for Shelf {
    fn root(&self, _: u64) -> Result<Vec<u8>, SourceError> {
        Ok(self.image.root.clone())
    }

    fn document(&self, descriptor: &Descriptor, _: u64) -> Result<Vec<u8>, SourceError> {
        Ok(self.image.blobs[&descriptor.digest].clone())
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let blob = self.lies.get(&descriptor.digest).unwrap_or(&self.image.blobs[&descriptor.digest]);
        let rest = &blob[(from as usize).min(blob.len())..];
        self.given.fetch_add(rest.len() as u64, Ordering::Relaxed);
        Ok(match self.cut {
            Some(cut) if cut < rest.len() as u64 && 10_000 < blob.len() => Box::new(rest.take(cut).chain(Broken)),
            _ => Box::new(rest),
        })
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

/// A store in a directory that has a neighbour, which nothing may touch.
struct Bench {
    directory: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Bench {
        Bench::with_quota(None)
    }

    fn with_quota(quota: Option<u64>) -> Bench {
        Bench::below(crate::workshop::workshop(), quota)
    }

    fn below(directory: tempfile::TempDir, quota: Option<u64>) -> Bench {
        std::fs::write(directory.path().join("neighbour"), "untouched").unwrap();
        let store = Store::open(&directory.path().join("store"), quota).unwrap();
        Bench { directory, store }
    }

    fn take_in(&self, name: &str, shelf: &Shelf) -> Result<Record, TakeInError> {
        self.take_in_with(name, shelf, 64 << 20)
    }

    fn take_in_with(&self, name: &str, shelf: &Shelf, size: u64) -> Result<Record, TakeInError> {
        let platform = Platform::of_this_host();
        let request = Request { name: name.parse().unwrap(), from: "test".into(), platform, size, parallel: 3 };
        let taken = take_in(&self.store, shelf, &request, &|_| ());
        self.assert_nothing_outside_was_touched();
        taken
    }

    fn root(&self, name: &str) -> Held {
        self.store.hold(&name.parse().unwrap()).unwrap().unwrap()
    }

    fn assert_nothing_outside_was_touched(&self) {
        let mut names: Vec<_> =
            std::fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["neighbour", "store"]);
        assert_eq!(std::fs::read_to_string(self.directory.path().join("neighbour")).unwrap(), "untouched");
    }

    fn assert_sound(&self) {
        let verified = self.store.verify().unwrap();
        assert_eq!(verified.damages, [], "{verified:?}");
    }

    /// That something went wrong left nothing behind but what can be gone on with.
    fn assert_nothing_is_left_after_collecting(&self) {
        self.store.collect().unwrap();
        for directory in ["blobs", "layers", "trees", "disks", "names", "proofs", "sending", "staging"] {
            let left: Vec<_> = std::fs::read_dir(self.store.path().join(directory)).unwrap().collect();
            assert!(left.is_empty(), "{directory}: {left:?}");
        }
    }
}

fn base() -> Vec<u8> {
    Maker::default()
        .directory("bin")
        .program("bin/tool", b"tool 1")
        .directory("etc")
        .file("etc/passwd", b"root")
        .file("etc/old", b"old")
        .end()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
    encoder.read_to_end(&mut packed).unwrap();
    packed
}

#[test]
fn an_image_becomes_directories_with_what_its_layers_come_to() {
    let upper = Maker::default()
        .file("etc/.wh.old", b"")
        .file("etc/passwd", b"root and more")
        .symlink("sbin", "bin")
        .program("sbin/other", b"other")
        .hard_link("tool", "bin/tool")
        .entry(b'3', b"dev/sda", b"", 0o666, b"")
        .end();
    let layers = [base(), upper];
    for shelf in [
        Shelf::of(&layers),
        Shelf::packed(&layers, gzip),
        Shelf::packed(&layers, |layer| zstd::encode_all(layer, 1).unwrap()),
    ] {
        let bench = Bench::new();
        let record = bench.take_in("x", &shelf).unwrap();
        let image = bench.root("x");
        let read = |path: &str| std::fs::read_to_string(image.tree().join(path)).unwrap();

        assert_eq!(read("etc/passwd"), "root and more");
        assert_eq!((read("bin/other"), read("tool")), ("other".into(), "tool 1".into()));
        assert!(!image.tree().join("etc/old").exists() && !image.tree().join("dev/sda").exists());
        assert_eq!(std::fs::read_link(image.tree().join("sbin")).unwrap(), Path::new("bin"));
        assert_eq!(record.environment, ["PATH=/bin"]);
        bench.assert_sound();
    }
}

#[test]
fn what_nobody_may_read_in_the_image_can_be_read_in_a_cell() {
    let layer = Maker::default()
        .entry(b'5', b"root", b"", 0, b"")
        .entry(b'0', b"root/secret", b"", 0, b"x")
        .entry(b'0', b"su", b"", 0o6711, b"x")
        .end();
    let bench = Bench::new();
    bench.take_in("x", &Shelf::of(&[layer])).unwrap();
    let image = bench.root("x");
    let mode = |path: &str| image.tree().join(path).metadata().unwrap().permissions().mode() & 0o7777;

    assert_eq!((mode("root"), mode("root/secret"), mode("su"), mode(".")), (0o755, 0o444, 0o555, 0o755));
}

#[test]
fn notes_on_files_and_directories_are_there_where_the_filesystem_takes_them() {
    let note: &[(&[u8], &[u8])] = &[(b"SCHILY.xattr.user.note", b"kept"), (b"SCHILY.xattr.security.other", b"not")];
    let layer = Maker::default()
        .pax(note)
        .entry(b'5', b"d", b"", 0o755, b"")
        .pax(note)
        .entry(b'0', b"d/read-only", b"", 0o444, b"x")
        // More than most filesystems take.
        .pax(&[(b"SCHILY.xattr.user.large", &[7; 60_000])])
        .file("large", b"x")
        .end();
    let bench = Bench::below(tempfile::tempdir().unwrap(), None);
    bench.take_in("x", &Shelf::of(&[layer])).unwrap();
    let image = bench.root("x");
    let probe = bench.store.path().join("staging/probe");
    std::fs::write(&probe, "").unwrap();
    let takes = rustix::fs::setxattr(&probe, "user.probe", b"", rustix::fs::XattrFlags::empty());
    std::fs::remove_file(probe).unwrap();
    for path in ["d", "d/read-only"] {
        let mut value = vec![0; 100];
        let found = rustix::fs::getxattr(image.tree().join(path), "user.note", value.as_mut_slice());
        assert_eq!(found.map(|length| value[..length].to_vec()), takes.map(|()| b"kept".to_vec()), "{path}");
        let other = rustix::fs::getxattr(image.tree().join(path), "security.other", value.as_mut_slice());
        assert!(other.is_err(), "{path}");
    }
    assert_eq!(std::fs::read(image.tree().join("large")).unwrap(), b"x");
    bench.assert_sound();
}

/// What somebody would try who wants to get at the neighbour, which is in the directory `out` leads to.
fn ways_out(out: &str) -> [(&'static str, Vec<Vec<u8>>); 7] {
    let neighbour = format!("{}/neighbour", out.trim_end_matches('/'));
    [
        (
            "a link out of the image, and a file through it",
            vec![Maker::default().symlink("out", out).file("out/neighbour", b"touched").end()],
        ),
        (
            "the same in two layers",
            vec![Maker::default().symlink("out", out).end(), Maker::default().file("out/neighbour", b"touched").end()],
        ),
        (
            "a directory that becomes a link",
            vec![
                Maker::default().directory("d").end(),
                Maker::default().symlink("d", out).file("d/neighbour", b"touched").end(),
            ],
        ),
        (
            "a chain of links",
            vec![
                Maker::default()
                    .symlink("a", "b")
                    .symlink("b", "c/..")
                    .symlink("c", "../..")
                    .file("a/neighbour", b"t")
                    .end(),
            ],
        ),
        (
            "a hard link to what a link leads to",
            vec![Maker::default().symlink("out", &neighbour).hard_link("mine", "out").file("mine", b"t").end()],
        ),
        ("an absolute name", vec![Maker::default().file("/neighbour", b"touched").end()]),
        (
            "a whiteout through a link",
            vec![
                Maker::default().symlink("out", out).end(),
                Maker::default().file("out/.wh.neighbour", b"").file("out/.wh..wh..opq", b"").end(),
            ],
        ),
    ]
}

#[test]
fn attempts_to_get_out_stay_in() {
    for number in 0..ways_out("").len() {
        for above in [Some("../../../.."), Some("/"), None] {
            let bench = Bench::new();
            // By its own path, too: what is outside of the image has the same name in there.
            let own = bench.directory.path().to_str().unwrap().to_owned();
            let out = above.unwrap_or(&own);
            let (what, mut layers) = ways_out(out).into_iter().nth(number).unwrap();
            layers.insert(0, Maker::default().directory(own.trim_start_matches('/')).end());
            let taken = bench.take_in("x", &Shelf::of(&layers));
            assert!(taken.is_ok(), "{what}, {out}: {taken:?}");
            bench.assert_sound();
        }
    }
}

#[test]
fn attempts_that_mean_nothing_inside_either_are_refused() {
    let layer = || Maker::default().file("a", b"x");
    for (what, layers) in [
        ("..", vec![layer().file("../neighbour", b"t").end()]),
        (".. in the middle", vec![layer().file("d/../../neighbour", b"t").end()]),
        ("a whiteout of ..", vec![layer().file("d/.wh...", b"t").end()]),
        ("a hard link out", vec![layer().hard_link("b", "../../../neighbour").end()]),
        ("a hard link to what is not there", vec![layer().hard_link("b", "neighbour").end()]),
        ("a hard link to a directory", vec![layer().directory("d").hard_link("b", "d").end()]),
        ("a circle", vec![layer().symlink("b", "c").symlink("c", "b").file("b/x", b"").end()]),
        ("below a file", vec![layer().file("a/b", b"").end()]),
        ("too deep", vec![layer().entry(b'5', "d/".repeat(300).as_bytes(), b"", 0o755, b"").end()]),
        ("no archive", vec![vec![7; 2000]]),
        ("cut", vec![layer().end()[..700].to_vec()]),
    ] {
        let bench = Bench::new();
        let taken = bench.take_in("x", &Shelf::of(&layers));
        assert!(taken.is_err(), "{what}: {taken:?}");
        bench.assert_nothing_is_left_after_collecting();
    }
}

#[test]
fn names_need_not_be_text() {
    let layer =
        Maker::default().entry(b'0', b"\xff\xfe \n", b"", 0o644, b"x").entry(b'2', b"l", b"\xff", 0o777, b"").end();
    let bench = Bench::new();
    bench.take_in("x", &Shelf::of(&[layer])).unwrap();
    bench.assert_sound();
}

#[test]
fn a_layer_that_lies_about_its_digest_or_length_is_refused() {
    let blob = Digest::of(&base());
    let other = base().iter().map(|byte| byte ^ 1).collect();
    let longer = [base(), vec![0; 512]].concat();
    let shorter = base()[..1024].to_vec();
    for lie in [other, longer, shorter] {
        let mut shelf = Shelf::of(&[base()]);
        shelf.lies.insert(blob, lie);
        let bench = Bench::new();
        assert!(bench.take_in("x", &shelf).is_err());
        // Once it tells the truth, all is well.
        shelf.lies.clear();
        bench.take_in("x", &shelf).unwrap();
        bench.assert_sound();
    }
}

#[test]
fn a_configuration_that_lies_about_a_layer_is_found_out() {
    let shelf = naming_another(&base(), Digest::of(b""));
    let bench = Bench::new();
    let taken = bench.take_in("x", &shelf);

    assert!(matches!(taken, Err(TakeInError::Unpack { source: UnpackError::Digest { .. }, .. })), "{taken:?}");
}

#[test]
fn what_another_source_gave_wrong_is_no_fault_of_the_next() {
    let big: Vec<u8> = (0..400_000u32).map(|number| (number.wrapping_mul(number) >> 7) as u8).collect();
    let layer = Maker::default().file("big", &big).end();
    let mut wrong = Shelf::of(std::slice::from_ref(&layer));
    wrong.lies.insert(Digest::of(&layer), vec![7; layer.len()]);
    wrong.cut = Some(1000);
    let bench = Bench::new();
    assert!(matches!(bench.take_in("x", &wrong), Err(TakeInError::Broken { at: 4000, .. })));

    let right = Shelf::of(std::slice::from_ref(&layer));
    bench.take_in("x", &right).unwrap();
    bench.assert_sound();
    // The configuration, the rest, and all of it.
    assert_eq!(right.asked.load(Ordering::Relaxed), 3);
    // Who is wrong from the begin is asked no second time.
    wrong.cut = None;
    let bench = Bench::new();
    let taken = bench.take_in("x", &wrong);
    assert!(matches!(taken, Err(TakeInError::Source(SourceError::Digest { .. }))), "{taken:?}");
    assert_eq!(wrong.asked.load(Ordering::Relaxed), 1 + 4 + 1 + 1);
}

/// Its configuration names another archive for its one layer than the layer is.
fn naming_another(layer: &[u8], archive: Digest) -> Shelf {
    let mut shelf = Shelf::of(&[layer.to_vec()]);
    let honest = String::from_utf8(shelf.image.root.clone()).unwrap();
    let config = shelf.image.blobs.values().find(|blob| blob.starts_with(b"{")).unwrap().clone();
    let lying =
        String::from_utf8(config.clone()).unwrap().replace(&Digest::of(layer).to_string(), &archive.to_string());
    let described = shelf.image.put(lying.into_bytes());
    let old = format!(r#"{{"mediaType":"x","digest":"{}","size":{}}}"#, Digest::of(&config), config.len());
    shelf.image.root = honest.replace(&old, &described).into_bytes();
    shelf
}

#[test]
fn a_bomb_that_is_only_to_be_proven_is_bounded_as_well() {
    let bench = Bench::new();
    bench.take_in("x", &Shelf::of(&[base()])).unwrap();
    let mut bomb = base();
    bomb.resize(bomb.len() + (80 << 20), 0);
    let bomb = gzip(&bomb);
    let shelf = naming_another(&bomb, Digest::of(&base()));
    let taken = bench.take_in_with("y", &shelf, 1 << 20);
    assert!(matches!(taken, Err(TakeInError::Size { .. })), "{taken:?}");
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_was() {
    let big: Vec<u8> = (0..4_000_000u32).map(|number| (number.wrapping_mul(number) >> 7) as u8).collect();
    let layer = Maker::default().file("big", &big).end();
    let mut shelf = Shelf::of(std::slice::from_ref(&layer));
    shelf.cut = Some(700_000);
    let bench = Bench::new();
    bench.take_in("x", &shelf).unwrap();
    bench.assert_sound();
    // The configuration is one question; the layer is asked for again only from where it broke off.
    assert_eq!(shelf.asked.load(Ordering::Relaxed), 1 + layer.len().div_ceil(700_000));

    // A source that gives next to nothing each time is given up, however often it does.
    let bench = Bench::new();
    shelf.cut = Some(1);
    assert!(matches!(bench.take_in("x", &shelf), Err(TakeInError::Broken { at: 4, .. })));

    // A source that never gives a byte is given up, and what was there before is not lost.
    let bench = Bench::new();
    shelf.cut = Some(0);
    assert!(matches!(bench.take_in("x", &shelf), Err(TakeInError::Broken { at: 0, .. })));
}

#[test]
fn layers_that_images_share_are_transferred_and_kept_once() {
    let first = Shelf::of(&[base(), Maker::default().file("a", b"1").end()]);
    let second = Shelf::of(&[base(), Maker::default().file("b", b"2").end()]);
    let bench = Bench::new();
    bench.take_in("one", &first).unwrap();
    bench.take_in("two", &second).unwrap();

    assert_eq!(second.asked.load(Ordering::Relaxed), 2, "the configuration and the other layer");
    let inode = |name: &str| bench.root(name).tree().join("bin/tool").metadata().unwrap().ino();
    assert_eq!(inode("one"), inode("two"));
}

#[test]
fn files_without_a_byte_are_not_for_nothing() {
    let many = (0..5000).fold(Maker::default(), |maker, number| maker.file(&format!("d/{number}"), b"")).end();
    let bench = Bench::new();
    let taken = bench.take_in_with("x", &Shelf::of(std::slice::from_ref(&many)), 1 << 20);
    assert!(matches!(taken, Err(TakeInError::Size { .. })), "{taken:?}");

    let bench = Bench::with_quota(Some(3 << 20));
    let taken = bench.take_in("x", &Shelf::of(&[many]));
    assert!(matches!(taken, Err(TakeInError::Store(StoreError::Quota { .. }))), "{taken:?}");
}

#[test]
fn all_that_an_image_takes_counts() {
    // On a disk, whose ways of writing names and links are those that are counted.
    let bench = Bench::below(tempfile::tempdir().unwrap(), None);
    let target = "t".repeat(4000);
    let links = (0..1000).fold(Maker::default(), |maker, number| maker.symlink(&format!("l/{number}"), &target));
    let names = (0..4000).fold(links, |maker, number| maker.file(&format!("d/{number:0240}"), b""));
    // A name of a link is a link again.
    let all = (0..500).fold(names, |maker, number| maker.hard_link(&format!("h/{number}"), "l/0")).end();
    bench.take_in("x", &Shelf::packed(&[all], gzip)).unwrap();
    let mut seen = std::collections::HashSet::new();
    let taken = blocks_below(bench.store.path(), &mut seen);
    let counted = bench.store.bytes().unwrap();
    assert!(taken <= counted, "{taken} bytes are taken, and {counted} are counted");
}

/// Bytes that the disk gave out for everything below a directory.
fn blocks_below(path: &Path, seen: &mut std::collections::HashSet<u64>) -> u64 {
    let found = std::fs::symlink_metadata(path).unwrap();
    let own = if seen.insert(found.ino()) { found.blocks() * 512 } else { 0 };
    let inner = if found.is_dir() { std::fs::read_dir(path).unwrap().collect() } else { Vec::new() };
    own + inner.into_iter().map(|entry| blocks_below(&entry.unwrap().path(), seen)).sum::<u64>()
}

#[test]
fn a_file_with_more_names_than_a_disk_allows_is_not_copied_for_each() {
    // More than ext4 has, on a disk and not in memory, where there is no such bound.
    const NAMES: usize = 70_000;
    let bench = Bench::below(tempfile::tempdir().unwrap(), None);
    let first = Maker::default().file("d/0", b"content");
    let all = (1..NAMES).fold(first, |maker, number| maker.hard_link(&format!("d/{number}"), "d/0")).end();
    bench.take_in("x", &Shelf::packed(&[all], gzip)).unwrap();
    let entries = std::fs::read_dir(bench.root("x").tree().join("d")).unwrap();
    let files: Vec<u64> = entries.map(|entry| entry.unwrap().metadata().unwrap().ino()).collect();
    assert_eq!(files.len(), NAMES);
    let different: std::collections::HashSet<u64> = files.into_iter().collect();
    assert!(different.len() <= 2, "{}", different.len());
    bench.assert_sound();
}

#[test]
fn a_quota_stops_an_image_and_leaves_the_others() {
    let bench = Bench::with_quota(Some(8 << 20));
    bench.take_in("small", &Shelf::of(&[base()])).unwrap();
    let big = Maker::default().file("big", &vec![1; 8 << 20]).end();
    let taken = bench.take_in("big", &Shelf::packed(&[big], gzip));

    assert!(matches!(taken, Err(TakeInError::Store(StoreError::Quota { .. }))), "{taken:?}");
    bench.assert_sound();
    assert_eq!(bench.store.names().unwrap().len(), 1);
}

#[test]
fn many_who_take_the_same_in_at_once_do_it_once() {
    let shelf = Shelf::of(&[base(), Maker::default().file("a", b"1").end()]);
    let bench = Bench::new();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|number| {
                let (bench, shelf) = (&bench, &shelf);
                scope.spawn(move || bench.take_in(&format!("n{number}"), shelf).map(|_| ()))
            })
            .collect();
        all.into_iter().for_each(|one| one.join().unwrap().unwrap());
    });
    bench.assert_sound();
    // The configuration is asked for by each of them, the layers once.
    assert_eq!(shelf.asked.load(Ordering::Relaxed), 8 + 2);
}

#[test]
fn a_filesystem_image_that_is_there_is_had_without_a_look_at_its_layers() {
    let bench = Bench::new();
    bench.take_in("x", &Shelf::of(&[base()])).unwrap();
    let name = "x".parse().unwrap();
    let disk = |store: &Store| store.filesystem_image(&name).unwrap().unwrap().digest();
    let made = disk(&bench.store);
    // Not even opened: to work out what thousands of files come to takes longer than a machine does to go on.
    std::fs::rename(bench.store.path().join("layers"), bench.store.path().join("elsewhere")).unwrap();
    assert_eq!(disk(&bench.store), made);
}

#[test]
fn the_same_layers_give_the_same_filesystem_image() {
    let image = |parallel_order: &[usize]| {
        let bench = Bench::new();
        let layers = [base(), Maker::default().pax(&[(b"SCHILY.xattr.user.a", b"b")]).file("etc/x", &[7; 9000]).end()];
        for number in parallel_order {
            bench.take_in(&format!("n{number}"), &Shelf::of(&layers)).unwrap();
        }
        let disk = bench.store.filesystem_image(&"n0".parse().unwrap()).unwrap().unwrap();
        let bytes = std::fs::read(disk.path()).unwrap();
        assert_eq!(Digest::of(&bytes), disk.digest());
        bench.assert_sound();
        disk.digest()
    };
    assert_eq!(image(&[0]), image(&[1, 0]));
    // On every host and in every build: who changes what is written makes it another image for everybody.
    assert_eq!(image(&[0]).to_string(), "sha256:688db70ba41a8aeb56e0c108c6191690b4f1ac83ae5024683f5f3f48b418b6ae");
}
