//! Where a kernel begins, as the ELF program that it is unpacked.

/// The same kernel, but that it begins with this.
pub(crate) fn beginning_with(kernel: &[u8], code: &[u8]) -> Vec<u8> {
    // An ELF program's header, and those of its segments, by the places of their fields.
    let number = |at: usize| u64::from_le_bytes(kernel[at..at + 8].try_into().expect("eight bytes"));
    let (entry, segments) = (number(24), number(32) as usize);
    let segment = (0..usize::from(kernel[56])).map(|segment| segments + segment * 56).find_map(|segment| {
        let (offset, address, length) = (number(segment + 8), number(segment + 24), number(segment + 32));
        (address..address + length).contains(&entry).then_some(offset + entry - address)
    });
    let entry = segment.expect("its entry is in one of its segments") as usize;
    let mut other = kernel.to_owned();
    other[entry..entry + code.len()].copy_from_slice(code);
    other
}
