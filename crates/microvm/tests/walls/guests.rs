//! Guests of a few instructions, as kernels.

/// Where they are loaded, and the ports of a PC that they use.
const PROGRAM: u64 = 0x10_0000;
const SERIAL: u32 = 0x3F8;
const RESET: u32 = 0x64;
const PAGE: u64 = 0x1000;

/// Says something, and resets the machine.
pub(crate) fn says_and_resets(words: &str) -> Vec<u8> {
    kernel(&[say(words), out(RESET, 0xFE), spin()].concat())
}

/// Says something, and runs for ever.
pub(crate) fn says_and_spins(words: &str) -> Vec<u8> {
    kernel(&[say(words), spin()].concat())
}

/// Does what no processor knows, and has no handler for that.
pub(crate) fn faults() -> Vec<u8> {
    kernel(&[0x0F, 0x0B]) // ud2
}

/// Writes to a byte of each page from 2 MiB up to this address, over and over.
pub(crate) fn writes_to_all_memory_below(end: u32) -> Vec<u8> {
    // mov edi, 2 MiB; mov [rdi], al; add edi, 0x1000; cmp edi, end; jb to the mov [rdi]; say; jmp to the first
    let mut code = vec![0xBF, 0, 0, 0x20, 0];
    code.extend([0x88, 0x07, 0x81, 0xC7, 0, 0x10, 0, 0, 0x81, 0xFF]);
    code.extend(end.to_le_bytes());
    code.extend([0x72, 0xF0]);
    kernel(&[code, say("written"), spin()].concat())
}

/// Says something, lets some seconds go by its own clock, says something else, and resets the machine.
pub(crate) fn says_and_waits_and_says_and_resets(words: &str, later: &str) -> Vec<u8> {
    const CYCLES: u64 = 10_000_000_000;
    // rdtsc; shl rdx, 32; or rax, rdx
    let now = [0x0F, 0x31, 0x48, 0xC1, 0xE2, 0x20, 0x48, 0x09, 0xD0];
    // mov rbx, rax; mov rcx, CYCLES; add rbx, rcx
    let until = [[0x48, 0x89, 0xC3, 0x48, 0xB9].as_slice(), &CYCLES.to_le_bytes(), &[0x48, 0x01, 0xCB]].concat();
    // cmp rax, rbx; jb to the beginning of `now`
    let look = [0x48, 0x39, 0xD8, 0x72, 0xF2];
    kernel(
        &[say(words), now.to_vec(), until, now.to_vec(), look.to_vec(), say(later), out(RESET, 0xFE), spin()].concat(),
    )
}

fn say(words: &str) -> Vec<u8> {
    words.bytes().flat_map(|byte| out(SERIAL, byte)).collect()
}

/// `mov edx, port; mov al, value; out dx, al`
fn out(port: u32, value: u8) -> Vec<u8> {
    [&[0xBA], port.to_le_bytes().as_slice(), &[0xB0, value, 0xEE]].concat()
}

/// `jmp $`
fn spin() -> Vec<u8> {
    vec![0xEB, 0xFE]
}

/// An ELF program of one segment.
fn kernel(code: &[u8]) -> Vec<u8> {
    const HEADER: u16 = 64;
    const SEGMENT: u16 = 56;
    let mut elf = b"\x7FELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2_u16, 62].map(u16::to_le_bytes).concat()); // a program, for x86-64
    elf.extend(1_u32.to_le_bytes());
    elf.extend([PROGRAM, HEADER.into(), 0].map(u64::to_le_bytes).concat());
    elf.extend(0_u32.to_le_bytes());
    elf.extend([HEADER, SEGMENT, 1, 64, 0, 0].map(u16::to_le_bytes).concat());
    elf.extend([1, 5].map(u32::to_le_bytes).concat());
    let length = code.len() as u64;
    elf.extend([PAGE, PROGRAM, PROGRAM, length, length, PAGE].map(u64::to_le_bytes).concat());
    elf.resize(PAGE as usize, 0);
    elf.extend(code);
    elf
}
