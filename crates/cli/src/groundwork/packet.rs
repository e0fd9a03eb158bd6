//! A groundwork on its way from the process that makes it to the one that keeps it: for each file its length, a blank, its path
//! and a line's end, and then its content; and a word that says that this was all.

use std::io::{self, BufRead, Read};
use std::os::fd::BorrowedFd;

use firebox_engine::{MOST_GROUNDWORK_BYTES as MOST_BYTES, MOST_GROUNDWORK_FILES as MOST_FILES};
use firebox_job::SourcePath;

use crate::outlet::write_all;

/// What comes last.
const END: &str = "end\n";
/// Longer than any line.
const LINE_BYTES: u64 = 64 * 1024;

/// Sends a file.
pub(super) fn send(to: BorrowedFd<'_>, path: &SourcePath, content: &[u8]) -> io::Result<()> {
    write_all(to, format!("{} {path}\n", content.len()).as_bytes())?;
    write_all(to, content)
}

/// Says that this was all.
pub(super) fn send_end(to: BorrowedFd<'_>) -> io::Result<()> {
    write_all(to, END.as_bytes())
}

/// Takes all that is sent, if it is no more than one may send. Whether it was all.
pub(super) fn receive(
    mut from: impl BufRead,
    take: &mut dyn FnMut(&SourcePath, &mut dyn Read) -> io::Result<u64>,
) -> io::Result<bool> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let (mut files, mut bytes) = (0, 0_u64);
    loop {
        let mut line = String::new();
        from.by_ref().take(LINE_BYTES).read_line(&mut line)?;
        if line == END || line.is_empty() {
            return Ok(line == END);
        }
        let (length, path) = line.strip_suffix('\n').and_then(|line| line.split_once(' ')).ok_or_else(broken)?;
        let (length, path) =
            (length.parse::<u64>().map_err(|_| broken())?, SourcePath::new(path).map_err(|_| broken())?);
        (files, bytes) = (files + 1, bytes.saturating_add(length));
        if MOST_FILES < files || MOST_BYTES < bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if take(&path, &mut from.by_ref().take(length))? != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(sent: &str) -> Result<(Vec<String>, bool), io::ErrorKind> {
        let mut files = Vec::new();
        let whole = receive(sent.as_bytes(), &mut |path, content| {
            let mut text = String::new();
            content.read_to_string(&mut text)?;
            files.push(format!("{path}={text}"));
            Ok(text.len() as u64)
        });
        whole.map(|whole| (files, whole)).map_err(|error| error.kind())
    }

    #[test]
    fn files_arrive_with_their_paths_and_what_is_cut_is_not_whole() {
        let both = Ok((vec!["a/b.a=xy\n".to_owned(), "c=".to_owned()], true));
        assert_eq!(received("3 a/b.a\nxy\n0 c\nend\n"), both);
        assert_eq!(received("1 c\nx"), Ok((vec!["c=x".to_owned()], false)));
        assert_eq!(received(&format!("{} c\n", MOST_BYTES + 1)), Err(io::ErrorKind::FileTooLarge));
        assert_eq!(received(&"0 c\n".repeat(MOST_FILES + 1)), Err(io::ErrorKind::FileTooLarge));
        for cut in ["3 c\nxy", "3 ../c\nxyzend\n", "x c\n", "-1 c\n", "1 /c\nx", "en", "1"] {
            assert!(received(cut).is_err(), "{cut:?}");
        }
    }
}
