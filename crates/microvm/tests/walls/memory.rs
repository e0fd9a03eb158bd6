//! What a monitor has of the host's memory, as `smaps` in `/proc` tells. For the end-to-end tests as well.
#![allow(dead_code, reason = "each test looks at a part of it")]

use std::ops::Range;

/// In KiB.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Its guest's.
    pub(crate) guest: u64,
    /// Its own: what it shares with others counted in parts.
    pub(crate) proportional: u64,
    /// Of that what it shares with nobody.
    pub(crate) private: u64,
}

impl Memory {
    /// `is_guests` is asked of each mapping.
    pub(crate) fn of(smaps: &str, is_guests: impl Fn(&Range<u64>) -> bool) -> Memory {
        let (mut all, mut of_the_guest) = (Memory::default(), false);
        for line in smaps.lines() {
            if let Some(mapping) = mapping(line) {
                of_the_guest = is_guests(&mapping);
                continue;
            }
            let mut words = line.split_whitespace();
            let (name, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let kib: u64 = value.parse().unwrap_or(0);
            match (name, of_the_guest) {
                ("Rss:", true) => all.guest += kib,
                ("Pss:", false) => all.proportional += kib,
                ("Private_Dirty:", false) => all.private += kib,
                _ => {}
            }
        }
        all
    }
}

/// From where to where, as a line begins with which a mapping does.
pub(crate) fn mapping(line: &str) -> Option<Range<u64>> {
    let (from, to) = line.split_whitespace().next()?.split_once('-')?;
    Some(u64::from_str_radix(from, 16).ok()?..u64::from_str_radix(to, 16).ok()?)
}
