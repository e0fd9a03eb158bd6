//! Segment descriptors: as they stand in the table in memory, and as KVM wants the processor's copies of them.

#![cfg_attr(
    not(test),
    expect(clippy::arithmetic_side_effects, reason = "constants of ours are computed with, before there is a guest")
)]

use kvm_bindings::kvm_segment;

/// One entry of the table. The processor has loaded it already when the guest begins; it is in memory too, since the guest
/// may load it again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptor(u64);

/// Null twice, then those that Linux's 64-bit boot protocol names: code at 0x10, data at 0x18; then a task state, without
/// which no processor enters a guest in long mode; it takes two places. Behind it, code and data for ring 3.
pub(super) const TABLE: [Descriptor; 8] = [
    Descriptor(0),
    Descriptor(0),
    Descriptor(0x00AF_9B00_0000_FFFF),
    Descriptor(0x00CF_9300_0000_FFFF),
    Descriptor(0x008F_8B00_0000_FFFF),
    Descriptor(0),
    Descriptor(0x00AF_FB00_0000_FFFF),
    Descriptor(0x00CF_F300_0000_FFFF),
];
pub(super) const CODE: usize = 2;
pub(super) const DATA: usize = 3;
pub(super) const TASK: usize = 4;
pub(super) const USER_CODE: usize = 6;
pub(super) const USER_DATA: usize = 7;
/// The length of an entry.
pub(super) const LENGTH: usize = 8;

/// How a descriptor is selected, with the rights of a ring.
pub(super) const fn selector(place: usize, ring: u16) -> u16 {
    (place * LENGTH) as u16 | ring
}

impl Descriptor {
    pub(super) fn bytes(self) -> [u8; LENGTH] {
        self.0.to_le_bytes()
    }

    /// As KVM wants it. `place` is where it stands in the table.
    pub(super) fn segment(self, place: usize) -> kvm_segment {
        let bits = |from: u32, count: u32| self.0 >> from & ((1 << count) - 1);
        let small = |from, count| bits(from, count) as u8;
        let scattered = (bits(16, 24) | bits(56, 8) << 24, bits(0, 16) | bits(48, 4) << 16);
        let (base, units) = scattered;
        let g = small(55, 1);
        kvm_segment {
            base,
            // Counted in pages where `g` says so; the processor's copy counts bytes.
            limit: if g == 1 { (units << 12 | 0xFFF) as u32 } else { units as u32 },
            selector: selector(place, 0),
            type_: small(40, 4),
            s: small(44, 1),
            dpl: small(45, 2),
            present: small(47, 1),
            avl: small(52, 1),
            l: small(53, 1),
            db: small(54, 1),
            g,
            unusable: 0,
            padding: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_segment_is_flat_and_of_64_bits() {
        let code = TABLE[CODE].segment(CODE);
        assert_eq!((code.base, code.limit, code.selector), (0, u32::MAX, 0x10));
        assert_eq!((code.l, code.db, code.dpl, code.type_, code.present), (1, 0, 0, 0b1011, 1));
    }

    #[test]
    fn base_and_limit_are_gathered_from_where_they_are_scattered() {
        let segment = Descriptor(0xAB40_9312_3456_789A | 0x000C_0000_0000_0000).segment(1);
        assert_eq!((segment.base, segment.limit, segment.g), (0xAB12_3456, 0xC_789A, 0));
    }
}
