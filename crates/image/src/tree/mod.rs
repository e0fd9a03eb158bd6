//! A root filesystem as what its layers come to together, before a file of it is anywhere.
//!
//! Layers are merged here and only here, in memory: which file wins, what a whiteout takes away, where a path leads
//! that goes through a symbolic link of the image. No path of the image is followed on the host, so nothing the image
//! says can lead out of it. From a merged [`Tree`] everything else is made: directories for jails by
//! [`assemble`](assemble::assemble), a filesystem image by `disk`.

pub(crate) mod assemble;
pub(crate) mod check;
mod merge;

use std::collections::BTreeMap;

pub use assemble::AssembleError;
pub(crate) use merge::merge;
pub use merge::{MergeError, MergeFault};

use crate::layer::entry::{Content, Meta};

/// Which layer, counted from the lowest.
pub(crate) type LayerNumber = u16;

/// A file, a directory or a link, wherever its names are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(u32);

/// What is in a directory, by name. The order makes everything that is made of a tree repeatable.
pub(crate) type Children = BTreeMap<Box<[u8]>, Child>;

/// A name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) node: NodeId,
    /// The layer that said so last.
    layer: LayerNumber,
}

/// What a name can be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Directory(Children),
    /// A file, and the layer that has its content.
    File(LayerNumber, Content),
    /// A symbolic link and its target.
    Link(Box<[u8]>),
}

/// A node: what it is, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) meta: Meta,
    pub(crate) body: Body,
    /// For a directory: the last layer from which on nothing of lower ones is in it.
    cleared: Option<LayerNumber>,
}

/// A merged root filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree {
    /// Also those that no name leads to any more.
    nodes: Vec<Node>,
}

/// What a tree comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extent {
    /// Names, but for the root.
    pub(crate) entries: u64,
    pub(crate) directories: u64,
    /// Bytes that it takes: files and directories in whole blocks, and an inode for everything.
    pub(crate) bytes: u64,
}

/// The unit in which filesystems give out space.
pub(crate) const BLOCK: u64 = 4096;
/// What an inode takes, as ext4 makes them. A million empty files are not nothing.
pub(crate) const INODE: u64 = 256;

impl Tree {
    pub(crate) const ROOT: NodeId = NodeId(0);

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Calls for every name below the root, a directory's before those in it. Parents are told by their nodes.
    pub(crate) fn walk(&self, mut visit: impl FnMut(NodeId, &[u8], NodeId)) {
        let mut directories = vec![Tree::ROOT];
        while let Some(parent) = directories.pop() {
            let Body::Directory(children) = &self.node(parent).body else { continue };
            for (name, child) in children {
                visit(parent, name, child.node);
            }
            // Taken from the end, so put there in reverse: the order is that of the names.
            let inner = children.values().rev().map(|child| child.node);
            directories.extend(inner.filter(|node| matches!(self.node(*node).body, Body::Directory(_))));
        }
    }

    pub(crate) fn extent(&self) -> Extent {
        let mut extent = Extent { entries: 0, directories: 1, bytes: BLOCK + INODE };
        let mut counted = vec![false; self.nodes.len()];
        self.walk(|_, _, node| {
            extent.entries += 1;
            let is_first = !std::mem::replace(&mut counted[node.0 as usize], true);
            if is_first {
                extent.bytes += INODE;
            }
            match &self.node(node).body {
                Body::Directory(_) => {
                    extent.directories += 1;
                    extent.bytes += BLOCK;
                }
                Body::File(_, content) if is_first => {
                    extent.bytes = extent.bytes.saturating_add(content.size.div_ceil(BLOCK).saturating_mul(BLOCK));
                }
                _ => {}
            }
        });
        extent
    }
}
