//! From the bytes of a layer to numbered files and an index.
//!
//! The one place where content of an image is written to the disk as files. They are written into a directory that
//! holds nothing else, under names that we choose, so there is no path of the image to be led astray by.

use std::io::{self, BufRead, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags, Timespec, Timestamps, fchmod, futimens, openat2};

use crate::digest::{Digest, DigestingReader};
use crate::layer::attributes;
use crate::layer::entry::{Act, Content, Entry, EntryFault, Meaning, Meta};
use crate::layer::index::Index;
use crate::layer::inflate::{fill, inflate, read_ahead};
use crate::layer::path::shown;
use crate::layer::tally::{Exceeded, Tally};
use crate::layer::tar::{Archive, ArchiveError};
use crate::strokes;

/// Why a layer could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Its bytes are no archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// An entry is not meant well.
    #[error("entry `{path}`: {fault}")]
    Entry {
        /// Its path, as far as it can be shown.
        path: String,
        /// What is wrong.
        fault: EntryFault,
    },
    /// The image is larger than it may be.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The layer is not what the image's configuration says.
    #[error("its content has the digest {found}, but the image's configuration says {expected}")]
    Digest {
        /// What it should have been.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A file of it could not be written.
    #[error("a file of it cannot be written")]
    Write(#[source] io::Error),
    /// Nobody wants it any more.
    #[error("it was given up")]
    Stopped,
}

/// What a layer is expected to be, and what it may take.
pub(crate) struct Terms<'a> {
    /// The digest of its uncompressed bytes.
    pub(crate) expected: Digest,
    pub(crate) tally: &'a Tally,
    /// Set when nobody wants the layer any more.
    pub(crate) stop: &'a AtomicBool,
    /// Called with the bytes that are about to be written; an error stops everything.
    pub(crate) room: &'a mut dyn FnMut(u64) -> io::Result<()>,
}

/// So much of a file is held. Programs are written in pieces of this size, and so are their pages: the larger these are, the less
/// it takes to map them into each process, and out of it. A job in Bash took an eighth longer on an image with small ones.
const BUFFER: usize = 512 << 10;
/// What programs and libraries begin with.
const ELF: &[u8] = b"\x7FELF";

/// Unpacks a layer: its files go into `files`, and all else is in the index. On an error files may be left there.
pub(crate) fn unpack(
    layer: impl BufRead + Send,
    files: BorrowedFd<'_>,
    terms: Terms<'_>,
) -> Result<Index, UnpackError> {
    let Terms { expected, tally, stop, room } = terms;
    let (index, found) = std::thread::scope(|scope| {
        let inflated = inflate(layer).map_err(ArchiveError::Read)?;
        let ahead = DigestingReader::new(read_ahead(scope, inflated));
        let mut ahead = Counted { input: ahead, tally, stop, ended: None };
        let mut unpacking = Unpacking { files, room, buffer: vec![0; BUFFER] };
        let read = read_entries(&mut ahead, tally, &mut |content, file| unpacking.keep(content, file));
        match ahead.ended {
            Some(ended) => Err(ended),
            None => read.map(|index| (index, ahead.input.finish().0)),
        }
    })?;
    if found != expected {
        return Err(UnpackError::Digest { expected, found });
    }
    Ok(index)
}

/// Inflates a layer that was unpacked before and keeps nothing of it: whether it is what it is said to be.
pub(crate) fn prove(
    layer: impl BufRead + Send,
    expected: Digest,
    tally: &Tally,
    stop: &AtomicBool,
) -> Result<(), UnpackError> {
    let found = std::thread::scope(|scope| {
        let inflated = inflate(layer).map_err(ArchiveError::Read)?;
        let ahead = DigestingReader::new(read_ahead(scope, inflated));
        let mut ahead = Counted { input: ahead, tally, stop, ended: None };
        let read = io::copy(&mut ahead, &mut io::sink());
        match ahead.ended {
            Some(ended) => Err(ended),
            None => read.map(|_| ahead.input.finish().0).map_err(|error| ArchiveError::Read(error).into()),
        }
    })?;
    if found == expected { Ok(()) } else { Err(UnpackError::Digest { expected, found }) }
}

/// Goes through a layer and keeps nothing of it: what it would come to. Whether its bytes are the right ones is not looked at, nor
/// are its files.
pub(crate) fn survey(layer: impl BufRead + Send, tally: &Tally, stop: &AtomicBool) -> Result<Index, UnpackError> {
    std::thread::scope(|scope| {
        let inflated = inflate(layer).map_err(ArchiveError::Read)?;
        let mut ahead = Counted { input: read_ahead(scope, inflated), tally, stop, ended: None };
        let unread = [0; blake3::OUT_LEN];
        let read = read_entries(&mut ahead, tally, &mut |_, Announced { number, size, .. }| {
            Ok(Content { number, size, hash: unread })
        });
        ahead.ended.map_or(read, Err)
    })
}

/// What comes out of a layer, counted whatever it is: what an archive has that becomes no file takes time all the same.
/// All of it comes by here, so it ends here, too, when there is too much of it or nobody wants it.
struct Counted<'a, R> {
    input: R,
    tally: &'a Tally,
    stop: &'a AtomicBool,
    ended: Option<UnpackError>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            self.ended = Some(UnpackError::Stopped);
            return Err(io::ErrorKind::Other.into());
        }
        let read = self.input.read(buffer)?;
        match self.tally.add_inflated(read as u64) {
            Ok(()) => Ok(read),
            Err(exceeded) => {
                self.ended = Some(exceeded.into());
                Err(io::ErrorKind::FileTooLarge.into())
            }
        }
    }
}

/// A file as it is announced, before its content.
struct Announced<'m> {
    number: u32,
    size: u64,
    meta: &'m Meta,
}

/// What is done with the content of a file. What is left of it is passed over.
type Keep<'k> = dyn FnMut(&mut dyn Read, Announced<'_>) -> Result<Content, UnpackError> + 'k;

fn read_entries(layer: &mut dyn Read, tally: &Tally, keep: &mut Keep<'_>) -> Result<Index, UnpackError> {
    let mut archive = Archive::new(layer);
    let mut index = Index::default();
    let mut number = 0;
    while let Some(header) = archive.next()? {
        let (path, size) = (shown(&header.path), header.size);
        let entry = match Meaning::of(header).map_err(|fault| UnpackError::Entry { path, fault })? {
            Meaning::Nothing => continue,
            Meaning::Entry(entry) => entry,
            Meaning::File(path, meta) => {
                // Said before anything is written, so that what is far too large costs nothing.
                tally.add_content(size)?;
                let content = keep(&mut archive.content(), Announced { number, size, meta: &meta })?;
                number += 1;
                Entry { path, act: Act::File(meta, content) }
            }
        };
        tally.add_entries(1, entry.metadata())?;
        index.push(entry);
    }
    archive.finish()?;
    Ok(index)
}

struct Unpacking<'a> {
    files: BorrowedFd<'a>,
    room: &'a mut dyn FnMut(u64) -> io::Result<()>,
    buffer: Vec<u8>,
}

impl Unpacking<'_> {
    fn keep(&mut self, content: &mut dyn Read, file: Announced<'_>) -> Result<Content, UnpackError> {
        (self.room)(file.meta.blocks_beside(file.size)).map_err(UnpackError::Write)?;
        self.write(content, file.number, file.meta)
    }

    fn write(&mut self, content: &mut dyn Read, number: u32, meta: &Meta) -> Result<Content, UnpackError> {
        let mut file = create(self.files, number).map_err(UnpackError::Write)?;
        let mut hasher = blake3::Hasher::new();
        let mut size = 0;
        let mut is_mapped = false;
        loop {
            let read = fill(content, &mut self.buffer).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => ArchiveError::Cut,
                _ => ArchiveError::Read(error),
            })?;
            if read == 0 {
                break;
            }
            let part = &self.buffer[..read];
            is_mapped |= size == 0 && part.starts_with(ELF);
            let written = if is_mapped { file.write_all(part) } else { strokes::write_all(&mut file, part) };
            written.map_err(UnpackError::Write)?;
            hasher.update(part);
            size += read as u64;
        }
        finish(file.as_fd(), meta).map_err(UnpackError::Write)?;
        Ok(Content { number, size, hash: *hasher.finalize().as_bytes() })
    }
}

fn create(files: BorrowedFd<'_>, number: u32) -> io::Result<std::fs::File> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(files, number.to_string(), flags, Mode::RUSR | Mode::WUSR, resolve)?.into())
}

/// Gives a file its time, and permissions with which it can be used by whoever the owner of the cell's files is: all
/// that the image lets its owner do but write, for everybody. That is what root has in a container.
fn finish(file: BorrowedFd<'_>, meta: &Meta) -> io::Result<()> {
    // Before it may not be written any more.
    attributes::set(file, &meta.attributes)?;
    let mode = if meta.mode & 0o111 == 0 { 0o444 } else { 0o555 };
    fchmod(file, Mode::from_raw_mode(mode))?;
    let modified = Timespec { tv_sec: meta.modified.0, tv_nsec: meta.modified.1.into() };
    futimens(file, &Timestamps { last_access: modified, last_modification: modified })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::bounds::Bounds;
    use crate::layer::tar::tests::Maker;

    struct Bench {
        directory: tempfile::TempDir,
        bounds: Bounds,
    }

    impl Bench {
        fn new() -> Bench {
            Bench { directory: tempfile::tempdir().unwrap(), bounds: Bounds::default() }
        }

        fn unpack(&self, layer: &[u8], plain: &[u8]) -> Result<Index, UnpackError> {
            let files = File::open(self.directory.path()).unwrap();
            let tally = Tally::new(self.bounds.clone());
            let (stop, mut room) = (AtomicBool::new(false), |_| Ok(()));
            let terms = Terms { expected: Digest::of(plain), tally: &tally, stop: &stop, room: &mut room };
            unpack(layer, files.as_fd(), terms)
        }

        fn names(&self) -> Vec<String> {
            let entries = std::fs::read_dir(self.directory.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    #[test]
    fn files_are_numbers_and_everything_else_is_in_the_index() {
        let bench = Bench::new();
        let layer =
            Maker::default().directory("bin").program("bin/sh", b"#!").symlink("l", "/etc").file("..a", b"x").end();
        let index = bench.unpack(&layer, &layer).unwrap();

        assert_eq!(bench.names(), ["0", "1"]);
        assert_eq!((index.entries.len(), index.unpacked), (4, 3));
        let metadata = std::fs::metadata(bench.directory.path().join("0")).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (0o555, 0o14524600000));
    }

    #[test]
    fn a_file_that_nobody_could_read_can_be_read() {
        let bench = Bench::new();
        let layer = Maker::default().entry(b'0', b"shadow", b"", 0, b"x").end();
        bench.unpack(&layer, &layer).unwrap();

        assert_eq!(std::fs::metadata(bench.directory.path().join("0")).unwrap().mode() & 0o7777, 0o444);
    }

    #[test]
    fn a_layer_with_another_digest_is_refused() {
        let layer = Maker::default().file("a", b"x").end();
        let found = Bench::new().unpack(&layer, b"other");
        assert!(matches!(found, Err(UnpackError::Digest { .. })), "{found:?}");
    }

    #[test]
    fn what_follows_the_end_of_an_archive_counts_for_its_digest() {
        let layer = [Maker::default().file("a", b"x").end(), vec![3; 5000]].concat();
        assert!(Bench::new().unpack(&layer, &layer).is_ok());
    }

    #[test]
    fn a_bomb_is_refused_before_it_goes_off() {
        let mut bench = Bench::new();
        bench.bounds.unpacked = 1 << 20;
        // A header says a thousand times more than there is: nothing is written for it.
        let layer = Maker::default().pax(&[(b"size", b"1073741824")]).file("bomb", b"").end();
        let found = bench.unpack(&layer, &layer);
        assert!(matches!(found, Err(UnpackError::Exceeded(Exceeded::Unpacked(_)))), "{found:?}");
        assert_eq!(bench.names(), [""; 0]);

        // The same, well compressed, and with all its bytes there.
        let plain = Maker::default().file("bomb", &vec![0; 8 << 20]).end();
        let found = bench.unpack(&zstd::encode_all(&plain[..], 3).unwrap(), &plain);
        assert!(matches!(found, Err(UnpackError::Exceeded(Exceeded::Unpacked(_)))), "{found:?}");
    }

    #[test]
    fn entries_and_names_are_counted() {
        let mut bench = Bench::new();
        let layer = (0..100).fold(Maker::default(), |maker, number| maker.directory(&format!("{number:0200}"))).end();
        bench.bounds.entries = 99;
        let found = bench.unpack(&layer, &layer);
        assert!(matches!(found, Err(UnpackError::Exceeded(Exceeded::Entries(99)))), "{found:?}");

        bench.bounds = Bounds { metadata: 19_999, ..Bounds::default() };
        let found = bench.unpack(&layer, &layer);
        assert!(matches!(found, Err(UnpackError::Exceeded(Exceeded::Metadata(_)))), "{found:?}");
    }

    #[test]
    fn a_disk_without_room_stops_it() {
        let bench = Bench::new();
        let files = File::open(bench.directory.path()).unwrap();
        let layer = Maker::default().file("a", b"x").end();
        let mut room = |_| Err(io::ErrorKind::StorageFull.into());
        let tally = Tally::new(Bounds::default());
        let stop = AtomicBool::new(false);
        let terms = Terms { expected: Digest::of(&layer), tally: &tally, stop: &stop, room: &mut room };
        let found = unpack(&layer[..], files.as_fd(), terms);
        assert!(matches!(found, Err(UnpackError::Write(_))), "{found:?}");
    }

    /// Zeros without end behind the head of a file that is as large as any, until somebody looks closer.
    struct Endless<'a> {
        head: &'a [u8],
        given: u64,
        stop: &'a AtomicBool,
    }

    impl Read for Endless<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.given += buffer.len() as u64;
            if 4 << 20 < self.given {
                self.stop.store(true, Ordering::Relaxed);
            }
            assert!(self.given < 4 << 30, "nobody looked");
            match self.head.read(buffer)? {
                0 => {
                    buffer.fill(0);
                    Ok(buffer.len())
                }
                read => Ok(read),
            }
        }
    }

    #[test]
    fn in_the_middle_of_a_file_it_is_given_up_as_well() {
        let bench = Bench::new();
        let files = File::open(bench.directory.path()).unwrap();
        let head = Maker::default().pax(&[(b"size", b"8589934592")]).file("large", b"").end();
        // Without what ends an archive.
        let head = &head[..head.len() - 1024];
        let (stop, tally) = (AtomicBool::new(false), Tally::new(Bounds::default()));
        let endless = || io::BufReader::new(Endless { head, given: 0, stop: &stop });
        let terms = Terms { expected: Digest::of(b""), tally: &tally, stop: &stop, room: &mut |_| Ok(()) };
        let found = unpack(endless(), files.as_fd(), terms);
        assert!(matches!(found, Err(UnpackError::Stopped)), "{found:?}");
        assert!(std::fs::metadata(bench.directory.path().join("0")).unwrap().len() < 1 << 30);

        stop.store(false, Ordering::Relaxed);
        let found = prove(endless(), Digest::of(b""), &tally, &stop);
        assert!(matches!(found, Err(UnpackError::Stopped)), "{found:?}");
    }

    #[test]
    fn arbitrary_damage_is_an_error_or_another_layer_but_never_a_panic() {
        let whole = Maker::default()
            .pax(&[(b"path", b"long/name"), (b"mtime", b"1.5"), (b"SCHILY.xattr.user.a", b"b")])
            .file("a", &[1; 600])
            .symlink("l", "a")
            .hard_link("h", "a")
            .file("d/.wh.x", b"")
            .end();
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..500 {
            let mut damaged = whole.clone();
            for _ in 0..1 + random() % 4 {
                let at = (random() % damaged.len() as u64) as usize;
                damaged[at] = random() as u8;
                // A right sum lets damage through to what is behind it.
                let block = at / 512 * 512;
                if let Some(bytes) = damaged.get(block..block + 512) {
                    let summed = crate::layer::tar::tests::summed(bytes.try_into().unwrap());
                    damaged[block..block + 512].copy_from_slice(&summed);
                }
            }
            let bench = Bench { bounds: Bounds { unpacked: 1 << 20, ..Bounds::default() }, ..Bench::new() };
            let _ = bench.unpack(&damaged, &damaged);
        }
    }
}
