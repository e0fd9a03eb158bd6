//! What an image is called: `rust:alpine`, `ghcr.io/some/thing@sha256:...`, `127.0.0.1:5000/x`.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

/// A reference to an image in a registry, with everything said that its writer left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Host, and port where one is given.
    pub registry: String,
    /// The path of the repository in it.
    pub repository: String,
    /// Which of the repository's images: a tag, or what it hashes to.
    pub version: Version,
}

/// Which of a repository's images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// By a name that can be given to another image tomorrow.
    Tag(String),
    /// By its digest.
    Digest(Digest),
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Tag(tag) => f.write_str(tag),
            Version::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Text that refers to no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` refers to no image: {fault}")]
pub struct NoReference {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub fault: ReferenceFault,
}

/// What is wrong with a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceFault {
    /// There is no name.
    #[error("expected `[registry/]name[:tag]` or `[registry/]name@sha256:...`")]
    Name,
    /// A name that no registry has.
    #[error("names consist of at most 255 small letters, digits, and single `.`, `_`, `-` or `/` between them")]
    Letters,
    /// A tag that no registry has.
    #[error("a tag has at most 128 letters, digits, `.`, `_` and `-`, and begins with none of the latter two but `_`")]
    Tag,
    /// After `@` stands no digest.
    #[error("after `@` stands `sha256:` and 64 hexadecimal digits")]
    Digest,
    /// Before the first `/` stands no host.
    #[error("the registry is no host name with at most a port")]
    Registry,
}

/// Where images are that say nothing else, by the usual agreement.
pub(crate) const DEFAULT_REGISTRY: &str = "docker.io";

/// The longest name of a repository, with all that was left out.
const MOST: usize = 255;

impl FromStr for Reference {
    type Err = NoReference;

    fn from_str(text: &str) -> Result<Reference, NoReference> {
        parse(text).map_err(|fault| NoReference { text: text.chars().take(200).collect(), fault })
    }
}

fn parse(text: &str) -> Result<Reference, ReferenceFault> {
    let (text, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest.parse().map_err(|_| ReferenceFault::Digest)?)),
        None => (text, None),
    };
    // A first part that could not be a repository's is a host.
    let (registry, rest) = match text.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':', '[']) || first == "localhost" => (Some(first), rest),
        _ => (None, text),
    };
    // What is behind the last colon is a tag, unless it is behind the host's.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) => (name, Some(tag)),
        None => (rest, None),
    };
    if name.is_empty() {
        return Err(ReferenceFault::Name);
    }
    if !name.split('/').all(is_part) {
        return Err(ReferenceFault::Letters);
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(ReferenceFault::Tag);
    }
    let registry = registry.unwrap_or(DEFAULT_REGISTRY);
    if !is_host(registry) {
        return Err(ReferenceFault::Registry);
    }
    let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
    let is_official = registry == DEFAULT_REGISTRY && !name.contains('/');
    let repository = if is_official { format!("library/{name}") } else { name.to_owned() };
    if MOST < repository.len() {
        return Err(ReferenceFault::Letters);
    }
    Ok(Reference {
        registry: registry.to_owned(),
        repository,
        version: match (digest, tag) {
            // Of the two the digest says more.
            (Some(digest), _) => Version::Digest(digest),
            (None, tag) => Version::Tag(tag.unwrap_or("latest").to_owned()),
        },
    })
}

fn is_part(part: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_well = part.bytes().next().is_some_and(is_letter) && part.bytes().last().is_some_and(is_letter);
    ends_well
        && part.bytes().all(|byte| is_letter(byte) || b"._-".contains(&byte))
        && !["..", "._", "_.", "___", ".-", "-.", "_-", "-_"].iter().any(|wrong| part.contains(wrong))
}

fn is_tag(tag: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(is_letter)
        && tag.bytes().all(|byte| is_letter(byte) || b".-".contains(&byte))
}

/// A host name or address, and perhaps a port.
pub(crate) fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                return port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            }
            _ => return false,
        },
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
    };
    host.len() <= 253 && host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port != 0)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = match self.version {
            Version::Tag(_) => ':',
            Version::Digest(_) => '@',
        };
        write!(f, "{}/{}{between}{}", self.registry, self.repository, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Result<String, ReferenceFault> {
        text.parse::<Reference>().map(|reference| reference.to_string()).map_err(|error| error.fault)
    }

    #[test]
    fn what_is_left_out_is_what_everybody_means_by_it() {
        let (digest, longest) = (Digest::of(b"").to_string(), "a".repeat(MOST - 2));
        for (text, meant) in [
            ("rust:alpine", "docker.io/library/rust:alpine"),
            ("rust", "docker.io/library/rust:latest"),
            ("some/thing", "docker.io/some/thing:latest"),
            ("docker.io/rust", "docker.io/library/rust:latest"),
            ("index.docker.io/library/rust", "docker.io/library/rust:latest"),
            ("ghcr.io/a/b-c/d:1.2-x_Y", "ghcr.io/a/b-c/d:1.2-x_Y"),
            ("localhost/x", "localhost/x:latest"),
            ("127.0.0.1:5000/x", "127.0.0.1:5000/x:latest"),
            ("[::1]:5000/x:y", "[::1]:5000/x:y"),
            (&format!("rust@{digest}"), &format!("docker.io/library/rust@{digest}")),
            (&format!("rust:alpine@{digest}"), &format!("docker.io/library/rust@{digest}")),
            (&format!("x/{longest}"), &format!("docker.io/x/{longest}:latest")),
        ] {
            assert_eq!(whole(text).as_deref(), Ok(meant), "{text}");
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        for (text, fault) in [
            ("", ReferenceFault::Name),
            ("ghcr.io/", ReferenceFault::Name),
            (":tag", ReferenceFault::Name),
            ("Rust", ReferenceFault::Letters),
            ("../etc/passwd", ReferenceFault::Registry),
            ("ghcr.io/../x", ReferenceFault::Letters),
            ("a//b", ReferenceFault::Letters),
            ("a/b?x=y", ReferenceFault::Letters),
            ("a/b#c", ReferenceFault::Letters),
            // With what is left out it is too long, and would be refused as it is written then.
            (&"a".repeat(MOST), ReferenceFault::Letters),
            ("x:", ReferenceFault::Tag),
            ("x:../y", ReferenceFault::Registry),
            ("x:.y", ReferenceFault::Tag),
            ("x@sha256:1", ReferenceFault::Digest),
            ("user:pass@host.com/x", ReferenceFault::Digest),
            ("host.com:0/x", ReferenceFault::Registry),
            ("ho_st.com/x", ReferenceFault::Registry),
            ("[::1/x", ReferenceFault::Registry),
        ] {
            assert_eq!(whole(text), Err(fault), "{text}");
        }
    }
}
