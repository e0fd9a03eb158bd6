//! The files that a kernel begins with, in the format it unpacks at its start (`newc`, of cpio).

use std::collections::BTreeSet;

/// Files, and the folders they are in.
#[derive(Default)]
pub(crate) struct Initramfs {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    entries: u32,
}

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
/// What the format pads names and files to.
const WORD: usize = 4;
/// By this name the kernel knows that there is no more.
const LAST: &str = "TRAILER!!!";

impl Initramfs {
    pub(crate) fn folder(mut self, path: &str) -> Self {
        self.add_folder(path);
        self
    }

    /// A file that everybody may run.
    pub(crate) fn file(mut self, path: &str, contents: &[u8]) -> Self {
        if let Some((folder, _name)) = path.rsplit_once('/') {
            self.add_folder(folder);
        }
        self.entry(path, PROGRAM, contents);
        self
    }

    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.entry(LAST, 0, &[]);
        self.bytes
    }

    /// With those that it is in.
    fn add_folder(&mut self, path: &str) {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for folder in ends.map(|end| &path[..end]) {
            if self.folders.insert(folder.to_owned()) {
                self.entry(folder, FOLDER, &[]);
            }
        }
    }

    fn entry(&mut self, path: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let (length, name_length) = (contents.len() as u32, path.len() as u32 + 1);
        // Number, mode, user, group, links, time, length, four numbers of devices, length of the name, a sum that nobody checks.
        let fields = [self.entries, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name_length, 0];
        self.bytes.extend_from_slice(b"070701");
        fields.iter().for_each(|field| self.bytes.extend(format!("{field:08X}").into_bytes()));
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(WORD), 0);
    }
}
