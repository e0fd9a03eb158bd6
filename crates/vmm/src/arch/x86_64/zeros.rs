//! The zeros that the segments of a program end with. A guest's memory begins as zeros, so they need not be read into it: of Debian's kernel they are a
//! quarter, 11 MiB, since what it unpacks itself to has its variables in it, before any has a value.

use linux_loader::elf::{Elf64_Ehdr, Elf64_Phdr, PT_LOAD};
use vm_memory::ByteValued;

use super::kernel::WIDE_LITTLE_ENDIAN;

/// Makes the segments of an ELF program of 64 bits end in the file with their last byte that is not zero. In memory they are as long as before. A
/// program that says what cannot be is left as it is: whoever loads it says so.
pub(super) fn leave_out(program: &mut [u8]) {
    let Some(header) = read::<Elf64_Ehdr>(program, Some(0)) else { return };
    let [_, _, _, _, class, order, ..] = header.e_ident;
    if [class, order] != WIDE_LITTLE_ENDIAN {
        return;
    }
    let first = usize::try_from(header.e_phoff).ok();
    for number in 0..usize::from(header.e_phnum) {
        let at = number.checked_mul(size_of::<Elf64_Phdr>()).and_then(|offset| first?.checked_add(offset));
        let Some(segment) = read::<Elf64_Phdr>(program, at) else { return };
        if segment.p_type != PT_LOAD || segment.p_memsz < segment.p_filesz {
            continue;
        }
        let Some(bytes) = contents(program, &segment) else { return };
        let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
        write(program, at, &Elf64_Phdr { p_filesz: length as u64, ..segment });
    }
}

fn contents<'a>(program: &'a [u8], segment: &Elf64_Phdr) -> Option<&'a [u8]> {
    let start = usize::try_from(segment.p_offset).ok()?;
    let length = usize::try_from(segment.p_filesz).ok()?;
    program.get(start..)?.get(..length)
}

fn read<T: ByteValued + Default>(program: &[u8], at: Option<usize>) -> Option<T> {
    let mut value = T::default();
    let bytes = program.get(at?..)?.get(..size_of::<T>())?;
    value.as_mut_slice().copy_from_slice(bytes);
    Some(value)
}

/// Where it has been read.
fn write<T: ByteValued>(program: &mut [u8], at: Option<usize>, value: &T) {
    let place = at.and_then(|at| program.get_mut(at..)?.get_mut(..size_of::<T>()));
    if let Some(place) = place {
        place.copy_from_slice(value.as_slice());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: usize = 64;
    const SEGMENT: usize = 56;

    /// A program of such segments, by kind, contents, and how much longer they are in memory.
    fn program(segments: &[(u32, &[u8], u64)]) -> Vec<u8> {
        let mut header = Elf64_Ehdr { e_phoff: HEADER as u64, e_phnum: segments.len() as u16, ..Elf64_Ehdr::default() };
        header.e_ident[4..6].copy_from_slice(&WIDE_LITTLE_ENDIAN);
        let mut bytes = header.as_slice().to_vec();
        let mut offset = (HEADER + SEGMENT * segments.len()) as u64;
        for (p_type, contents, more) in segments {
            let length = contents.len() as u64;
            let (p_type, p_offset, p_filesz, p_memsz) = (*p_type, offset, length, length.wrapping_add(*more));
            let segment = Elf64_Phdr { p_type, p_offset, p_filesz, p_memsz, ..Elf64_Phdr::default() };
            bytes.extend(segment.as_slice());
            offset += length;
        }
        bytes.extend(segments.iter().flat_map(|(_, contents, _)| *contents));
        bytes
    }

    /// How long each segment is, in the file and in memory.
    fn lengths(program: &[u8]) -> Vec<(u64, u64)> {
        let count = read::<Elf64_Ehdr>(program, Some(0)).unwrap().e_phnum;
        let segments = (0..usize::from(count)).map(|number| read(program, Some(HEADER + SEGMENT * number)));
        segments.map(|segment: Option<Elf64_Phdr>| segment.unwrap()).map(|it| (it.p_filesz, it.p_memsz)).collect()
    }

    #[test]
    fn only_zeros_at_the_end_are_left_out_and_the_memory_stays_as_it_is() {
        const OTHER: u32 = 4;
        let less_in_memory = 1_u64.wrapping_neg();
        let segments = [
            (PT_LOAD, [1, 0, 2, 0, 0].as_slice(), 3),
            (PT_LOAD, &[0, 0, 0], 0),
            (PT_LOAD, &[0, 9], 7),
            (PT_LOAD, &[], 5),
            (OTHER, &[1, 0], 0),
            (PT_LOAD, &[1, 0], less_in_memory),
        ];
        let before = program(&segments);
        let mut after = before.clone();
        leave_out(&mut after);
        assert_eq!(lengths(&after), [(3, 8), (0, 3), (2, 9), (0, 5), (2, 2), (2, 1)]);
        assert_eq!(after[HEADER + SEGMENT * segments.len()..], before[HEADER + SEGMENT * segments.len()..]);
    }

    proptest! {
        /// Whatever a program says of itself, it is left as long as it was.
        #[test]
        fn what_says_what_cannot_be_does_no_harm(at in 0..HEADER + SEGMENT, lie: u64) {
            let mut bytes = program(&[(PT_LOAD, &[1, 0, 0], 0)]);
            let length = bytes.len();
            let places = bytes.iter_mut().skip(at);
            places.zip(lie.to_le_bytes()).for_each(|(place, byte)| *place = byte);
            leave_out(&mut bytes);
            prop_assert_eq!(bytes.len(), length);
        }
    }
}
