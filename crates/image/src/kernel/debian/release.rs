//! What a suite of Debian's consists of (`InRelease`): files with their digests and lengths, in one signed document.

use crate::digest::Digest;
use crate::kernel::debian::mirror::Known;

/// Why a document says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseFault {
    /// It is something else.
    #[error("the mirror's `InRelease` is no signed document")]
    Form,
    /// It does not have the list.
    #[error("the mirror's `InRelease` has no SHA-256 of the list of packages for `amd64` in `main`")]
    NoList,
}

/// How a document begins whose signature stands behind it, and what is between the two.
const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const END: &str = "-----BEGIN PGP SIGNATURE-----";

/// The list of packages, packed in the ways that we know, best first.
const LISTS: [&str; 3] =
    ["main/binary-amd64/Packages.xz", "main/binary-amd64/Packages.gz", "main/binary-amd64/Packages"];

/// What stands before the signature, for those who have nobody to check it.
pub(super) fn unchecked(document: &[u8]) -> Result<String, ReleaseFault> {
    let text = std::str::from_utf8(document).map_err(|_| ReleaseFault::Form)?;
    let mut lines = text.lines();
    if lines.next() != Some(BEGIN) {
        return Err(ReleaseFault::Form);
    }
    // Which hash was signed, up to an empty line.
    let mut signed = lines.skip_while(|line| !line.is_empty()).skip(1);
    let mut plain = String::new();
    loop {
        match signed.next() {
            None => return Err(ReleaseFault::Form),
            Some(END) => return Ok(plain),
            // A line that begins with a dash was given another one.
            Some(line) => plain.extend([line.strip_prefix("- ").unwrap_or(line), "\n"]),
        }
    }
}

/// Where the list of packages is, below the suite, and what is known of it.
pub(super) fn list_of_packages(release: &str) -> Result<(String, Known), ReleaseFault> {
    let files = release.lines().skip_while(|line| *line != "SHA256:").skip(1).take_while(|line| line.starts_with(' '));
    let files: Vec<(&str, Known)> = files.filter_map(file).collect();
    let listed = LISTS.iter().find_map(|list| files.iter().find(|(path, _)| path == list));
    let (path, known) = listed.ok_or(ReleaseFault::NoList)?;
    let by_hash = release.lines().any(|line| line == "Acquire-By-Hash: yes");
    // Under its own name there may be the next one already.
    let place = format!("main/binary-amd64/by-hash/SHA256/{}", known.digest.hex());
    Ok((if by_hash { place } else { (*path).to_owned() }, *known))
}

fn file(line: &str) -> Option<(&str, Known)> {
    let mut words = line.split_ascii_whitespace();
    let (digest, size, path) = (words.next()?, words.next()?, words.next()?);
    Some((path, Known { digest: Digest::from_hex(digest)?, size: size.parse().ok()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_what_stands_between() {
        let document = format!("{BEGIN}\nHash: SHA256\n\nOrigin: Debian\n- -----x\n{END}\nxx\n");
        assert_eq!(unchecked(document.as_bytes()).unwrap(), "Origin: Debian\n-----x\n");
        for other in ["", "Origin: Debian\n", &format!("{BEGIN}\n\nx\n"), &format!("x\n{document}")] {
            assert_eq!(unchecked(other.as_bytes()), Err(ReleaseFault::Form), "{other}");
        }
    }

    #[test]
    fn the_list_is_taken_as_it_is_packed_best() {
        let digest = |letter: &str| letter.repeat(64);
        let release = |lines: &str| format!("MD5Sum:\n {} 1 {}\nSHA256:\n{lines}SHA1:\n x\n", digest("f"), LISTS[0]);
        let line = |letter: &str, list: &str| format!(" {} 7 {list}\n", digest(letter));
        let both = release(&(line("b", LISTS[1]) + &line("a", LISTS[0])));
        let known = |letter: &str| Known { digest: Digest::from_hex(&digest(letter)).unwrap(), size: 7 };
        assert_eq!(list_of_packages(&both), Ok((LISTS[0].to_owned(), known("a"))));
        let hashed = list_of_packages(&format!("Acquire-By-Hash: yes\n{both}")).unwrap().0;
        assert_eq!(hashed, format!("main/binary-amd64/by-hash/SHA256/{}", digest("a")));
        for none in [release(""), release(" aa 7 main/binary-amd64/Packages.xz\n"), release(&line("a", "contrib/x"))] {
            assert_eq!(list_of_packages(&none), Err(ReleaseFault::NoList), "{none}");
        }
    }
}
