//! Who one is to which registry, as `docker login` and `podman login` write it down.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use serde::Deserialize;

use crate::reference::DEFAULT_REGISTRY;
use crate::registry::Endpoint;
use crate::registry::credential_helper::{CredentialHelper, CredentialHelperError, WITHIN};

/// All logins that were found, and who knows others. Says nothing of them when it is printed.
#[derive(Clone, Default)]
pub struct Credentials {
    logins: BTreeMap<String, Login>,
    /// Registries whose logins a program of their own knows, each with its name there. An empty one is no program.
    helpers: BTreeMap<String, Named>,
    /// The program that knows those of all others, unless its name is empty.
    store: String,
}

/// Which program, and what the registry is called in the line that says so.
#[derive(Clone)]
struct Named {
    helper: String,
    place: String,
}

/// How to say who one is.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// Name and password.
    Password {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// A token to get other tokens with.
    Refresh(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials for {:?}", self.logins.keys())
    }
}

/// A credentials file that is there and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the credentials in `{}`", .path.display())]
pub struct UnreadableCredentials {
    /// Which.
    pub path: PathBuf,
    /// Why not. Says nothing of what is in it.
    pub source: io::Error,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "identitytoken")]
    identity_token: Option<String>,
}

/// More than anybody's credentials take.
const MOST: u64 = 4 << 20;
/// More than the name of any registry has.
const MOST_OF_PLACE: usize = 1024;
/// What Docker calls its own registry when it speaks of it to a helper.
const HUB: &str = "https://index.docker.io/v1/";

impl Credentials {
    /// Reads the first of the usual files that is there.
    pub fn find(variable: impl Fn(&str) -> Option<OsString>) -> Result<Credentials, UnreadableCredentials> {
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let places = [
            path("REGISTRY_AUTH_FILE"),
            path("DOCKER_CONFIG").map(|place| place.join("config.json")),
            path("XDG_RUNTIME_DIR").map(|place| place.join("containers/auth.json")),
            path("XDG_CONFIG_HOME").map(|place| place.join("containers/auth.json")),
            path("HOME").map(|place| place.join(".config/containers/auth.json")),
            path("HOME").map(|place| place.join(".docker/config.json")),
        ];
        for path in places.into_iter().flatten() {
            match Credentials::read(path) {
                Err(error) if error.source.kind() == io::ErrorKind::NotFound => {}
                found => return found,
            }
        }
        Ok(Credentials::default())
    }

    /// Reads one file, which has to be there.
    pub fn read(path: PathBuf) -> Result<Credentials, UnreadableCredentials> {
        let text = std::fs::File::open(&path).and_then(|file| {
            let mut text = Vec::new();
            file.take(MOST).read_to_end(&mut text).map(|_| text)
        });
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "it is no JSON as `docker login` writes it");
        let read = text.and_then(|text| Credentials::parse(&text).ok_or_else(wrong));
        read.map_err(|source| UnreadableCredentials { path, source })
    }

    pub(super) fn parse(text: &[u8]) -> Option<Credentials> {
        let File { auths, helpers, store } = serde_json::from_slice(text).ok()?;
        let logins = auths.into_iter().filter_map(|(place, entry)| Some((plain_place(&place), login(entry)?)));
        let helpers = helpers.into_iter().filter(|(place, _)| place.len() <= MOST_OF_PLACE);
        let helpers = helpers.map(|(place, helper)| (plain_place(&place), Named { helper, place }));
        Some(Credentials { logins: logins.collect(), helpers: helpers.collect(), store: store.unwrap_or_default() })
    }

    /// What to say to whom is asked: what its helper knows, or else what is written down. A mirror is told nothing that is
    /// for the registry it stands for. A helper is started, and may ask its user something.
    pub fn login(&self, endpoint: &Endpoint) -> Result<Option<Login>, CredentialHelperError> {
        self.login_within(endpoint, WITHIN)
    }

    fn login_within(&self, endpoint: &Endpoint, within: Duration) -> Result<Option<Login>, CredentialHelperError> {
        let known = match self.helper(endpoint) {
            Some((helper, place)) => CredentialHelper::named(helper)?.login(place, within)?,
            None => None,
        };
        Ok(known.or_else(|| self.written(endpoint).cloned()))
    }

    /// The program that may know a login for there, and what the registry is called when it is asked.
    pub(super) fn helper<'a>(&'a self, endpoint: &'a Endpoint) -> Option<(&'a str, &'a str)> {
        let host = plain_place(&endpoint.host);
        let (helper, place) = match self.helpers.get(&host) {
            Some(Named { helper, place }) => (helper, place.as_str()),
            None if host == DEFAULT_REGISTRY => (&self.store, HUB),
            None => (&self.store, endpoint.host.as_str()),
        };
        (!helper.is_empty()).then_some((helper.as_str(), place))
    }

    /// The login for the longest part of the name that one is written down for.
    pub(super) fn written(&self, endpoint: &Endpoint) -> Option<&Login> {
        let whole = format!("{}/{}", plain_place(&endpoint.host), endpoint.repository);
        let ends = whole.match_indices('/').map(|(at, _)| at).chain([whole.len()]);
        let mut places: Vec<&str> = ends.map(|end| &whole[..end]).collect();
        places.reverse();
        places.into_iter().find_map(|place| self.logins.get(place))
    }
}

/// Docker writes its own registry's place as a URL, and others with a scheme at times.
fn plain_place(place: &str) -> String {
    let plain = place.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    match plain.trim_end_matches("/v1").trim_end_matches("/v2") {
        "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY.to_owned(),
        plain => plain.to_owned(),
    }
}

fn login(entry: Entry) -> Option<Login> {
    let Entry { auth, username, password, identity_token } = entry;
    if let Some(token) = identity_token.filter(|token| !token.is_empty()) {
        return Some(Login::Refresh(token));
    }
    if let (Some(name), Some(password)) = (username, password) {
        return Some(Login::Password { name, password });
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(auth?.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    Some(Login::Password { name: name.to_owned(), password: password.trim_end_matches('\0').to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Mirrors;

    const TEXT: &str = r#"{"auths": {
        "https://index.docker.io/v1/": {"auth": "dTpwOnE="},
        "ghcr.io": {"auth": "ZzpnaA=="},
        "ghcr.io/team": {"identitytoken": "t"},
        "empty.example": {}
    }, "HttpHeaders": {"x": "y"}}"#;

    fn login(reference: &str) -> Option<Login> {
        login_by(reference, "")
    }

    fn login_by(reference: &str, mirrors: &str) -> Option<Login> {
        let endpoint = Endpoint::of(&reference.parse().unwrap(), &mirrors.parse().unwrap());
        Credentials::parse(TEXT.as_bytes()).unwrap().login(&endpoint).unwrap()
    }

    fn hub() -> Endpoint {
        Endpoint::of(&"rust".parse().unwrap(), &Mirrors::default())
    }

    #[test]
    fn the_closest_login_counts() {
        let password =
            |name: &str, password: &str| Some(Login::Password { name: name.into(), password: password.into() });
        assert_eq!(login("rust"), password("u", "p:q"));
        assert_eq!(login("ghcr.io/other/x"), password("g", "gh"));
        assert_eq!(login("ghcr.io/team/x"), Some(Login::Refresh("t".into())));
        assert_eq!(login("ghcr.io/teams/x"), password("g", "gh"));
        assert_eq!(login("empty.example/x"), None);
        assert_eq!(login("quay.io/x"), None);
    }

    #[test]
    fn a_mirror_is_told_its_own_login_and_no_other() {
        assert_eq!(login_by("rust", "docker.io=mirror.example"), None);
        assert_eq!(login_by("rust", "docker.io=127.0.0.1:5000/hub"), None);
        assert_eq!(login_by("quay.io/x", "quay.io=ghcr.io/team"), Some(Login::Refresh("t".into())));
    }

    #[test]
    fn who_is_asked_for_a_login_is_said_by_the_registry_or_else_by_the_store() {
        let helper = |text: &str, reference: &str, mirrors: &str| {
            let endpoint = Endpoint::of(&reference.parse().unwrap(), &mirrors.parse().unwrap());
            let credentials = Credentials::parse(text.as_bytes()).unwrap();
            credentials.helper(&endpoint).map(|(helper, place)| format!("{helper} {place}"))
        };
        let text = r#"{"credsStore": "all", "credHelpers": {
            "ghcr.io": "one", "https://index.docker.io/v1/": "hub", "quay.io": "", "https://url.example": "two"
        }}"#;
        for (reference, mirrors, asked) in [
            ("ghcr.io/team/x", "", Some("one ghcr.io")),
            ("rust", "", Some("hub https://index.docker.io/v1/")),
            ("url.example/x", "", Some("two https://url.example")),
            ("other.example:5000/x", "", Some("all other.example:5000")),
            // Whoever names none for a registry wants none.
            ("quay.io/x", "", None),
            ("rust", "docker.io=ghcr.io/hub", Some("one ghcr.io")),
            ("rust", "docker.io=quay.io", None),
        ] {
            assert_eq!(helper(text, reference, mirrors).as_deref(), asked, "{reference} {mirrors}");
        }
        assert_eq!(helper(r#"{"credsStore": "all"}"#, "rust", "").unwrap(), format!("all {HUB}"));
        assert_eq!(helper(r#"{"credHelpers": {"docker.io": "hub"}}"#, "rust", "").unwrap(), "hub docker.io");
        assert_eq!(helper(r#"{"credsStore": "", "credHelpers": {}}"#, "rust", ""), None);
        assert_eq!(helper(TEXT, "rust", ""), None);
    }

    #[test]
    fn no_login_is_ever_printed() {
        let credentials = Credentials::parse(TEXT.as_bytes()).unwrap();
        let printed = format!("{credentials:?} {:?}", credentials.login(&hub()));
        assert!(!printed.contains("p:q") && printed.contains("docker.io"), "{printed}");
    }

    #[test]
    fn the_first_of_the_usual_files_that_is_there_counts() {
        let home = tempfile::tempdir().unwrap();
        // From the last that is looked at to the first: each newcomer counts from then on.
        let places = [
            ("HOME", "home", "home/.docker/config.json"),
            ("HOME", "home", "home/.config/containers/auth.json"),
            ("XDG_CONFIG_HOME", "config", "config/containers/auth.json"),
            ("XDG_RUNTIME_DIR", "run", "run/containers/auth.json"),
            ("DOCKER_CONFIG", "docker", "docker/config.json"),
            ("REGISTRY_AUTH_FILE", "file.json", "file.json"),
        ];
        let find = |is_set: &dyn Fn(&str) -> bool| {
            let value = |name: &str| places.iter().find(|(known, ..)| *known == name).map(|(_, value, _)| value);
            let all = |name: &str| Some(home.path().join(value(name)?).into());
            let found = Credentials::find(|name| if is_set(name) { all(name) } else { Some(OsString::new()) }).unwrap();
            match found.login(&hub()).unwrap() {
                Some(Login::Password { name, .. }) => name,
                other => format!("{other:?}"),
            }
        };
        assert_eq!(find(&|_| true), "None");
        for (variable, _, path) in places {
            let file = home.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            let auth = base64::engine::general_purpose::STANDARD.encode(format!("{path}:password"));
            std::fs::write(file, format!(r#"{{"auths":{{"docker.io":{{"auth":"{auth}"}}}}}}"#)).unwrap();
            assert_eq!(find(&|_| true), path, "what came before it counts as well");
            assert_eq!(find(&|name| name == variable), path, "{variable} alone");
        }
        // A variable that is empty says nothing.
        assert_eq!(find(&|name| name != "REGISTRY_AUTH_FILE"), "docker/config.json");
    }

    #[test]
    fn a_file_that_is_there_and_broken_is_an_error_and_not_nobody() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("auth.json");
        let find = || Credentials::find(|name| (name == "REGISTRY_AUTH_FILE").then(|| path.clone().into()));
        assert!(find().unwrap().login(&hub()).unwrap().is_none());
        std::fs::write(&path, "{").unwrap();
        assert!(find().is_err());
        std::fs::write(&path, TEXT).unwrap();
        assert!(find().unwrap().login(&hub()).unwrap().is_some());
    }
}
