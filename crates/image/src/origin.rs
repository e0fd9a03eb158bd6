//! Where an image is to come from, as people write it: `rust:alpine`, `oci:DIR:tag`, `docker-archive:FILE`.

use std::path::PathBuf;
use std::str::FromStr;

use crate::reference::{NoReference, Reference};
use crate::registry::{Credentials, Mirrors, Patience, Registry};
use crate::source::{DockerArchive, OciLayout, Source, SourceError};

/// A place that has an image. Nothing of it was looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A registry.
    Registry(Reference),
    /// A directory, as `skopeo` and `umoci` write it; and which of its images, by its tag.
    Oci(PathBuf, Option<String>),
    /// The same in an archive.
    OciArchive(PathBuf, Option<String>),
    /// What `docker save` writes; and which of its images, by its name and tag.
    DockerArchive(PathBuf, Option<String>),
}

/// Text that names no place of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoOrigin {
    /// A kind of place that images are not taken from.
    #[error(
        "images are not taken from `{0}:`: expected a registry's image such as `rust:alpine`, or `oci:DIRECTORY`, `oci-archive:FILE`, `docker-archive:FILE`"
    )]
    Scheme(String),
    /// A kind of place, and nothing that says which.
    #[error("`{0}:` names no path: expected `{0}:PATH`, or `{0}:PATH:TAG`")]
    Path(&'static str),
    /// No reference of an image either.
    #[error(transparent)]
    Reference(#[from] NoReference),
}

/// What other tools take images from, and we do not: each would else be taken for the name of an image.
const FOREIGN: [&str; 9] =
    ["containers-storage", "dir", "docker-daemon", "file", "http", "https", "ostree", "sif", "tarball"];

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Origin, NoOrigin> {
        let Some((scheme, rest)) = text.split_once(':') else { return Ok(Origin::Registry(text.parse()?)) };
        match scheme {
            "oci" => place("oci", rest).map(|(path, tag)| Origin::Oci(path, tag)),
            "oci-archive" => place("oci-archive", rest).map(|(path, tag)| Origin::OciArchive(path, tag)),
            "docker-archive" => place("docker-archive", rest).map(|(path, tag)| Origin::DockerArchive(path, tag)),
            // As `skopeo` writes what needs no word here.
            "docker" if rest.starts_with("//") => Ok(Origin::Registry(rest[2..].parse()?)),
            // No tag begins with these, and no port.
            _ if FOREIGN.contains(&scheme) || rest.starts_with(['/', '.']) => {
                Err(NoOrigin::Scheme(scheme.chars().take(40).collect()))
            }
            _ => Ok(Origin::Registry(text.parse()?)),
        }
    }
}

/// A path ends where the first colon is, as with all who write such places: names of images have some, too.
fn place(scheme: &'static str, text: &str) -> Result<(PathBuf, Option<String>), NoOrigin> {
    let (path, tag) = text.split_once(':').map_or((text, None), |(path, tag)| (path, Some(tag)));
    if path.is_empty() {
        return Err(NoOrigin::Path(scheme));
    }
    Ok((PathBuf::from(path), tag.filter(|tag| !tag.is_empty()).map(str::to_owned)))
}

impl Origin {
    /// Opens what is on this host; a registry is not asked yet. The arguments count for registries alone.
    pub fn open(
        self,
        mirrors: &Mirrors,
        credentials: &Credentials,
        patience: Patience,
    ) -> Result<Box<dyn Source>, SourceError> {
        Ok(match self {
            Origin::Registry(reference) => Box::new(Registry::new(reference, mirrors, credentials, patience)),
            Origin::Oci(path, tag) => Box::new(OciLayout::directory(&path, tag.as_deref())?),
            Origin::OciArchive(path, tag) => Box::new(OciLayout::archive(&path, tag.as_deref())?),
            Origin::DockerArchive(path, tag) => Box::new(DockerArchive::open(&path, tag.as_deref())?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_known_by_how_it_begins() {
        let tag = |text: &str| Some(text.to_owned());
        let registry = |text: &str| Origin::Registry(text.parse().unwrap());
        for (text, origin) in [
            ("rust", registry("rust")),
            ("rust:alpine", registry("rust:alpine")),
            ("oci", registry("oci")),
            ("localhost:5000/x:y", registry("localhost:5000/x:y")),
            ("docker://ghcr.io/a/b:c", registry("ghcr.io/a/b:c")),
            ("docker:27", registry("docker:27")),
            ("oci:a/b", Origin::Oci("a/b".into(), None)),
            ("oci:/a/b:c", Origin::Oci("/a/b".into(), tag("c"))),
            ("oci-archive:a.tar:c", Origin::OciArchive("a.tar".into(), tag("c"))),
            ("docker-archive:a.tar", Origin::DockerArchive("a.tar".into(), None)),
            ("docker-archive:a.tar:x/y:z", Origin::DockerArchive("a.tar".into(), tag("x/y:z"))),
        ] {
            assert_eq!(text.parse(), Ok(origin), "{text}");
        }
    }

    #[test]
    fn what_no_image_is_taken_from_is_refused_with_what_is() {
        for (text, word) in [
            ("docker-daemon:rust:alpine", "not taken from `docker-daemon:`"),
            ("https://example.org/rust", "not taken from `https:`"),
            ("ftp://example.org/rust", "not taken from `ftp:`"),
            ("dir:x", "`oci:DIRECTORY`"),
            ("rust:../x", "not taken from `rust:`"),
            ("oci:", "expected `oci:PATH`"),
            ("docker-archive::x", "expected `docker-archive:PATH`"),
            ("", "refers to no image"),
            ("Rust", "small letters"),
            ("docker://", "refers to no image"),
        ] {
            let error = text.parse::<Origin>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
