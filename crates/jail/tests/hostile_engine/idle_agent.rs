//! An agent that costs next to nothing, for those who look at its warden.

/// An agent that waits for a signal for ever: the smallest program there is.
pub(crate) fn idle_agent() -> &'static [u8] {
    // mov eax, 34 (pause); syscall; jmp back
    const CODE: [u8; 9] = [0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let mut elf = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let length = HEADERS + CODE.len() as u64;
    for (bytes, value) in [
        // The header: an x86-64 program that starts behind its headers.
        (2, 2),
        (2, 62),
        (4, 1),
        (8, BASE + HEADERS),
        (8, 64),
        (8, 0),
        (4, 0),
        (2, 64),
        (2, 56),
        (2, 1),
        (2, 0),
        (2, 0),
        (2, 0),
        // Its one segment: the whole file, to read and to run.
        (4, 1),
        (4, 5),
        (8, 0),
        (8, BASE),
        (8, BASE),
        (8, length),
        (8, length),
        (8, 4096),
    ] {
        elf.extend_from_slice(&u64::to_le_bytes(value)[..bytes]);
    }
    elf.extend(CODE);
    elf.leak()
}
