//! The one system call of images that `rustix` does not wrap.
#![expect(unsafe_code, reason = "rustix has no sync_file_range")]

use std::os::fd::{AsRawFd, BorrowedFd};

use syscalls::{Sysno, syscall};

/// From `linux/fs.h`.
const SYNC_FILE_RANGE_WRITE: u32 = 2;

/// Has the disk begin with a part of a file, and does not wait for it. Nothing is promised: that it is there is what `fsync`
/// says later, as are its errors.
pub(crate) fn begin_to_write_out(file: BorrowedFd<'_>, from: u64, length: u64) {
    // SAFETY: the call takes four numbers and touches no memory of ours; the descriptor is open as long as it is borrowed.
    // A filesystem that knows nothing of it says so, and then all is left to `fsync`.
    let _ = unsafe { syscall!(Sysno::sync_file_range, file.as_raw_fd(), from, length, SYNC_FILE_RANGE_WRITE) };
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_being_written_out_is_what_was_written() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for part in 0..4u8 {
            file.write_all(&[part; 10_000]).unwrap();
            begin_to_write_out(file.as_file().as_fd(), u64::from(part) * 10_000, 10_000);
        }
        file.as_file().sync_all().unwrap();
        let found = std::fs::read(file.path()).unwrap();
        assert!(found.len() == 40_000 && found.chunks(10_000).zip(0..).all(|(part, number)| part == [number; 10_000]));
    }
}
