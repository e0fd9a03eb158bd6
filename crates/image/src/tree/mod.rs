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
    /// Bytes that it takes: all in whole blocks, and an inode for everything.
    pub(crate) bytes: u64,
    /// The part of them that is no file of a layer.
    pub(crate) own: u64,
}

/// The unit in which filesystems give out space.
pub(crate) const BLOCK: u64 = 4096;
/// What an inode takes, as ext4 makes them. A million empty files are not nothing.
pub(crate) const INODE: u64 = 256;
/// The shortest target of a symbolic link that does not fit into the inode, as ext4 makes them.
const LONG_TARGET: usize = 60;
/// What a name that is a number takes in a directory, as `bytes_of_names` has it.
pub(crate) const NUMBER: u64 = 32;
/// How many names a file may have on most filesystems that bound it: for as many more there is a copy.
const NAMES: u64 = 65_000;

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
        let mut names = vec![0u64; self.nodes.len()];
        let mut extent = Extent::default();
        extent.add_own(self.node(Tree::ROOT).blocks());
        self.walk(|_, _, node| {
            extent.entries += 1;
            let (node, names) = (self.node(node), &mut names[node.0 as usize]);
            *names += 1;
            match &node.body {
                Body::File(..) if *names == 1 => extent.bytes = extent.bytes.saturating_add(node.blocks()),
                // A copy, of which there can be as many names again.
                Body::File(..) if *names % NAMES == 0 => extent.add_own(node.blocks()),
                Body::File(..) => {}
                // Each name of a link is one of its own.
                Body::Directory(_) | Body::Link(_) => extent.add_own(node.blocks()),
            }
        });
        extent
    }
}

impl Extent {
    fn add_own(&mut self, bytes: u64) {
        self.own = self.own.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Node {
    /// Bytes that it takes, with its inode.
    fn blocks(&self) -> u64 {
        let bytes = match &self.body {
            Body::Directory(children) => bytes_of_names(children.keys().map(|name| name.len() as u64)),
            Body::File(_, content) => content.size,
            Body::Link(target) if target.len() < LONG_TARGET => 0,
            Body::Link(target) => target.len() as u64,
        };
        self.meta.blocks_beside(bytes).saturating_add(INODE)
    }
}

impl Meta {
    /// What this many bytes take together with the attributes, in whole blocks.
    pub(crate) fn blocks_beside(&self, bytes: u64) -> u64 {
        let whole = |bytes: u64| bytes.div_ceil(BLOCK).saturating_mul(BLOCK);
        whole(bytes).saturating_add(whole(self.bytes() as u64))
    }
}

/// What a directory takes with names of these lengths: as ext4 writes them, which fills no block more than half once
/// there are several.
fn bytes_of_names(lengths: impl Iterator<Item = u64>) -> u64 {
    // Its own, its parent's, and what ends a block.
    const FIXED: u64 = 64;
    let names = lengths.map(|length| (8 + length).next_multiple_of(4)).sum::<u64>() + FIXED;
    if names <= BLOCK { BLOCK } else { BLOCK + 2 * names }
}
