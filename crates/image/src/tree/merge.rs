//! Laying one layer over another.
//!
//! Entries are taken in the order of the archive. Whatever a layer brings is stamped with its number; a whiteout takes
//! away what has a lower one. So it makes no difference whether a whiteout comes before or after what the same layer
//! puts in its place, as the specification wants it.
//!
//! A path whose directories are symbolic links of the image leads where it would lead for a process whose root is the
//! image: `lib/x` to `usr/lib/x` where `lib` is a link to `usr/lib`. Other tools do the same, and images rely on it.

use std::collections::BTreeMap;

use crate::bounds::Bounds;
use crate::layer::entry::{Act, Entry, Meta};
use crate::layer::index::Index;
use crate::layer::path::{EntryPath, shown};
use crate::tree::{Body, Child, Children, LayerNumber, Node, NodeId, Tree};

/// Why layers make no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("layer {layer}, entry `{path}`: {fault}")]
pub struct MergeError {
    /// Counted from 1, the lowest.
    pub layer: usize,
    /// The entry, as far as it can be shown.
    pub path: String,
    /// What is wrong.
    pub fault: MergeFault,
}

/// What is wrong with an entry, given those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MergeFault {
    /// A part of its path is a file.
    #[error("it is below something that is no directory")]
    NotADirectory,
    /// Symbolic links in its path lead in a circle.
    #[error("its path goes through too many symbolic links")]
    Loop,
    /// Where links lead is too deep.
    #[error("it is nested deeper than {}", Bounds::DEPTH)]
    Depth,
    /// A hard link to nothing.
    #[error("it is a hard link to something that is not there")]
    NoTarget,
    /// A hard link to a directory.
    #[error("it is a hard link to a directory")]
    DirectoryLink,
    /// More directories than there are entries to need them.
    #[error("its path brings the image to more than {NODES} files, directories and links")]
    Nodes,
    /// All paths together take too long to follow.
    #[error("the paths of the image, and the symbolic links in them, take too long to follow")]
    Effort,
}

/// How many symbolic links the kernel follows in one path.
const HOPS: usize = 40;
/// How many parts of paths are followed for one image: ten times what a very large one takes, some seconds of work.
const STEPS: u64 = 50_000_000;
/// How many nodes an image may have. A path of many parts makes a directory for each that is missing, so entries alone
/// do not bound them.
const NODES: usize = 2_000_000;

/// What layers come to, the lowest first.
pub(crate) fn merge<'a>(layers: impl IntoIterator<Item = &'a Index>) -> Result<Tree, MergeError> {
    let mut merging = Merging { tree: Tree { nodes: vec![directory(implied())] }, steps: 0 };
    for (number, layer) in layers.into_iter().enumerate() {
        let wrong = |entry: &Entry, fault| MergeError { layer: number + 1, path: shown(entry.path.bytes()), fault };
        for entry in &layer.entries {
            // There are fewer layers than such numbers: `Bounds::layers` says so.
            merging.apply(entry, number as LayerNumber).map_err(|fault| wrong(entry, fault))?;
        }
    }
    Ok(merging.tree)
}

/// A directory of which no layer says anything but that something is in it.
fn implied() -> Meta {
    Meta { mode: 0o755, ..Meta::default() }
}

fn directory(meta: Meta) -> Node {
    Node { meta, body: Body::Directory(BTreeMap::new()), cleared: None }
}

struct Merging {
    tree: Tree,
    steps: u64,
}

/// What to do where a directory of a path is missing.
#[derive(Clone, Copy)]
enum Missing {
    Make(LayerNumber),
    GiveUp,
}

impl Merging {
    fn apply(&mut self, entry: &Entry, layer: LayerNumber) -> Result<(), MergeFault> {
        let Some((parent, name)) = entry.path.split() else {
            match &entry.act {
                Act::Directory(meta) => self.node(Tree::ROOT).meta = meta.clone(),
                Act::Opaque => self.clear(Tree::ROOT, layer),
                // Nothing else is ever at the root: its path would have been refused.
                _ => {}
            }
            return Ok(());
        };
        match &entry.act {
            Act::Whiteout => {
                if let Some(parent) = self.directory_at(parent, Missing::GiveUp)? {
                    self.white_out(parent, name, layer);
                }
            }
            Act::Opaque => {
                if let Some(directory) = self.directory_at(entry.path.bytes(), Missing::GiveUp)? {
                    self.clear(directory, layer);
                }
            }
            Act::Directory(meta) => self.put_directory(parent, name, meta, layer)?,
            Act::File(meta, content) => {
                self.put(parent, name, meta, Body::File(layer, *content), layer)?;
            }
            Act::Link(meta, target) => self.put(parent, name, meta, Body::Link(target.clone()), layer)?,
            Act::HardLink(target) => self.put_hard_link(parent, name, target, layer)?,
            Act::Special => {
                let parent = self.made(parent, layer)?;
                self.children(parent).remove(name);
            }
        }
        Ok(())
    }

    fn put_directory(&mut self, parent: &[u8], name: &[u8], meta: &Meta, layer: LayerNumber) -> Result<(), MergeFault> {
        let parent = self.made(parent, layer)?;
        match self.children(parent).get_mut(name).map(|child| {
            child.layer = layer;
            child.node
        }) {
            Some(known) if matches!(self.node(known).body, Body::Directory(_)) => {
                self.node(known).meta = meta.clone();
            }
            _ => {
                self.add(parent, name, directory(meta.clone()), layer)?;
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        parent: &[u8],
        name: &[u8],
        meta: &Meta,
        body: Body,
        layer: LayerNumber,
    ) -> Result<(), MergeFault> {
        let parent = self.made(parent, layer)?;
        self.add(parent, name, Node { meta: meta.clone(), body, cleared: None }, layer)?;
        Ok(())
    }

    fn put_hard_link(
        &mut self,
        parent: &[u8],
        name: &[u8],
        target: &EntryPath,
        layer: LayerNumber,
    ) -> Result<(), MergeFault> {
        let (above, target) = target.split().ok_or(MergeFault::DirectoryLink)?;
        let above = self.directory_at(above, Missing::GiveUp)?.ok_or(MergeFault::NoTarget)?;
        let node = self.children(above).get(target).ok_or(MergeFault::NoTarget)?.node;
        if matches!(self.node(node).body, Body::Directory(_)) {
            return Err(MergeFault::DirectoryLink);
        }
        let parent = self.made(parent, layer)?;
        self.children(parent).insert(name.into(), Child { node, layer });
        Ok(())
    }

    fn add(&mut self, parent: NodeId, name: &[u8], node: Node, layer: LayerNumber) -> Result<NodeId, MergeFault> {
        if NODES <= self.tree.nodes.len() {
            return Err(MergeFault::Nodes);
        }
        let id = NodeId(self.tree.nodes.len() as u32);
        self.tree.nodes.push(node);
        self.children(parent).insert(name.into(), Child { node: id, layer });
        Ok(id)
    }

    fn white_out(&mut self, parent: NodeId, name: &[u8], layer: LayerNumber) {
        let Some(child) = self.children(parent).get(name).copied() else { return };
        self.clear(child.node, layer);
        if !self.stays(child, layer) {
            self.children(parent).remove(name);
        }
    }

    /// Takes out of a directory what lower layers put there. Each directory is gone through once for each layer at
    /// most: whatever comes into it later is of this layer.
    fn clear(&mut self, id: NodeId, layer: LayerNumber) {
        let node = self.node(id);
        let Body::Directory(children) = &mut node.body else { return };
        if node.cleared.replace(layer) == Some(layer) {
            return;
        }
        let mut children: Children = std::mem::take(children);
        children.retain(|_, child| {
            self.clear(child.node, layer);
            self.stays(*child, layer)
        });
        *self.children(id) = children;
    }

    /// Whether a name stays that was cleared: it is of this layer, or something in it is.
    fn stays(&mut self, child: Child, layer: LayerNumber) -> bool {
        let holds_something = match &self.node(child.node).body {
            Body::Directory(children) => !children.is_empty(),
            _ => false,
        };
        child.layer == layer || holds_something
    }

    fn made(&mut self, path: &[u8], layer: LayerNumber) -> Result<NodeId, MergeFault> {
        self.directory_at(path, Missing::Make(layer))?.ok_or(MergeFault::NotADirectory)
    }

    /// Follows a path, through symbolic links, as a process would whose root is the image.
    fn directory_at(&mut self, path: &[u8], missing: Missing) -> Result<Option<NodeId>, MergeFault> {
        let mut way = vec![Tree::ROOT];
        let mut ahead: Vec<Box<[u8]>> = Vec::new();
        push_parts(&mut ahead, path);
        let mut hops = 0;
        while let Some(part) = ahead.pop() {
            self.steps += 1;
            if STEPS < self.steps {
                return Err(MergeFault::Effort);
            }
            match &*part {
                b"." => continue,
                b".." => {
                    // Above the root is the root.
                    if 1 < way.len() {
                        way.pop();
                    }
                    continue;
                }
                _ if Bounds::NAME < part.len() => return Err(MergeFault::NotADirectory),
                _ => {}
            }
            let here = way.last().copied().unwrap_or(Tree::ROOT);
            let next = match (self.children(here).get(&part).map(|child| child.node), missing) {
                (Some(next), _) => next,
                (None, Missing::GiveUp) => return Ok(None),
                (None, Missing::Make(layer)) => self.add(here, &part, directory(implied()), layer)?,
            };
            match &self.tree.node(next).body {
                Body::Directory(_) => way.push(next),
                Body::File(..) => match missing {
                    Missing::GiveUp => return Ok(None),
                    Missing::Make(_) => return Err(MergeFault::NotADirectory),
                },
                Body::Link(target) => {
                    hops += 1;
                    if HOPS < hops {
                        return Err(MergeFault::Loop);
                    }
                    if target.starts_with(b"/") {
                        way.truncate(1);
                    }
                    push_parts(&mut ahead, target);
                }
            }
            if Bounds::DEPTH < way.len() {
                return Err(MergeFault::Depth);
            }
        }
        Ok(way.pop())
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        &mut self.tree.nodes[id.0 as usize]
    }

    /// What is in a directory. Every caller has made sure that it is one.
    fn children(&mut self, id: NodeId) -> &mut Children {
        match &mut self.node(id).body {
            Body::Directory(children) => children,
            body => unreachable!("{body:?} is no directory"),
        }
    }
}

/// Puts the parts of a path where they are taken from the end.
fn push_parts(ahead: &mut Vec<Box<[u8]>>, path: &[u8]) {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
    ahead.extend(parts.rev().map(Box::from));
}

#[cfg(test)]
mod tests;
