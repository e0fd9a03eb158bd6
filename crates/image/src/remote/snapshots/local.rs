//! What is in a memory's file: chunks, holes, and pages between them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;

use crate::digest::Digest;
use crate::remote::snapshots::chunks::Stretch;

const PAGE: usize = 4096;

/// What is there; none where there is nothing but a hole.
pub(super) fn read(file: &File, stretch: Stretch) -> io::Result<Option<Vec<u8>>> {
    match seek(file, SeekFrom::Data(stretch.at)) {
        Ok(data) if stretch.at + stretch.bytes <= data => return Ok(None),
        Err(Errno::NXIO) => return Ok(None),
        // A filesystem that knows no holes has data everywhere.
        Ok(_) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let mut bytes = vec![0; usize::try_from(stretch.bytes).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, stretch.at)?;
    Ok(Some(bytes))
}

/// What a chunk is called; none where all is zero.
pub(super) fn digest(file: &File, stretch: Stretch) -> io::Result<Option<Digest>> {
    let bytes = read(file, stretch)?;
    Ok(bytes.filter(|bytes| !is_zero(bytes)).map(|bytes| Digest::of(&bytes)))
}

/// Writes a chunk, with a hole wherever a page is zero, whatever was there before.
pub(super) fn write(file: &File, stretch: Stretch, content: &[u8]) -> io::Result<()> {
    clear(file, stretch)?;
    let mut at = 0;
    while at < content.len() {
        let begins = content[at..].chunks(PAGE).take_while(|page| is_zero(page)).map(<[u8]>::len).sum::<usize>() + at;
        let ends =
            content[begins..].chunks(PAGE).take_while(|page| !is_zero(page)).map(<[u8]>::len).sum::<usize>() + begins;
        file.write_all_at(&content[begins..ends], stretch.at + begins as u64)?;
        at = ends;
    }
    Ok(())
}

/// Has nothing be there.
pub(super) fn clear(file: &File, stretch: Stretch) -> io::Result<()> {
    if read(file, stretch)?.is_none_or(|bytes| is_zero(&bytes)) {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, stretch.at, stretch.bytes) {
        Err(Errno::OPNOTSUPP) => file.write_all_at(&vec![0; usize::try_from(stretch.bytes).unwrap_or(0)], stretch.at),
        punched => Ok(punched?),
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::remote::snapshots::chunks::CHUNK;

    const FIRST: Stretch = Stretch { at: 0, bytes: CHUNK };
    const SECOND: Stretch = Stretch { at: CHUNK, bytes: CHUNK };

    fn empty() -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(2 * CHUNK).unwrap();
        file
    }

    #[test]
    fn what_is_written_is_there_and_takes_what_is_not_zero() {
        let file = empty();
        let mut content = vec![0; CHUNK as usize];
        content[5] = 1;
        content[PAGE * 3..PAGE * 5].fill(2);
        *content.last_mut().unwrap() = 3;
        write(&file, SECOND, &content).unwrap();
        assert_eq!(read(&file, SECOND).unwrap().unwrap(), content);
        assert_eq!(digest(&file, SECOND).unwrap(), Some(Digest::of(&content)));
        assert_eq!((read(&file, FIRST).unwrap(), digest(&file, FIRST).unwrap()), (None, None));
        assert!(file.metadata().unwrap().blocks() * 512 <= CHUNK / 4, "it has no holes");

        // Nothing is left of what was there before.
        let mut other = vec![0; CHUNK as usize];
        other[PAGE] = 9;
        write(&file, SECOND, &other).unwrap();
        assert_eq!(read(&file, SECOND).unwrap().unwrap(), other);
        clear(&file, SECOND).unwrap();
        assert_eq!(digest(&file, SECOND).unwrap(), None);
        assert_eq!(file.metadata().unwrap().len(), 2 * CHUNK);
        file.write_all_at(&[0; PAGE], 0).unwrap();
        assert_eq!(digest(&file, FIRST).unwrap(), None, "zeros that were written are zeros");
    }

    #[test]
    fn what_was_cut_off_is_an_error_where_it_has_data() {
        let file = empty();
        file.write_all_at(b"x", CHUNK).unwrap();
        file.set_len(CHUNK + 10).unwrap();
        assert_eq!(read(&file, SECOND).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
