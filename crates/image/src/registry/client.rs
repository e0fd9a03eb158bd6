//! Asking a registry.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use base64::Engine;
use serde::Deserialize;
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, BodyReader};

use crate::document::Descriptor;
use crate::mutex::locked;
use crate::reference::{Reference, Version};
use crate::registry::challenge::Challenge;
use crate::registry::endpoint::is_here;
use crate::registry::retry_after::retry_after;
use crate::registry::steady::Steady;
use crate::registry::{CredentialHelperError, Credentials, Endpoint, Login, Mirrors};
use crate::source::{Source, SourceError, read_again, read_bounded};

/// One repository of a registry, and one image in it.
pub struct Registry {
    agent: Agent,
    reference: Reference,
    endpoint: Endpoint,
    credentials: Credentials,
    proof: Mutex<Proof>,
    patience: Patience,
}

/// What was found out since the registry wanted to know who asks.
#[derive(Default)]
struct Proof {
    /// Who we are, once somebody has looked. Nobody does before it is wanted: that may take a helper and its user.
    login: Option<Option<Login>>,
    /// Why a helper does not say who we are. What everybody gets is to be had nevertheless.
    helper: Option<Arc<CredentialHelperError>>,
    /// What the header `Authorization` has to say, once that is known.
    authorization: Option<String>,
}

/// How long a registry may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// To connect, and to say the next byte of anything.
    pub silence: Duration,
    /// How often it is asked, all in all, where it says that it cannot now.
    pub tries: u32,
    /// How long it may make us wait before that.
    pub pause: Duration,
    /// Bytes that have to come in a second, on the average of each time as long as `silence`.
    pub rate: u64,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { silence: Duration::from_secs(30), tries: 5, pause: Duration::from_secs(20), rate: 8 << 10 }
    }
}

/// Why a registry does not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It cannot be reached, or what it says is no HTTP.
    #[error("cannot ask `{host}` for {what}")]
    Ask {
        /// Whom.
        host: String,
        /// For what.
        what: String,
        /// What happened.
        source: Box<ureq::Error>,
    },
    /// It has no such image.
    #[error("`{host}` has no {what}")]
    Missing {
        /// Who.
        host: String,
        /// What it does not have.
        what: String,
    },
    /// It wants to know who we are.
    #[error("`{host}` does not give {what} to {who}")]
    Denied {
        /// Who.
        host: String,
        /// What.
        what: String,
        /// To whom: nobody in particular, or somebody by name.
        who: String,
    },
    /// It wants to know who we are, and whoever knows that does not say so.
    #[error("`{host}` wants to know who asks for {what}")]
    Helper {
        /// Who.
        host: String,
        /// What it was asked for.
        what: String,
        /// Why that is not known. The same for all that is denied.
        source: Arc<CredentialHelperError>,
    },
    /// It cannot now.
    #[error("`{host}` answers {status} when asked for {what}, and did so {tries} times")]
    Unavailable {
        /// Who.
        host: String,
        /// What.
        what: String,
        /// What it said.
        status: u16,
        /// How often it was asked.
        tries: u32,
    },
    /// An answer that means nothing here.
    #[error("`{host}` answers {status} when asked for {what}")]
    Status {
        /// Who.
        host: String,
        /// What.
        what: String,
        /// What it said.
        status: u16,
    },
    /// It gives another part of a blob than was asked for.
    #[error("`{host}` gives another part of {what} than it was asked for")]
    Range {
        /// Who.
        host: String,
        /// What.
        what: String,
    },
    /// It names somebody to ask for a token whom nobody should tell anything.
    #[error("`{host}` names `{realm}` to get a token from, which is not reached by TLS")]
    Realm {
        /// Who.
        host: String,
        /// Whom it names.
        realm: String,
    },
    /// Whoever gives tokens gives none.
    #[error("`{0}` gives no token")]
    Token(String),
}

/// All kinds of manifests that are understood.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.docker.distribution.manifest.v2+json";

#[derive(Deserialize)]
pub(super) struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Token {
    /// The token itself. Whatever comes stands in a header of ours.
    pub(super) fn read(text: &[u8]) -> Option<String> {
        let Token { token, access_token } = serde_json::from_slice(text).ok()?;
        token.or(access_token).filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()))
    }
}

impl Registry {
    /// The image of a reference. Asks nobody yet.
    pub fn new(reference: Reference, mirrors: &Mirrors, credentials: &Credentials, patience: Patience) -> Registry {
        let endpoint = Endpoint::of(&reference, mirrors);
        let agent = agent(if endpoint.is_plain { Reach::Here } else { Reach::Tls }, patience);
        Registry { agent, credentials: credentials.clone(), reference, endpoint, proof: Mutex::default(), patience }
    }

    fn manifest(&self, version: &Version, most: u64) -> Result<Vec<u8>, SourceError> {
        let url = format!("{}/manifests/{version}", self.endpoint.base());
        let what = format!("image `{}`", self.reference);
        read_again(self.patience.tries, "manifest", most, || Ok(self.steady(self.get(&url, &what, 0)?)))
    }

    /// Asks until there is an answer: says who we are when it wants to know, and asks again when it cannot now.
    fn get(&self, url: &str, what: &str, from: u64) -> Result<Response<Body>, RegistryError> {
        let host = || self.endpoint.host.clone();
        let mut proofs = 0;
        let mut tries = 0;
        loop {
            let known = self.proof().authorization.clone();
            let response = self.send(url, known.as_deref(), from);
            let status = match &response {
                Ok(response) => response.status().as_u16(),
                Err(_) => 0,
            };
            match (status, response) {
                (200 | 206, Ok(response)) => return Ok(response),
                // A token may be too old for the second question of a long transfer, but not twice in a row.
                (401, Ok(response)) if proofs < 2 => {
                    proofs += 1;
                    self.prove(&response, known, what)?;
                }
                (401 | 403, _) => return Err(self.denied(&self.proof(), what)),
                (404, _) => return Err(RegistryError::Missing { host: host(), what: what.to_owned() }),
                (429 | 500..=599, Ok(response)) => {
                    tries += 1;
                    if self.patience.tries <= tries {
                        return Err(RegistryError::Unavailable { host: host(), what: what.to_owned(), status, tries });
                    }
                    self.wait(tries, retry_after(response.headers(), SystemTime::now()));
                }
                (_, Err(source)) => {
                    tries += 1;
                    if self.patience.tries <= tries || !is_transient(&source) {
                        let source = Box::new(source);
                        return Err(RegistryError::Ask { host: host(), what: what.to_owned(), source });
                    }
                    self.wait(tries, None);
                }
                (status, Ok(_)) => {
                    return Err(RegistryError::Status { host: host(), what: what.to_owned(), status });
                }
            }
        }
    }

    /// Nobody gets this, or not who we are; or who might have known who we are did not say it.
    fn denied(&self, proof: &Proof, what: &str) -> RegistryError {
        let (host, what) = (self.endpoint.host.clone(), what.to_owned());
        if let Some(source) = proof.helper.clone() {
            return RegistryError::Helper { host, what, source };
        }
        let who = match &proof.login {
            Some(Some(Login::Password { name, .. })) => format!("`{name}`"),
            Some(Some(Login::Refresh(_))) => "the login in the credentials file".to_owned(),
            Some(None) | None => "somebody who is not logged in; or there is none of that name".to_owned(),
        };
        RegistryError::Denied { host, what, who }
    }

    fn send(&self, url: &str, authorization: Option<&str>, from: u64) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent.get(url).header(header::ACCEPT, format!("{MANIFESTS}, */*;q=0.5"));
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if from != 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        request.call()
    }

    /// Twice as long each time, or as long as was asked for, but not longer than we have patience for.
    fn wait(&self, tries: u32, asked: Option<Duration>) {
        let own = Duration::from_millis(100) * 2u32.saturating_pow(tries);
        std::thread::sleep(asked.unwrap_or(own).min(self.patience.pause));
    }

    fn steady(&self, response: Response<Body>) -> Steady<BodyReader<'static>> {
        Steady::new(response.into_body().into_reader(), self.patience)
    }

    fn proof(&self) -> MutexGuard<'_, Proof> {
        locked(&self.proof)
    }

    /// Finds out what to say to a registry that asked. `said` is what was said and did not do.
    fn prove(&self, response: &Response<Body>, said: Option<String>, what: &str) -> Result<(), RegistryError> {
        let mut proof = self.proof();
        // Another thread may have found out meanwhile.
        if proof.authorization != said {
            return Ok(());
        }
        let login = match &proof.login {
            Some(login) => login.clone(),
            None => {
                let (login, helper) = match self.credentials.login(&self.endpoint) {
                    Ok(login) => (login, None),
                    Err(error) => (None, Some(Arc::new(error))),
                };
                (proof.login, proof.helper) = (Some(login.clone()), helper);
                login
            }
        };
        let headers = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
        let challenge = headers.filter_map(|header| header.to_str().ok()).find_map(Challenge::parse);
        proof.authorization = match challenge {
            Some(Challenge::Bearer { realm, service }) => {
                match self.token(&realm, service.as_deref(), login.as_ref()) {
                    Ok(token) => Some(format!("Bearer {token}")),
                    Err(RegistryError::Status { status: 401 | 403, .. }) => return Err(self.denied(&proof, what)),
                    Err(error) => return Err(error),
                }
            }
            Some(Challenge::Basic) => match &login {
                Some(Login::Password { name, password }) => Some(basic(name, password)),
                _ => None,
            },
            None => {
                let (host, status) = (self.endpoint.host.clone(), response.status().as_u16());
                return Err(RegistryError::Status { host, what: what.to_owned(), status });
            }
        };
        Ok(())
    }

    fn token(&self, realm: &str, service: Option<&str>, login: Option<&Login>) -> Result<String, RegistryError> {
        if !(realm.starts_with("https://") || self.endpoint.is_plain && is_here(realm)) {
            return Err(RegistryError::Realm { host: self.endpoint.host.clone(), realm: realm.to_owned() });
        }
        // What we want, and not what somebody would like to have a token for.
        let scope = format!("repository:{}:pull", self.endpoint.repository);
        let what = || "a token".to_owned();
        let none = || RegistryError::Token(realm.to_owned());
        for tries in 1.. {
            let may_ask_again = tries < self.patience.tries;
            let answer = match self.ask_for_token(realm, service, login, &scope) {
                Err(error) if may_ask_again && is_transient(&error) => {
                    self.wait(tries, None);
                    continue;
                }
                answer => answer.map_err(|source| RegistryError::Ask {
                    host: realm.to_owned(),
                    what: what(),
                    source: Box::new(source),
                })?,
            };
            let status = answer.status();
            if is_busy(status) && may_ask_again {
                self.wait(tries, retry_after(answer.headers(), SystemTime::now()));
                continue;
            }
            if status != StatusCode::OK {
                return Err(RegistryError::Status { host: realm.to_owned(), what: what(), status: status.as_u16() });
            }
            match read_bounded(self.steady(answer), "token", 1 << 20) {
                // It broke off.
                Err(SourceError::File { .. }) if may_ask_again => self.wait(tries, None),
                text => return Token::read(&text.map_err(|_| none())?).ok_or_else(none),
            }
        }
        Err(none())
    }

    fn ask_for_token(
        &self,
        realm: &str,
        service: Option<&str>,
        login: Option<&Login>,
        scope: &str,
    ) -> Result<Response<Body>, ureq::Error> {
        if let Some(Login::Refresh(token)) = login {
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
                ("client_id", "firebox"),
                ("service", service.unwrap_or_default()),
                ("scope", scope),
            ];
            return self.agent.post(realm).send_form(form);
        }
        let mut request = self.agent.get(realm).query("scope", scope);
        if let Some(service) = service {
            request = request.query("service", service);
        }
        if let Some(Login::Password { name, password }) = login {
            request = request.header(header::AUTHORIZATION, basic(name, password));
        }
        request.call()
    }
}

impl Source for Registry {
    fn root(&self, most: u64) -> Result<Vec<u8>, SourceError> {
        let bytes = self.manifest(&self.reference.version, most)?;
        match &self.reference.version {
            Version::Digest(digest) => {
                let size = bytes.len() as u64;
                crate::source::checked("manifest", &Descriptor { digest: *digest, size }, bytes)
            }
            Version::Tag(_) => Ok(bytes),
        }
    }

    fn document(&self, descriptor: &Descriptor, most: u64) -> Result<Vec<u8>, SourceError> {
        self.manifest(&Version::Digest(descriptor.digest), most)
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        let url = format!("{}/blobs/{}", self.endpoint.base(), descriptor.digest);
        let what = format!("blob `{}`", descriptor.digest);
        let response = self.get(&url, &what, from)?;
        let begins = range_start(&response);
        let mut reader = self.steady(response);
        match (from, begins) {
            (0, None | Some(0)) => {}
            (from, Some(start)) if from == start => {}
            // It knows no ranges, so all of it comes again.
            (from, None) => {
                let skipped = io::copy(&mut (&mut reader).take(from), &mut io::sink());
                skipped.map_err(|source| SourceError::File { path: what.into(), source })?;
            }
            _ => return Err(RegistryError::Range { host: self.endpoint.host.clone(), what }.into()),
        }
        Ok(Box::new(reader))
    }
}

/// To whom one may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To anybody, by TLS alone.
    Tls,
    /// In plain text, to anybody: what comes is believed for another reason.
    Plain,
    /// In plain text, to this very host, and without anybody between.
    Here,
}

/// Who asks.
pub(crate) fn agent(reach: Reach, patience: Patience) -> Agent {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder();
    let config = if reach == Reach::Here { config.proxy(None) } else { config };
    let config = config
        .tls_config(tls)
        // Redirections stay as safe as what redirects.
        .https_only(reach == Reach::Tls)
        .max_redirects(5)
        .http_status_as_error(false)
        .user_agent(concat!("firebox/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .timeout_connect(Some(patience.silence))
        .timeout_recv_response(Some(patience.silence))
        .timeout_per_read(Some(patience.silence))
        .timeout_per_write(Some(patience.silence))
        .input_buffer_size(512 << 10)
        .max_idle_connections_per_host(16)
        .build();
    config.into()
}

/// Where the part begins that is given; `None` when it is the whole.
fn range_start(response: &Response<Body>) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return None;
    }
    let header = response.headers().get(header::CONTENT_RANGE).and_then(|header| header.to_str().ok());
    let start = header.and_then(|header| header.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    // A part of which it is not said which is none that can be used.
    Some(start.unwrap_or(u64::MAX))
}

pub(crate) fn is_busy(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// Whether asking again may help.
pub(crate) fn is_transient(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => error.kind() != io::ErrorKind::ConnectionRefused,
        ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed | ureq::Error::Protocol(_) => true,
        _ => false,
    }
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}")))
}
