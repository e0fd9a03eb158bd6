//! HTTP with whoever keeps buckets: what asks for us, and bounds what comes back.
//!
//! Each question is one call of a blocking client, on a thread that may block: asked again a few times where that may help,
//! and answered with all of its body in memory. That is never much: pieces of what is stored, pages of lists, and words of
//! error. Whoever says more than was asked for, or takes longer than our patience has it, is not listened to any longer.
//! No redirection is followed: what we say is signed for one host.

use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpService};
use object_store::client::{HttpRequest, HttpResponse};
use object_store::{ClientConfigKey, ClientOptions};
use serde::Deserialize;
use ureq::http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header, request::Parts};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::bounds::Bounds;
use crate::registry::{Patience, is_here, retry_after};

/// The longest text of an error that is looked at.
const WORDS: u64 = 64 << 10;

/// The longest page of a list. Azure's have 5,000 names, of which each comes with a kilobyte of what else is known of it.
const PAGE: u64 = 16 << 20;

/// Makes lines to those who keep buckets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wire {
    pub(super) patience: Patience,
    /// Whether they may be spoken to without TLS.
    pub(super) is_plain: bool,
    /// The variable that says so.
    pub(super) plain_by: &'static str,
}

impl HttpConnector for Wire {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let connect = options.get_config_value(&ClientConfigKey::ConnectTimeout);
        let is_plain = options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|word| is_yes(&word));
        // What a machine asks for who it is, is near or nowhere: it is given a second, and speaks without TLS.
        let is_metadata = is_plain && connect.as_deref() == Some("1s");
        let connect = if is_metadata { Duration::from_secs(1) } else { self.patience.silence };
        let agent = |is_direct: bool| -> Agent {
            let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
            let config = Agent::config_builder();
            let config = if is_direct { config.proxy(None) } else { config };
            let config = config
                .tls_config(tls)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .http_status_as_error(false)
                .user_agent(concat!("firebox/", env!("CARGO_PKG_VERSION")))
                .accept_encoding("identity")
                .timeout_connect(Some(connect))
                .timeout_recv_response(Some(self.patience.silence))
                .timeout_per_read(Some(self.patience.silence))
                .timeout_per_write(Some(self.patience.silence))
                .input_buffer_size(512 << 10)
                .max_idle_connections_per_host(16);
            config.build().into()
        };
        let line = Line { usual: agent(false), direct: agent(true), is_metadata, wire: *self };
        Ok(HttpClient::new(Lines(Arc::new(line))))
    }
}

#[derive(Debug, Clone)]
struct Lines(Arc<Line>);

#[derive(Debug)]
struct Line {
    usual: Agent,
    /// For what is near: nobody stands between, who might be taken for us.
    direct: Agent,
    /// Whether it is there to ask who we are.
    is_metadata: bool,
    wire: Wire,
}

/// Where a cloud tells who asks who they are: a machine, a container, a pod; the last two by either protocol. Nobody speaks TLS there.
const TELLERS: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

fn is_a_teller(uri: &Uri) -> bool {
    let address = uri.host().and_then(|host| host.trim_matches(['[', ']']).parse().ok());
    address.is_some_and(|address| TELLERS.contains(&address))
}

/// Whether a setting is switched on. What is no yes is a no.
pub(super) fn is_yes(word: &str) -> bool {
    ["true", "1", "yes", "y", "on"].iter().any(|yes| word.eq_ignore_ascii_case(yes))
}

/// An answer that is none of those that were hoped for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it begins with.
    pub status: u16,
    /// What whoever keeps the bucket calls it, such as `NoSuchBucket`.
    pub code: Option<String>,
    /// What else it says.
    pub message: Option<String>,
    /// How often it was asked.
    pub tries: u32,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { status, code, message, tries } = self;
        write!(f, "the answer is {status}")?;
        code.as_ref().map_or(Ok(()), |code| write!(f, " {code}"))?;
        message.as_ref().map_or(Ok(()), |message| write!(f, " ({message})"))?;
        if 1 < *tries { write!(f, ", and was so {tries} times") } else { Ok(()) }
    }
}

impl std::error::Error for Refusal {}

/// A question that came to no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Broken {
    #[error("`{host}` is not spoken to without TLS: give its address as `https://`, or set {plain_by}=true")]
    Plain { host: String, plain_by: &'static str },
    #[error("`{host}` does not answer: {what}{}", if *.tries == 1 { String::new() } else { format!(", {} times", .tries) })]
    Failed { host: String, what: String, tries: u32 },
    #[error("it says more than the {0} bytes that it was asked for")]
    TooLong(u64),
    #[error("it gives another piece than it was asked for")]
    Range,
}

#[async_trait]
impl HttpService for Lines {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let line = self.0.clone();
        let asked = tokio::task::spawn_blocking(move || line.ask(&parts, &body)).await;
        asked.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?
    }
}

/// What one attempt came to.
enum Attempt {
    Answered(HttpResponse),
    /// It cannot now: what it said, and how long it wants to be left alone.
    Busy(Refusal, Option<Duration>),
    Refused(Refusal),
    Failed {
        error: ureq::Error,
        may_pass: bool,
    },
}

impl Line {
    fn ask(&self, parts: &Parts, body: &Bytes) -> Result<HttpResponse, HttpError> {
        let uri = parts.uri.to_string();
        let is_near = self.is_metadata || is_here(&uri) || is_a_teller(&parts.uri);
        if parts.uri.scheme_str() != Some("https") && !is_near && !self.wire.is_plain {
            let host = parts.uri.authority().map(ToString::to_string).unwrap_or_default();
            return Err(unknown(Broken::Plain { host, plain_by: self.wire.plain_by }));
        }
        let agent = if is_near { &self.direct } else { &self.usual };
        let mut tries = 0;
        loop {
            tries += 1;
            let (error, pause) = match self.once(agent, parts, body)? {
                Attempt::Answered(response) => return Ok(response),
                Attempt::Refused(refusal) => return Err(unknown(Refusal { tries, ..refusal })),
                Attempt::Busy(refusal, pause) => (unknown(Refusal { tries, ..refusal }), pause),
                Attempt::Failed { error, may_pass } => {
                    let host = parts.uri.authority().map(ToString::to_string).unwrap_or_default();
                    let error = unknown(Broken::Failed { host, what: error.to_string(), tries });
                    if !may_pass {
                        return Err(error);
                    }
                    (error, None)
                }
            };
            if self.wire.patience.tries <= tries {
                return Err(error);
            }
            // Twice as long each time, or as long as was asked for, but not longer than we have patience for.
            let own = Duration::from_millis(100) * 2u32.saturating_pow(tries);
            std::thread::sleep(pause.unwrap_or(own).min(self.wire.patience.pause));
        }
    }

    fn once(&self, agent: &Agent, parts: &Parts, body: &Bytes) -> Result<Attempt, HttpError> {
        let most = most_of_answer(parts);
        let travels = body.len() as u64 + most;
        let Patience { silence, rate, .. } = self.wire.patience;
        let within = silence + Duration::from_secs(travels.div_ceil(rate.max(1)));
        let answer = if body.is_empty() && parts.method != Method::PUT && parts.method != Method::POST {
            let request = agent.configure_request(Request::from_parts(parts.clone(), ()));
            agent.run(request.timeout_global(Some(within)).build())
        } else {
            let request = agent.configure_request(Request::from_parts(parts.clone(), &body[..]));
            agent.run(request.timeout_global(Some(within)).build())
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Ok(Attempt::Failed { may_pass: may_pass(&error), error }),
        };
        let status = answer.status();
        if status.is_success() {
            return if is_asked_for(parts, answer.headers()) {
                whole(answer, most)
            } else {
                Err(unknown(Broken::Range))
            };
        }
        let pause = retry_after(answer.headers(), SystemTime::now());
        let refusal = refusal(answer);
        let is_busy =
            status.is_server_error() || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
        Ok(if is_busy { Attempt::Busy(refusal, pause) } else { Attempt::Refused(refusal) })
    }
}

/// The first and the last byte that are asked for, where it is a piece.
fn piece(parts: &Parts) -> Option<(u64, u64)> {
    let range = parts.headers.get(header::RANGE)?.to_str().ok()?;
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

/// How much of an answer there may be: the piece that was asked for, or what a list or a document may have.
fn most_of_answer(parts: &Parts) -> u64 {
    if parts.uri.query().is_some_and(|query| query.split('&').any(|word| word == "comp=list")) {
        return PAGE;
    }
    let length = piece(parts).and_then(|(from, to)| to.checked_sub(from)?.checked_add(1));
    length.unwrap_or(Bounds::default().document)
}

/// Whether the piece that an answer says it is lies where one was asked for. What comes after us counts with these numbers.
fn is_asked_for(parts: &Parts, headers: &HeaderMap) -> bool {
    let Some(said) = headers.get(header::CONTENT_RANGE) else { return true };
    let said = said.to_str().ok().and_then(|said| {
        let (range, _) = said.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (from, to) = range.split_once('-')?;
        Some((from.parse::<u64>().ok()?, to.parse::<u64>().ok()?))
    });
    match (piece(parts), said) {
        (Some((from, to)), Some(said)) => said.0 == from && (from..=to).contains(&said.1),
        _ => false,
    }
}

fn whole(answer: Response<Body>, most: u64) -> Result<Attempt, HttpError> {
    let (parts, body) = answer.into_parts();
    // Room for what is said to come, as far as it may: growing on the way would copy it again and again.
    let said = body.content_length().unwrap_or(0).min(most);
    let mut bytes = Vec::with_capacity(said as usize);
    match body.into_reader().take(most + 1).read_to_end(&mut bytes) {
        Ok(_) if most < bytes.len() as u64 => Err(unknown(Broken::TooLong(most))),
        Ok(_) => Ok(Attempt::Answered(Response::from_parts(parts, bytes.into()))),
        Err(error) => Ok(Attempt::Failed { error: ureq::Error::Io(error), may_pass: true }),
    }
}

fn refusal(answer: Response<Body>) -> Refusal {
    let status = answer.status().as_u16();
    // What Azure says also where there is no body to say it in.
    let code = answer.headers().get("x-ms-error-code").and_then(|code| Some(code.to_str().ok()?.to_owned()));
    let mut bytes = Vec::new();
    // What was said until it broke off is all that is known.
    let _ = answer.into_body().into_reader().take(WORDS).read_to_end(&mut bytes);
    let (said, message) = words(&String::from_utf8_lossy(&bytes));
    // In lines there is what was asked, and when, which nobody here needs to be told.
    let short = |text: String| text.lines().next().map(|line| line.chars().take(200).collect::<String>());
    let [code, message] = [said.or(code), message].map(|text| text.and_then(short).filter(|text| !text.is_empty()));
    Refusal { status, code, message, tries: 1 }
}

/// The name of an error and its description: in XML from those who keep objects, in JSON from those who know who we are.
fn words(text: &str) -> (Option<String>, Option<String>) {
    #[derive(Deserialize)]
    struct Words {
        error: String,
        error_description: Option<String>,
    }
    if let Ok(Words { error, error_description }) = serde_json::from_str(text) {
        return (Some(error), error_description);
    }
    let between = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        let (said, _) = rest.split_once(&format!("</{tag}>"))?;
        Some(said.to_owned())
    };
    (between("Code"), between("Message"))
}

/// Whether asking again may help.
fn may_pass(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => error.kind() != io::ErrorKind::ConnectionRefused,
        ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed | ureq::Error::Protocol(_) => true,
        _ => false,
    }
}

/// It was tried as often as it should be, so nobody is to try it again.
fn unknown(error: impl std::error::Error + Send + Sync + 'static) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn most(range: Option<&str>) -> u64 {
        let request = Request::get("http://x/");
        let request = range.into_iter().fold(request, |request, range| request.header(header::RANGE, range));
        most_of_answer(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn an_answer_is_as_long_as_what_was_asked_for() {
        let document = Bounds::default().document;
        assert_eq!(most(Some("bytes=10-19")), 10);
        let all = format!("bytes=0-{}", u64::MAX);
        let page = Request::get("http://x/?restype=container&comp=list").body(()).unwrap().into_parts().0;
        assert_eq!(most_of_answer(&page), PAGE);
        for odd in [None, Some("bytes=10-"), Some("bytes=-5"), Some("bytes=9-3"), Some("lines=1-2"), Some(&all)] {
            assert_eq!(most(odd), document, "{odd:?}");
        }
    }

    #[test]
    fn who_tells_who_one_is_has_one_of_few_addresses_and_no_name() {
        let tells = |text: &str| is_a_teller(&text.parse().unwrap());
        for near in ["http://169.254.170.2/v2/x", "http://169.254.169.254:80", "http://[fd00:ec2::23]/v1/credentials"] {
            assert!(tells(near), "{near}");
        }
        for far in [
            "http://169.254.170.2.example/",
            "http://169.254.170.2@far.example/",
            "http://10.0.0.1/",
            "http://169.254.170.3/",
            "http://[fd00:ec2::24]/",
            "http://[fd00:ec3::23]/",
            "http://[::ffff:169.254.170.2]/",
            "/169.254.170.2",
        ] {
            assert!(!tells(far), "{far}");
        }
    }

    #[test]
    fn what_is_said_of_an_error_is_found_in_each_language() {
        let said = |text: &str| words(text);
        let some = |code: &str, message: &str| (Some(code.to_owned()), Some(message.to_owned()));
        assert_eq!(said("<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"), some("NoSuchKey", "none"));
        let json = r#"{"error": "invalid_grant", "error_description": "bad JWT", "error_uri": "x"}"#;
        assert_eq!(said(json), some("invalid_grant", "bad JWT"));
        for odd in ["", "nonsense", "{", r#"{"error": {"code": 403}}"#, "<Code>"] {
            assert_eq!(said(odd), (None, None), "{odd}");
        }
    }

    #[test]
    fn a_refusal_says_what_was_said_and_how_often() {
        let refusal = Refusal { status: 503, code: Some("SlowDown".into()), message: Some("Reduce".into()), tries: 5 };
        assert_eq!(refusal.to_string(), "the answer is 503 SlowDown (Reduce), and was so 5 times");
        let bare = Refusal { status: 418, code: None, message: None, tries: 1 };
        assert_eq!(bare.to_string(), "the answer is 418");
    }
}
