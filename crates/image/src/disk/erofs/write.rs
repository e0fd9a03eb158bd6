//! From the plan to bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};

use crate::disk::erofs::format::{
    BLOCK, FileType, INODE, Inode, Layout, Name, SLOT, SuperBlock, encode_attributes, encode_directory,
};
use crate::disk::erofs::plan::{Place, Plan};
use crate::layer::entry::Content;
use crate::tree::{Body, LayerNumber, NodeId};

/// Why an image cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file of a layer cannot be read.
    #[error("file {number} of layer {layer} cannot be read")]
    Read {
        /// Counted from 1, the lowest.
        layer: usize,
        /// The file's number in it.
        number: u32,
        /// Why not.
        source: io::Error,
    },
    /// The image itself.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl Plan<'_> {
    /// Writes the image. `layers` are the directories of the layers' files.
    pub(in crate::disk) fn write(&self, layers: &[OwnedFd], image: &mut impl Write) -> Result<(), WriteError> {
        let mut image = Counted { inner: image, at: 0 };
        let root = (self.places[0].at / SLOT) as u16;
        let inodes = self.places.len() as u64;
        // As many blocks as this can count take 16 TiB.
        let blocks = self.blocks as u32;
        image.put(&SuperBlock { root, inodes, blocks, uuid: self.uuid }.encode())?;
        for (number, place) in self.places.iter().enumerate() {
            image.zeros_to(place.at)?;
            self.write_inode(number, place, layers, &mut image)?;
        }
        image.zeros_to(self.first_block * BLOCK)?;
        for place in self.places.iter().filter(|place| place.is_first && place.whole != 0) {
            let content = self.content_of(place, layers)?;
            let length = place.size.min(place.whole * BLOCK);
            content.copy(0, length, &mut image)?;
            image.zeros_to((place.block + place.whole) * BLOCK)?;
        }
        Ok(())
    }

    fn write_inode(
        &self,
        number: usize,
        place: &Place,
        layers: &[OwnedFd],
        image: &mut Counted<&mut impl Write>,
    ) -> Result<(), WriteError> {
        let node = self.tree.node(place.node);
        let (attributes, count) = encode_attributes(&node.meta.attributes);
        let inode = Inode {
            layout: place.layout,
            attributes: count,
            mode: kind_of(&node.body) | node.meta.mode,
            size: place.size,
            block: place.block as u32,
            number: number as u32 + 1,
            uid: node.meta.uid,
            gid: node.meta.gid,
            modified: node.meta.modified,
            links: place.links,
        };
        image.put(&inode.encode())?;
        image.put(&attributes)?;
        if place.layout == Layout::Inline {
            let start = place.whole * BLOCK;
            self.content_of(place, layers)?.copy(start, place.size - start, image)?;
        }
        debug_assert_eq!(
            image.at,
            place.at
                + INODE
                + attributes.len() as u64
                + if place.layout == Layout::Inline { place.size % BLOCK } else { 0 }
        );
        Ok(())
    }

    fn content_of<'a>(&'a self, place: &Place, layers: &'a [OwnedFd]) -> Result<Source<'a>, WriteError> {
        Ok(match &self.tree.node(place.node).body {
            Body::File(layer, content) => Source::file(*layer, content, layers)?,
            Body::Link(target) => Source::Bytes(target.to_vec()),
            Body::Directory(children) => {
                let name = |name: &'a [u8], node: NodeId| {
                    let kind = match self.tree.node(node).body {
                        Body::Directory(_) => FileType::Directory,
                        Body::File(..) => FileType::Regular,
                        Body::Link(_) => FileType::Link,
                    };
                    Name { name, slot: self.places[self.place_of[&node]].at / SLOT, kind }
                };
                let mut names = vec![name(b".", place.node), name(b"..", place.parent)];
                names.extend(children.iter().map(|(text, child)| name(text, child.node)));
                names.sort_unstable_by_key(|name| name.name);
                Source::Bytes(encode_directory(&names))
            }
        })
    }
}

fn kind_of(body: &Body) -> u16 {
    match body {
        Body::Directory(_) => 0o040_000,
        Body::File(..) => 0o100_000,
        Body::Link(_) => 0o120_000,
    }
}

/// Where content comes from.
enum Source<'a> {
    Bytes(Vec<u8>),
    File { file: File, layer: usize, content: &'a Content },
}

impl<'a> Source<'a> {
    fn file(layer: LayerNumber, content: &'a Content, layers: &[OwnedFd]) -> Result<Source<'a>, WriteError> {
        let files = layers[usize::from(layer)].as_fd();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(files, content.number.to_string(), flags, Mode::empty());
        let layer = usize::from(layer) + 1;
        let wrong = |errno: rustix::io::Errno| WriteError::Read { layer, number: content.number, source: errno.into() };
        Ok(Source::File { file: File::from(opened.map_err(wrong)?), layer, content })
    }

    /// Copies a part of it, which has to be there.
    fn copy(self, start: u64, length: u64, image: &mut Counted<&mut impl Write>) -> Result<(), WriteError> {
        let (mut file, layer, number) = match self {
            Source::Bytes(bytes) => return Ok(image.put(&bytes[start as usize..(start + length) as usize])?),
            Source::File { file, layer, content } => (file, layer, content.number),
        };
        let wrong = |source| WriteError::Read { layer, number, source };
        file.seek(SeekFrom::Start(start)).map_err(wrong)?;
        let mut buffer = vec![0; length.min(256 << 10) as usize];
        let mut left = length;
        while left != 0 {
            let most = left.min(buffer.len() as u64) as usize;
            file.read_exact(&mut buffer[..most]).map_err(wrong)?;
            image.put(&buffer[..most])?;
            left -= most as u64;
        }
        Ok(())
    }
}

/// A writer that knows where it is.
struct Counted<W> {
    inner: W,
    at: u64,
}

impl<W: Write> Counted<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn zeros_to(&mut self, end: u64) -> io::Result<()> {
        // What is left empty is less than a block each time.
        while self.at < end {
            let most = (end - self.at).min(BLOCK) as usize;
            self.put(&[0; BLOCK as usize][..most])?;
        }
        Ok(())
    }
}
