//! An archive is what its bytes say, read once; anything else is an error that says where.

use std::io::Read;

use super::*;

/// Makes archives, well-formed and not.
#[derive(Default, Clone)]
pub(crate) struct Maker(pub(crate) Vec<u8>);

impl Maker {
    /// An entry with every field as given.
    pub(crate) fn entry(mut self, kind: u8, path: &[u8], target: &[u8], mode: u32, content: &[u8]) -> Maker {
        let fits = |name: &[u8]| name.len() <= 100;
        if !fits(path) {
            self = self.raw(b'L', b"././@LongLink", b"", 0, &[path, b"\0"].concat());
        }
        if !fits(target) {
            self = self.raw(b'K', b"././@LongLink", b"", 0, &[target, b"\0"].concat());
        }
        self.raw(kind, &path[..path.len().min(100)], &target[..target.len().min(100)], mode, content)
    }

    pub(crate) fn raw(mut self, kind: u8, path: &[u8], target: &[u8], mode: u32, content: &[u8]) -> Maker {
        let mut block = [0; 512];
        block[..path.len()].copy_from_slice(path);
        block[100..107].copy_from_slice(format!("{mode:07o}").as_bytes());
        block[108..115].copy_from_slice(b"0001750");
        block[116..123].copy_from_slice(b"0000012");
        block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        block[136..147].copy_from_slice(b"14524600000");
        block[156] = kind;
        block[157..157 + target.len()].copy_from_slice(target);
        block[257..263].copy_from_slice(b"ustar\0");
        self.0.extend_from_slice(&summed(block));
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, path: &str, content: &[u8]) -> Maker {
        self.entry(b'0', path.as_bytes(), b"", 0o644, content)
    }

    pub(crate) fn program(self, path: &str, content: &[u8]) -> Maker {
        self.entry(b'0', path.as_bytes(), b"", 0o755, content)
    }

    pub(crate) fn directory(self, path: &str) -> Maker {
        self.entry(b'5', path.as_bytes(), b"", 0o755, b"")
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Maker {
        self.entry(b'2', path.as_bytes(), target.as_bytes(), 0o777, b"")
    }

    pub(crate) fn hard_link(self, path: &str, target: &str) -> Maker {
        self.entry(b'1', path.as_bytes(), target.as_bytes(), 0o644, b"")
    }

    /// An extended header.
    pub(crate) fn pax(self, records: &[(&[u8], &[u8])]) -> Maker {
        let text: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| {
                let body = key.len() + value.len() + 3;
                let length = (body..).find(|length| length.to_string().len() + body == *length).unwrap();
                [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
            })
            .collect();
        self.raw(b'x', b"PaxHeaders/x", b"", 0o644, &text)
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

pub(crate) fn summed(mut block: [u8; 512]) -> [u8; 512] {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn entries(bytes: &[u8]) -> Result<Vec<(Header, Vec<u8>)>, ArchiveError> {
    let mut archive = Archive::new(bytes);
    let mut entries = Vec::new();
    while let Some(header) = archive.next()? {
        let mut content = Vec::new();
        archive.content().read_to_end(&mut content)?;
        entries.push((header, content));
    }
    Ok(entries)
}

#[test]
fn entries_come_with_their_fields_and_their_content() {
    let bytes =
        Maker::default().directory("d/").program("d/run", b"#!x").symlink("l", "d/run").hard_link("h", "d/run").end();
    let found = entries(&bytes).unwrap();

    let kinds: Vec<_> = found.iter().map(|(header, _)| header.kind).collect();
    assert_eq!(kinds, [Kind::Directory, Kind::File, Kind::SymbolicLink, Kind::HardLink]);
    let (run, content) = &found[1];
    assert_eq!((run.mode, run.uid, run.gid, run.modified), (0o755, 0o1750, 0o12, (0o14524600000, 0)));
    assert_eq!(content, b"#!x");
    assert_eq!(found[2].0.target, b"d/run");
}

#[test]
fn long_names_are_whole_in_both_ways_of_storing_them() {
    let long = "d/".repeat(120) + "file";
    let gnu = Maker::default().file(&long, b"1").end();
    let pax = Maker::default().pax(&[(b"path", long.as_bytes())]).file("cut", b"1").end();
    for bytes in [gnu, pax] {
        assert_eq!(entries(&bytes).unwrap()[0].0.path, long.as_bytes());
    }
}

#[test]
fn the_extended_size_is_the_size_so_no_entry_can_hide_in_another() {
    // Whoever took the plain size of 0 would see `hidden` as an entry of its own.
    let hidden = Maker::default().file("hidden", b"").0;
    let mut outer = Maker::default().pax(&[(b"size", hidden.len().to_string().as_bytes())]).file("outer", b"").0;
    outer.extend_from_slice(&hidden);
    let found = entries(&Maker(outer).end()).unwrap();

    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1, hidden);
}

#[test]
fn links_and_directories_have_no_content_whatever_their_size_says() {
    let mut link = Maker::default().symlink("l", "t").0;
    link[124..135].copy_from_slice(b"00000001000");
    let block: [u8; 512] = link[..512].try_into().unwrap();
    let bytes = Maker(summed(block).to_vec()).file("next", b"x").end();

    assert_eq!(entries(&bytes).unwrap().len(), 2);
}

#[test]
fn what_is_cut_or_damaged_is_an_error_at_every_byte() {
    let whole = Maker::default().pax(&[(b"path", b"long")]).file("a", &[7; 700]).file("b", b"").0;
    // Where an entry is whole, with what pads it or with nothing of that.
    let ends = [0, 1024 + 512 + 700, 1024 + 512 + 1024, whole.len()];
    assert_eq!(entries(&whole[..ends[1]]).unwrap()[0].1, [7; 700]);
    for length in (0..whole.len()).filter(|length| !ends.contains(length)) {
        assert!(entries(&whole[..length]).is_err(), "cut at {length}");
    }
    for at in (0..512).filter(|at| !(148..156).contains(at)) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        assert!(matches!(entries(&damaged), Err(ArchiveError::Sum { at: 0 })), "damaged at {at}");
    }
}

#[test]
fn names_that_would_fill_the_memory_are_refused_before_they_are_read() {
    for kind in [b'L', b'K', b'x', b'g'] {
        let mut block: [u8; 512] = Maker::default().raw(kind, b"n", b"", 0, b"").0.try_into().unwrap();
        block[124..136].copy_from_slice(b"777777777777");
        assert!(matches!(entries(&summed(block)), Err(ArchiveError::TooLong { at: 0 })), "{kind}");
    }
    let megabyte = vec![b'n'; 700 << 10];
    let twice =
        Maker::default().pax(&[(b"SCHILY.xattr.user.a", &megabyte)]).pax(&[(b"SCHILY.xattr.user.b", &megabyte)]);
    assert!(matches!(entries(&twice.file("f", b"").end()), Err(ArchiveError::TooLong { .. })));
}

#[test]
fn sparse_files_and_unknown_kinds_are_refused() {
    let gnu = Maker::default().raw(b'S', b"f", b"", 0, b"").end();
    let pax = Maker::default().pax(&[(b"GNU.sparse.major", b"1")]).file("f", b"").end();
    for bytes in [gnu, pax] {
        assert!(matches!(entries(&bytes), Err(ArchiveError::Sparse { .. })));
    }
    assert!(matches!(
        entries(&Maker::default().raw(b'Z', b"f", b"", 0, b"").end()),
        Err(ArchiveError::Kind { kind: 'Z', .. })
    ));
}
