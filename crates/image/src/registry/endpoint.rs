//! Which host is asked for a registry's images.

use std::net::IpAddr;
use std::str::FromStr;

use crate::reference::{DEFAULT_REGISTRY, Reference, is_host};

/// Registries whose images are to be had elsewhere: `docker.io=mirror.example:5000/hub,ghcr.io=...`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mirrors(Vec<(String, Mirror)>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mirror {
    host: String,
    /// What stands before the names of repositories there.
    prefix: Option<String>,
}

/// Text that says nothing about mirrors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no mirror: expected `registry=host[:port][/prefix]`, several of them with commas between")]
pub struct NoMirrors(pub String);

impl FromStr for Mirrors {
    type Err = NoMirrors;

    fn from_str(text: &str) -> Result<Mirrors, NoMirrors> {
        let mirror = |word: &str| {
            let (registry, place) = word.split_once('=')?;
            let (host, prefix) = place.split_once('/').map_or((place, None), |(host, prefix)| (host, Some(prefix)));
            let is_prefix =
                |prefix: &str| format!("x.x/{prefix}").parse::<Reference>().is_ok() && !prefix.contains(':');
            let is_right = is_host(registry) && is_host(host) && prefix.is_none_or(is_prefix);
            is_right.then(|| (registry.to_owned(), Mirror { host: host.to_owned(), prefix: prefix.map(str::to_owned) }))
        };
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(|word| mirror(word).ok_or_else(|| NoMirrors(word.to_owned()))).collect::<Result<_, _>>().map(Mirrors)
    }
}

/// Where a repository is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host, and port where one is given.
    pub host: String,
    /// The repository's path there.
    pub repository: String,
    /// Whether it is spoken to in plain text: only on this very host.
    pub is_plain: bool,
}

impl Endpoint {
    /// Where to ask for a reference's repository.
    pub fn of(reference: &Reference, mirrors: &Mirrors) -> Endpoint {
        let mirror = mirrors.0.iter().find(|(registry, _)| *registry == reference.registry).map(|(_, mirror)| mirror);
        let (host, repository) = match mirror {
            Some(Mirror { host, prefix: Some(prefix) }) => {
                (host.as_str(), format!("{prefix}/{}", reference.repository))
            }
            Some(Mirror { host, prefix: None }) => (host.as_str(), reference.repository.clone()),
            // Docker's registry answers under another name than the one it is called by.
            None if reference.registry == DEFAULT_REGISTRY => ("registry-1.docker.io", reference.repository.clone()),
            None => (reference.registry.as_str(), reference.repository.clone()),
        };
        Endpoint { host: host.to_owned(), repository, is_plain: is_loopback(host) }
    }

    /// How URLs of it begin.
    pub(super) fn base(&self) -> String {
        let scheme = if self.is_plain { "http" } else { "https" };
        format!("{scheme}://{}/v2/{}", self.host, self.repository)
    }
}

/// Whether a URL in plain text leads to this very host.
pub(crate) fn is_here(url: &str) -> bool {
    let authority = url.strip_prefix("http://").and_then(|rest| rest.split(['/', '?', '#', '\\']).next());
    authority.is_some_and(|authority| !authority.contains('@') && is_loopback(authority))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(reference: &str, mirrors: &str) -> String {
        Endpoint::of(&reference.parse().unwrap(), &mirrors.parse().unwrap()).base()
    }

    #[test]
    fn a_registry_is_asked_where_it_is_or_where_the_setting_says() {
        assert_eq!(base("rust", ""), "https://registry-1.docker.io/v2/library/rust");
        assert_eq!(base("rust", "docker.io=127.0.0.1:5000"), "http://127.0.0.1:5000/v2/library/rust");
        assert_eq!(base("rust", "ghcr.io=x.y, docker.io=m.example/hub"), "https://m.example/v2/hub/library/rust");
        assert_eq!(base("ghcr.io/a/b", "docker.io=127.0.0.1:5000"), "https://ghcr.io/v2/a/b");
    }

    #[test]
    fn only_this_host_is_spoken_to_in_plain_text() {
        for (reference, start) in [
            ("localhost:1/x", "http:"),
            ("127.1.2.3/x", "http:"),
            ("[::1]:5000/x", "http:"),
            ("10.0.0.1:5000/x", "https:"),
            ("localhost.example.com/x", "https:"),
            ("127.0.0.1.example.com/x", "https:"),
        ] {
            assert!(base(reference, "").starts_with(start), "{reference}");
        }
    }

    #[test]
    fn a_url_leads_here_only_if_its_host_is_this_one() {
        for url in ["http://127.0.0.1:5001/token", "http://localhost?x", "http://[::1]:1/"] {
            assert!(is_here(url), "{url}");
        }
        for url in [
            "http://198.51.100.7/token",
            "http://127.0.0.1@198.51.100.7/",
            "http://198.51.100.7\\@127.0.0.1/",
            "http://169.254.169.254/",
            "ftp://127.0.0.1/",
            "http:///x",
        ] {
            assert!(!is_here(url), "{url}");
        }
    }

    #[test]
    fn a_mirror_that_is_none_is_refused() {
        for text in ["docker.io", "docker.io=", "=x", "docker.io=http://x", "docker.io=x/..", "docker.io=x/a:b"] {
            assert!(text.parse::<Mirrors>().is_err(), "{text}");
        }
    }
}
