//! The list of a suite's packages (`Packages`): a stanza for each. Read as it comes, and all but kernels forgotten.

use std::io::{self, BufRead, BufReader, Read};

use crate::digest::Digest;
use crate::kernel::debian::mirror::Known;

/// A package that may hold a kernel, or name one that does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Listed {
    name: String,
    version: String,
    depends: String,
    path: String,
    size: Option<u64>,
    digest: Option<Digest>,
}

/// Why a list names no package to take.
#[derive(Debug, thiserror::Error)]
pub enum ListFault {
    /// It cannot be read.
    #[error("the list of packages is damaged")]
    Read(#[from] io::Error),
    /// It is not there.
    #[error("the list of packages has no `{0}`")]
    NoPackage(String),
    /// It is not told where a package is, or a place that is none.
    #[error("the list of packages does not say where `{0}` is, how long it is, or what its SHA-256 is")]
    NoPlace(String),
    /// It has too much.
    #[error("the list of packages {0}")]
    Exceeded(&'static str),
}

/// How packages with kernels are called.
const KERNELS: &str = "linux-image-";
/// More than any suite has of kernels.
const MOST: usize = 2000;
/// The longest line: many times the longest that Debian has, which lists what a package stands in for and takes 75 KiB.
const LINE: u64 = 1 << 20;
/// The longest list, unpacked: ten times the longest there is.
const LENGTH: u64 = 1 << 30;

/// The package that a name stands for in the end, where it is below the mirror, and what is known of it.
pub(super) fn find(list: impl Read, name: &str) -> Result<(String, Known), ListFault> {
    let kernels = kernels(list)?;
    let none = |name: &str| ListFault::NoPackage(name.to_owned());
    let named = kernels.iter().rfind(|listed| listed.name == name).ok_or_else(|| none(name))?;
    // A package without a kernel of its own depends on the newest that has one.
    let package = match needs(&named.depends) {
        None => named,
        Some((other, version)) => {
            let is_it =
                |listed: &&Listed| listed.name == other && version.is_none_or(|version| listed.version == version);
            kernels.iter().rfind(is_it).ok_or_else(|| none(other))?
        }
    };
    let is_place = |path: &str| {
        let parts = path.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        parts && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._+~-".contains(&byte))
    };
    match package {
        Listed { path, size: Some(size), digest: Some(digest), .. } if is_place(path) => {
            Ok((path.clone(), Known { digest: *digest, size: *size }))
        }
        _ => Err(ListFault::NoPlace(package.name.clone())),
    }
}

/// The kernel that a package depends on, and its version where that is said: `linux-image-6.1 (= 6.1.1-1), other`.
fn needs(depends: &str) -> Option<(&str, Option<&str>)> {
    let word = depends.split(',').map(str::trim).find(|word| word.starts_with(KERNELS))?;
    let first = word.split('|').next()?.trim();
    let (name, rest) = first.split_once(' ').unwrap_or((first, ""));
    Some((name, rest.trim().strip_prefix("(= ").and_then(|version| version.strip_suffix(')'))))
}

fn kernels(list: impl Read) -> Result<Vec<Listed>, ListFault> {
    let mut lines = BufReader::new(list.take(LENGTH));
    let (mut kernels, mut stanza, mut line) = (Vec::new(), Listed::default(), Vec::new());
    let mut all = 0;
    loop {
        line.clear();
        let read = (&mut lines).take(LINE).read_until(b'\n', &mut line)? as u64;
        all += read;
        if read == LINE {
            return Err(ListFault::Exceeded("has a line that is too long"));
        }
        let text = line.trim_ascii_end();
        if text.is_empty() {
            let ended = std::mem::take(&mut stanza);
            if ended.name.starts_with(KERNELS) {
                kernels.push(ended);
            }
            if MOST < kernels.len() {
                return Err(ListFault::Exceeded("has more kernels than there can be"));
            }
            match read {
                0 if all == LENGTH => return Err(ListFault::Exceeded("has no end")),
                0 => return Ok(kernels),
                _ => continue,
            }
        }
        // What goes on from the line before has a space first, and is of no field that matters.
        if let Some((key, value)) = std::str::from_utf8(text).ok().and_then(|text| text.split_once(": ")) {
            stanza.hear(key, value);
        }
    }
}

impl Listed {
    fn hear(&mut self, key: &str, value: &str) {
        match key {
            "Package" => self.name = value.to_owned(),
            "Version" => self.version = value.to_owned(),
            "Depends" => self.depends = value.to_owned(),
            "Filename" => self.path = value.to_owned(),
            "Size" => self.size = value.parse().ok(),
            "SHA256" => self.digest = Digest::from_hex(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza(name: &str, version: &str, depends: &str, path: &str, digest: &str) -> String {
        format!(
            "Package: {name}\nSource: linux\nVersion: {version}\nDepends: {depends}\nDescription: a\n Package: lie\n\
             Filename: {path}\nSize: 7\nSHA256: {}\n\n",
            digest.repeat(64)
        )
    }

    fn list() -> String {
        [
            stanza("bash", "5", "linux-image-x", "pool/b.deb", "0"),
            stanza("linux-image-6.1.0-9-cloud", "6.1.9-1", "kmod, linux-base (>= 4.3~)", "pool/old.deb", "1"),
            stanza("linux-image-6.1.0-9-cloud", "6.1.9-2", "kmod", "pool/main/l/linux/new_6.1~rc+1.deb", "2"),
            stanza("linux-image-cloud", "6.1.9-1", "linux-image-6.1.0-9-cloud (= 6.1.9-1)", "pool/meta.deb", "3"),
            stanza("linux-image-any", "6.1.9-1", "kmod, linux-image-6.1.0-9-cloud | x", "pool/meta.deb", "3"),
            stanza("linux-image-gone", "1", "linux-image-7 (= 1)", "pool/x.deb", "4"),
            stanza("linux-image-out", "1", "", "pool/../../x.deb", "5"),
            stanza("linux-image-odd", "1", "", "pool/x y.deb", "5"),
            stanza("linux-image-none", "1", "", "pool/x.deb", "x"),
        ]
        .concat()
    }

    #[test]
    fn a_name_stands_for_the_package_with_the_kernel() {
        for (name, path) in [
            ("linux-image-cloud", "pool/old.deb"),
            ("linux-image-any", "pool/main/l/linux/new_6.1~rc+1.deb"),
            ("linux-image-6.1.0-9-cloud", "pool/main/l/linux/new_6.1~rc+1.deb"),
        ] {
            let (found, known) = find(list().as_bytes(), name).unwrap();
            assert_eq!((found.as_str(), known.size), (path, 7), "{name}");
        }
        // Of what is none, whatever it says.
        let long = format!("Package: all-in-one\nProvides: {}\n\n", "one, ".repeat(20_000));
        assert_eq!(find((long + &list()).as_bytes(), "linux-image-cloud").unwrap().0, "pool/old.deb");
        // The last needs no empty line behind it.
        find(list().trim_end().replace(&"x".repeat(64), &"6".repeat(64)).as_bytes(), "linux-image-none").unwrap();
    }

    #[test]
    fn what_a_list_does_not_say_or_says_of_another_place_is_no_package() {
        for (name, word) in [
            ("bash", "has no `bash`"),
            ("lie", "has no `lie`"),
            ("linux-image-gone", "has no `linux-image-7`"),
            ("linux-image-out", "does not say where"),
            ("linux-image-odd", "does not say where"),
            ("linux-image-none", "what its SHA-256 is"),
        ] {
            let error = find(list().as_bytes(), name).unwrap_err().to_string();
            assert!(error.contains(word), "{name}: {error}");
        }
        let long = format!("Package: {}", "x".repeat(LINE as usize));
        assert!(matches!(find(long.as_bytes(), "x"), Err(ListFault::Exceeded(_))));
        let many = "Package: linux-image-x\n\n".repeat(MOST + 1);
        assert!(matches!(find(many.as_bytes(), "x"), Err(ListFault::Exceeded(_))));
    }
}
