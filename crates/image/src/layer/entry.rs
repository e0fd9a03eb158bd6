//! What one entry of a layer does to the image.

use crate::bounds::Bounds;
use crate::layer::path::{EntryPath, PathFault};
use crate::layer::tar::{Header, Kind};

/// A place in the image, and what happens there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: EntryPath,
    pub(crate) act: Act,
}

/// What happens at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// A directory, or new metadata for the one that is there.
    Directory(Meta),
    File(Meta, Content),
    /// A symbolic link. Its target is text to us and never followed on the host.
    Link(Meta, Box<[u8]>),
    /// Another name for a file or a symbolic link.
    HardLink(EntryPath),
    /// A device or a pipe. Cells bring their own, so it takes the place of what is there and leaves nothing.
    Special,
    /// What lower layers have there is gone.
    Whiteout,
    /// What lower layers have in this directory is gone.
    Opaque,
}

/// What is known of a file beside its content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Meta {
    /// Permissions, without set-user-id and set-group-id: no image is trusted with those.
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds and nanoseconds since 1970.
    pub(crate) modified: (i64, u32),
    /// Sorted by name.
    pub(crate) attributes: Attributes,
}

/// Extended attributes, names and values.
pub(crate) type Attributes = Vec<(Box<[u8]>, Box<[u8]>)>;

/// What a file holds: the number under which its layer keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) number: u32,
    pub(crate) size: u64,
    /// BLAKE3, by which damage on the disk is found.
    pub(crate) hash: [u8; 32],
}

/// What an entry of an archive means. Only a file is not whole yet: its content is still to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing to an image: what a union file system keeps for itself.
    Nothing,
    File(EntryPath, Meta),
    Entry(Entry),
}

/// Why an entry cannot be meant well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    /// Its place is none.
    #[error("its path {0}")]
    Path(PathFault),
    /// What it links to is no place.
    #[error("the path it links to {0}")]
    Target(PathFault),
    /// It would take away, or put something below, a name that is reserved for taking away.
    #[error("its name is reserved for removing files of lower layers, but it names none")]
    Whiteout,
    /// Too much of it.
    #[error("its extended attributes take more than {} bytes", Bounds::ATTRIBUTES)]
    Attributes,
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// How names begin under which one union file system stored its own affairs.
const FOREIGN: &[u8] = b".wh..wh.";

impl Meaning {
    pub(crate) fn of(header: Header) -> Result<Meaning, EntryFault> {
        let path = EntryPath::new(&header.path).map_err(EntryFault::Path)?;
        if let Some(meaning) = whiteout(&path)? {
            return Ok(meaning);
        }
        let meta = Meta {
            mode: (header.mode & 0o1777) as u16,
            uid: header.uid,
            gid: header.gid,
            modified: header.modified,
            attributes: attributes_that_matter(header.attributes)?,
        };
        let is_root = path.bytes().is_empty();
        let act = match header.kind {
            Kind::Directory => Act::Directory(meta),
            _ if is_root => return Err(EntryFault::Path(PathFault::Root)),
            Kind::File => return Ok(Meaning::File(path, meta)),
            Kind::SymbolicLink => Act::Link(meta, link_target(header.target)?),
            Kind::HardLink => match EntryPath::new(&header.target).map_err(EntryFault::Target)? {
                target if target.bytes().is_empty() => return Err(EntryFault::Target(PathFault::Root)),
                target => Act::HardLink(target),
            },
            Kind::Special => Act::Special,
        };
        Ok(Meaning::Entry(Entry { path, act }))
    }
}

fn whiteout(path: &EntryPath) -> Result<Option<Meaning>, EntryFault> {
    let mut parts = path.parts().rev();
    let Some(name) = parts.next() else { return Ok(None) };
    let parents: Vec<&[u8]> = parts.collect();
    let (at, act) = match name.strip_prefix(WHITEOUT) {
        _ if parents.iter().any(|part| part.starts_with(FOREIGN)) => return Ok(Some(Meaning::Nothing)),
        _ if parents.iter().any(|part| part.starts_with(WHITEOUT)) => return Err(EntryFault::Whiteout),
        None => return Ok(None),
        Some(_) if name == OPAQUE => (path.beside(b""), Act::Opaque),
        Some(_) if name.starts_with(FOREIGN) => return Ok(Some(Meaning::Nothing)),
        Some(b"" | b"." | b"..") => return Err(EntryFault::Whiteout),
        Some(gone) => (path.beside(gone), Act::Whiteout),
    };
    Ok(Some(Meaning::Entry(Entry { path: at, act })))
}

fn link_target(target: Vec<u8>) -> Result<Box<[u8]>, EntryFault> {
    if Bounds::PATH < target.len() {
        return Err(EntryFault::Target(PathFault::Length));
    }
    match target.as_slice() {
        // The kernel has no such link either.
        b"" => Err(EntryFault::Target(PathFault::Root)),
        target if target.contains(&0) => Err(EntryFault::Target(PathFault::Nul)),
        _ => Ok(target.into()),
    }
}

/// Those that programs of a user set and read. The others speak to the kernel: they would give a program rights
/// (`security.capability`), or tell a union file system what to hide.
fn attributes_that_matter(attributes: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Attributes, EntryFault> {
    let matters =
        |name: &[u8]| name.starts_with(b"user.") && !name.starts_with(b"user.overlay.") && b"user.".len() < name.len();
    let mut kept: Attributes = attributes
        .into_iter()
        .filter(|(name, _)| matters(name))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    if kept.iter().any(|(name, _)| Bounds::NAME < name.len() || name.contains(&0)) {
        return Err(EntryFault::Attributes);
    }
    let bytes: usize = kept.iter().map(|(name, value)| name.len() + value.len()).sum();
    if Bounds::ATTRIBUTES < bytes {
        return Err(EntryFault::Attributes);
    }
    kept.sort();
    Ok(kept)
}

impl Entry {
    /// How much memory it takes, beside a fixed part.
    pub(crate) fn metadata(&self) -> u64 {
        let own = match &self.act {
            Act::Directory(meta) | Act::File(meta, _) => meta.bytes(),
            Act::Link(meta, target) => meta.bytes() + target.len(),
            Act::HardLink(target) => target.bytes().len(),
            Act::Special | Act::Whiteout | Act::Opaque => 0,
        };
        (self.path.bytes().len() + own) as u64
    }
}

impl Meta {
    /// Bytes of its attributes, with what stands around them.
    pub(crate) fn bytes(&self) -> usize {
        self.attributes.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::tar::Archive;
    use crate::layer::tar::tests::Maker;

    fn meaning(bytes: Vec<u8>) -> Result<Meaning, EntryFault> {
        Meaning::of(Archive::new(&bytes[..]).next().unwrap().unwrap())
    }

    fn act(path: &str) -> Result<Option<(String, Act)>, EntryFault> {
        meaning(Maker::default().file(path, b"").end()).map(|meaning| match meaning {
            Meaning::Entry(entry) => Some((format!("{:?}", entry.path), entry.act)),
            _ => None,
        })
    }

    #[test]
    fn names_that_take_away_are_told_from_names() {
        assert_eq!(act("a/.wh.b"), Ok(Some(("a/b".into(), Act::Whiteout))));
        assert_eq!(act(".wh.b"), Ok(Some(("b".into(), Act::Whiteout))));
        assert_eq!(act("a/.wh..wh..opq"), Ok(Some(("a".into(), Act::Opaque))));
        assert_eq!(act(".wh..wh..opq"), Ok(Some((String::new(), Act::Opaque))));
        assert_eq!(act("a/.whiteout"), Ok(None));
        assert_eq!(act(".wh..wh.plnk/1.2"), Ok(None));
        for path in ["a/.wh.", "a/.wh..", "a/.wh...", "a/.wh.b/c", ".wh.a/.wh..wh..opq", ".wh.a/.wh.b"] {
            assert_eq!(act(path), Err(EntryFault::Whiteout), "{path}");
        }
    }

    #[test]
    fn nobody_becomes_somebody_else_by_a_bit_of_a_mode_or_an_attribute() {
        let bytes = Maker::default()
            .pax(&[
                (b"SCHILY.xattr.security.capability", b"all"),
                (b"SCHILY.xattr.trusted.overlay.opaque", b"y"),
                (b"SCHILY.xattr.user.overlay.opaque", b"y"),
                (b"SCHILY.xattr.user.note", b"kept"),
            ])
            .entry(b'0', b"su", b"", 0o6755, b"")
            .end();
        let Ok(Meaning::File(_, meta)) = meaning(bytes) else { panic!("no file") };

        assert_eq!(meta.mode, 0o755);
        assert_eq!(meta.attributes, [(b"user.note"[..].into(), b"kept"[..].into())]);
    }

    #[test]
    fn links_that_lead_nowhere_a_link_can_are_refused() {
        for (bytes, fault) in [
            (Maker::default().hard_link("l", "../../etc/passwd"), EntryFault::Target(PathFault::Parent)),
            (Maker::default().hard_link("l", "/"), EntryFault::Target(PathFault::Root)),
            (Maker::default().symlink("l", ""), EntryFault::Target(PathFault::Root)),
            (Maker::default().symlink("l", &"x".repeat(4096)), EntryFault::Target(PathFault::Length)),
            (Maker::default().symlink("/", "x"), EntryFault::Path(PathFault::Root)),
            (Maker::default().file(".", b""), EntryFault::Path(PathFault::Root)),
        ] {
            assert_eq!(meaning(bytes.end()), Err(fault));
        }
        // Text is all that the target of a symbolic link is, so any is fine.
        assert!(meaning(Maker::default().symlink("l", "../../../etc/passwd").end()).is_ok());
    }
}
