//! What a process has open beyond its three standard streams: pipes to itself, and nothing else that an image could hold.

use rustix::io::Errno;

use super::proc::Proc;
use crate::image::{End, Writer};

/// Adds the pipes of a process to an image. What is in them is taken out of them.
pub(super) fn pipes(proc: &Proc, writer: &mut Writer<'_>) -> Result<(), Errno> {
    proc.each_descriptor(|number| {
        if number <= 2 {
            return Ok(());
        }
        let mut link = [0; 64];
        let pipe = proc.descriptor(number, &mut link)?.strip_prefix(b"pipe:[").ok_or(Errno::MFILE)?;
        let pipe = decimal(pipe)?;
        let flags = flags(proc, number)?;
        let end = match flags & ACCESS {
            0 => End::Reads,
            1 => End::Writes,
            _ => return Err(Errno::MFILE),
        };
        let mut content = [0; MOST_CONTENT];
        let content = match end {
            End::Reads => proc.take_content(number, &mut content)?,
            End::Writes => &[],
        };
        writer.pipe(number, end, flags & KEPT, pipe, content)
    })
}

/// The most that is taken out of a pipe.
const MOST_CONTENT: usize = 128;

// `fcntl.h`, as the kernel has it.
const ACCESS: u32 = 0o3;
const NONBLOCK: u32 = 0o4000;
const CLOEXEC: u32 = 0o2000000;
const KEPT: u32 = NONBLOCK | CLOEXEC;

/// How it was opened: `flags:` and an octal number.
fn flags(proc: &Proc, number: u32) -> Result<u32, Errno> {
    let mut buffer = [0; 256];
    let text = proc.descriptor_information(number, &mut buffer)?;
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"flags:"));
    let digits = line.map(<[u8]>::trim_ascii).and_then(|digits| str::from_utf8(digits).ok());
    digits.and_then(|digits| u32::from_str_radix(digits, 8).ok()).ok_or(Errno::BADMSG)
}

fn decimal(text: &[u8]) -> Result<u64, Errno> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    str::from_utf8(&text[..end]).ok().and_then(|digits| digits.parse().ok()).ok_or(Errno::BADMSG)
}
