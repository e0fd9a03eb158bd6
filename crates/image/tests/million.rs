//! A layer of more entries than any image may have: refused by the bound that everybody has, in bounded time and memory. Alone
//! in its process, whose memory is measured.

mod kit;

use std::io::Read;
use std::time::{Duration, Instant};

use firebox_image::{Bounds, Descriptor, Digest, Exceeded, Platform, Source, SourceError, TakeInError, UnpackError};
use kit::{store, take};

/// What taking it in may take. A million entries are held while they are counted.
const MEMORY_KIB: u64 = 512 << 10;
const TIME: Duration = Duration::from_secs(300);

/// The header of a directory.
fn header() -> [u8; 512] {
    let mut header = [0; 512];
    for (at, field) in [
        (0, &b"d"[..]),
        (100, b"0000755"),
        (108, b"0000000"),
        (116, b"0000000"),
        (124, b"00000000000"),
        (136, b"14524600000"),
        (148, b"        "),
        (156, b"5"),
        (257, b"ustar\0"),
    ] {
        header[at..at + field.len()].copy_from_slice(field);
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

/// An image of one layer, whose archive nobody has a digest of.
struct Many {
    layer: Vec<u8>,
    config: Vec<u8>,
}

impl Many {
    /// So many entries, which are few bytes on their way: the same again and again.
    fn of(entries: u64) -> Many {
        let packed = |count: u64| zstd::encode_all(&*header().repeat(count as usize), 1).unwrap();
        let end = zstd::encode_all(&[0; 1024][..], 1).unwrap();
        let layer = [packed(10_000).repeat((entries / 10_000) as usize), packed(entries % 10_000), end].concat();
        let Platform { os, architecture, .. } = Platform::of_this_host();
        let archive = Digest::of(b"");
        let config = format!(
            r#"{{"os":"{os}","architecture":"{architecture}","rootfs":{{"type":"layers","diff_ids":["{archive}"]}}}}"#
        );
        Many { layer, config: config.into_bytes() }
    }
}

impl Source for Many {
    fn root(&self, _: u64) -> Result<Vec<u8>, SourceError> {
        let described = |bytes: &[u8]| format!(r#"{{"digest":"{}","size":{}}}"#, Digest::of(bytes), bytes.len());
        let (config, layer) = (described(&self.config), described(&self.layer));
        Ok(format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]}}"#).into_bytes())
    }

    fn document(&self, _: &Descriptor, most: u64) -> Result<Vec<u8>, SourceError> {
        self.root(most)
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        let is_layer = descriptor.digest == Digest::of(&self.layer);
        let bytes = if is_layer { &self.layer } else { &self.config };
        Ok(Box::new(&bytes[from as usize..]))
    }
}

/// The most memory that this process ever had.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_million_entries_and_one_more_are_refused_in_bounded_time_and_memory() {
    let directory = kit::workshop();
    let store = store(directory.path());
    let most = Bounds::default().entries;
    let begun = Instant::now();
    let taken = take(&store, &Many::of(most + 1), "x");
    let exceeded = match &taken {
        Err(TakeInError::Unpack { source: UnpackError::Exceeded(exceeded), .. }) => Some(*exceeded),
        _ => None,
    };
    assert_eq!(exceeded, Some(Exceeded::Entries(1_000_000)), "{taken:?}");
    let (took, memory) = (begun.elapsed(), memory_kib());
    assert!(took < TIME && memory < MEMORY_KIB, "it took {took:?} and {memory} KiB");
    assert_eq!(store.verify().unwrap().damages, []);
}
