//! Where everything will be.

use std::collections::HashMap;

use crate::digest::Digest;
use crate::disk::erofs::format::{BLOCK, INODE, Layout, SLOT, directory_size, encode_attributes};
use crate::tree::{Body, NodeId, Tree};

/// The image, decided but for its contents.
pub(in crate::disk) struct Plan<'a> {
    pub(super) tree: &'a Tree,
    pub(super) uuid: [u8; 16],
    /// In the order of their inodes; the root is the first.
    pub(super) places: Vec<Place>,
    pub(super) place_of: HashMap<NodeId, usize>,
    /// Where whole blocks begin, and where the image ends.
    pub(super) first_block: u64,
    pub(super) blocks: u64,
}

/// Where a node is.
pub(super) struct Place {
    pub(super) node: NodeId,
    /// For a directory: the one it is in.
    pub(super) parent: NodeId,
    /// Byte of its inode.
    pub(super) at: u64,
    pub(super) layout: Layout,
    pub(super) size: u64,
    /// The first of its whole blocks, and how many there are. The same as another file's if their contents are.
    pub(super) block: u64,
    pub(super) whole: u64,
    /// Whether they are to be written for this one.
    pub(super) is_first: bool,
    /// Names that lead to it.
    pub(super) links: u32,
}

impl<'a> Plan<'a> {
    pub(in crate::disk) fn new(tree: &'a Tree, digest: Digest) -> Plan<'a> {
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&digest.bytes()[..16]);
        let mut plan = Plan { tree, uuid, places: Vec::new(), place_of: HashMap::new(), first_block: 0, blocks: 0 };
        plan.find_nodes();
        plan.place_inodes();
        plan.place_blocks();
        plan
    }

    /// How long the image will be.
    pub(in crate::disk) fn bytes(&self) -> u64 {
        self.blocks * BLOCK
    }

    fn find_nodes(&mut self) {
        self.add(Tree::ROOT, Tree::ROOT);
        // The names `.` and `..` of the root are both for itself.
        self.places[0].links = 2;
        let tree = self.tree;
        tree.walk(|parent, _, node| {
            let at = self.add(node, parent);
            self.places[at].links += 1;
            if matches!(tree.node(node).body, Body::Directory(_)) {
                self.places[at].links += 1;
                let above = self.place_of[&parent];
                self.places[above].links += 1;
            }
        });
    }

    fn add(&mut self, node: NodeId, parent: NodeId) -> usize {
        *self.place_of.entry(node).or_insert_with(|| {
            let (at, layout, size) = (0, Layout::Plain, 0);
            self.places.push(Place { node, parent, at, layout, size, block: 0, whole: 0, is_first: true, links: 0 });
            self.places.len() - 1
        })
    }

    /// One after the other from block 1 on. An inode lies within one block, and so does what follows it inline.
    fn place_inodes(&mut self) {
        let mut next = BLOCK;
        for place in &mut self.places {
            let node = self.tree.node(place.node);
            place.size = match &node.body {
                Body::Directory(children) => {
                    // They count at the front, though they are sorted among the others: the number of blocks may
                    // depend on the order.
                    let mut names: Vec<&[u8]> = children.keys().map(|name| &**name).collect();
                    names.extend([&b"."[..], b".."]);
                    names.sort_unstable();
                    directory_size(names.into_iter().map(<[u8]>::len))
                }
                Body::File(_, content) => content.size,
                Body::Link(target) => target.len() as u64,
            };
            let attributes = encode_attributes(&node.meta.attributes).0.len() as u64;
            let remainder = place.size % BLOCK;
            let inline = INODE + attributes + remainder;
            place.layout = if remainder != 0 && inline <= BLOCK { Layout::Inline } else { Layout::Plain };
            let (within, all) = match place.layout {
                Layout::Inline => (inline, inline),
                Layout::Plain => (INODE, INODE + attributes),
            };
            if BLOCK < next % BLOCK + within {
                next = next.next_multiple_of(BLOCK);
            }
            place.at = next;
            place.whole = match place.layout {
                Layout::Inline => place.size / BLOCK,
                Layout::Plain => place.size.div_ceil(BLOCK),
            };
            next = (next + all).next_multiple_of(SLOT);
        }
        self.first_block = next.div_ceil(BLOCK);
    }

    fn place_blocks(&mut self) {
        let mut known: HashMap<([u8; 32], u64), u64> = HashMap::new();
        let mut next = self.first_block;
        for place in &mut self.places {
            if place.whole == 0 {
                continue;
            }
            place.block = next;
            if let Body::File(_, content) = &self.tree.node(place.node).body {
                // Of the same size, but perhaps not laid out the same, since attributes differ: then they share
                // nothing.
                let key = (content.hash, place.whole);
                if let Some(block) = known.get(&key) {
                    (place.block, place.is_first) = (*block, false);
                    continue;
                }
                known.insert(key, next);
            }
            next += place.whole;
        }
        self.blocks = next;
    }
}
