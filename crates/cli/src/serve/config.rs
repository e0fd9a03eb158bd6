//! What an operator said, put together: flags, environment, file, and defaults for the rest.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use firebox_engine::PoolPolicy;
use firebox_job::{ByteSize, Policy};
use firebox_server::{JobSettings, PageOrigin, Settings, SpanEndpoint, Trust, WebhookSettings};

use crate::args::{LogLevel, ServeArgs, ServeWords};
use crate::failure::Failure;
use crate::state;

const PORT: u16 = 8080;
/// For escapes: a body may be so many times what it holds when they are taken out.
const ESCAPED: u64 = 4;
/// How many of the largest bodies may be on their way at once.
const LARGE_BODIES: u64 = 8;

/// Everything that is decided.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) listen: SocketAddr,
    /// Whether somebody said where.
    pub(super) listen_is_asked_for: bool,
    pub(super) allow_fence: bool,
    pub(super) microvms: bool,
    pub(super) languages: Option<Vec<String>>,
    pub(super) pools: PoolPolicy,
    pub(super) keep: ByteSize,
    /// Where to keep what outlives the service; none for not at all.
    pub(super) state: Option<PathBuf>,
    pub(super) tls: Option<TlsFiles>,
    pub(super) log_level: LogLevel,
    /// Whether somebody said how many there are to be.
    pub(super) connections_are_asked_for: bool,
    pub(super) settings: Settings,
}

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsFiles {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

fn half_of_tls(given: &str, missing: &str) -> Failure {
    Failure::request(anyhow!("there is `{given}` and no `{missing}`"))
        .with_help("TLS takes both, and plain HTTP neither")
}

/// Puts together what was typed, what is in the environment (both are in `args`), and what a file says.
pub(super) fn read(args: ServeArgs, policy: &Policy) -> Result<Config, Failure> {
    let ServeArgs { config, words } = args;
    let written = config.as_deref().map(read_file).transpose()?.unwrap_or_default();
    of(words.or(written), policy)
}

/// The settings that a file has.
pub(crate) fn read_file(path: &Path) -> Result<ServeWords, Failure> {
    let name = || format!("cannot use the settings in `{}`", path.display());
    let text = fs::read_to_string(path).with_context(name).map_err(Failure::request)?;
    // Its message has several lines: the place, the line, and what is wrong with it.
    toml::from_str(&text).with_context(name).map_err(Failure::request)
}

impl Config {
    /// Refuses an address that others can reach where nobody has to show a key, unless that is meant.
    pub(super) fn check_address(&self, are_keys_demanded: bool) -> Result<(), Failure> {
        let Config { listen, .. } = *self;
        if self.settings.allow_anonymous || are_keys_demanded || Settings::is_private(listen) {
            return Ok(());
        }
        Err(Failure::request(anyhow!(
            "{listen} can be reached from elsewhere, there are no keys, and anybody there could run jobs"
        ))
        .with_help(
            "create a key with `firebox keys create`, listen on 127.0.0.1, or say `--allow-anonymous` if that is what you \
             want",
        ))
    }
}

/// With defaults for what was not said.
pub(super) fn of(words: ServeWords, policy: &Policy) -> Result<Config, Failure> {
    // Exhaustive: a new word must be decided here.
    let ServeWords {
        listen,
        allow_anonymous,
        allow_fence,
        microvms,
        languages,
        running,
        queue,
        queue_time,
        grace,
        warm,
        warm_memory,
        warm_time,
        keep,
        request_time,
        connections,
        state,
        tls_certificate,
        tls_key,
        cors_origins,
        otlp_endpoint,
        log_level,
        jobs_queue,
        jobs_queue_size,
        jobs_keep_time,
        jobs_keep_size,
        webhook_secret,
        webhook_allow_private,
        webhook_roots,
    } = words;
    let otlp_endpoint = otlp_endpoint.map(|text| text.parse::<SpanEndpoint>().map_err(Failure::request)).transpose()?;
    let tls = match (tls_certificate, tls_key) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) => return Err(half_of_tls("tls_certificate", "tls_key")),
        (None, Some(_)) => return Err(half_of_tls("tls_key", "tls_certificate")),
    };
    let cors_origins = cors_origins.unwrap_or_default().into_iter().map(|text| {
        let wrong = || format!("`{text}` in `cors_origins` is no origin of web pages");
        text.parse::<PageOrigin>().with_context(wrong).map_err(Failure::request)
    });
    let cors_origins = cors_origins.collect::<Result<Vec<_>, _>>()?;
    let allow_anonymous = allow_anonymous.unwrap_or(false);
    let cpus = policy.ceiling.vcpus.get() as usize;
    let input = policy.ceiling.input.as_u64().min(policy.default.input.as_u64());
    let body = ByteSize::bytes(input * ESCAPED);
    let at_least_one = |name: &str, given: Option<usize>, default: usize| match given {
        Some(0) => Err(Failure::request(anyhow!("`{name}` is zero; give it a value, or leave it out for the default"))),
        Some(given) => Ok(given),
        None => Ok(default),
    };
    Ok(Config {
        listen: listen.unwrap_or((Ipv4Addr::LOCALHOST, PORT).into()),
        listen_is_asked_for: listen.is_some(),
        allow_fence: allow_fence.unwrap_or(false),
        microvms: microvms.unwrap_or(false),
        languages,
        pools: PoolPolicy {
            each: warm.unwrap_or(2 * cpus),
            memory: warm_memory.unwrap_or(ByteSize::bytes(policy.ceiling.memory.as_u64() / 8)),
            idle: warm_time.unwrap_or(Duration::from_secs(600)),
        },
        keep: keep.unwrap_or(ByteSize::mib(256)),
        state: state::place(state)?,
        tls,
        log_level: log_level.unwrap_or(LogLevel::Info),
        connections_are_asked_for: connections.is_some(),
        settings: Settings {
            allow_anonymous,
            cors_origins,
            otlp_endpoint,
            running: at_least_one("running", running, 2 * cpus)?,
            waiting: queue.unwrap_or(1000),
            patience: queue_time.unwrap_or(Duration::from_secs(30)),
            grace: grace.unwrap_or(Duration::from_secs(30)),
            connections: at_least_one("connections", connections, 1024)?,
            request_within: request_time.unwrap_or(Duration::from_secs(30)),
            body,
            bodies: ByteSize::bytes(body.as_u64() * LARGE_BODIES),
            jobs: JobSettings {
                waiting: at_least_one("jobs_queue", jobs_queue, 100_000)?,
                waiting_bytes: jobs_queue_size.unwrap_or(ByteSize::gib(1)),
                kept_for: jobs_keep_time.unwrap_or(Duration::from_secs(7 * 24 * 3600)),
                kept_bytes: jobs_keep_size.unwrap_or(ByteSize::gib(1)),
            },
            webhooks: WebhookSettings {
                secret: webhook_secret.filter(|secret| !secret.is_empty()),
                allow_private: webhook_allow_private.unwrap_or(false),
                trust: trust(webhook_roots.as_deref())?,
            },
        },
    })
}

/// Read with the caller's rights, as the file with settings is.
fn trust(roots: Option<&Path>) -> Result<Trust, Failure> {
    roots.map_or_else(|| Ok(Trust::of_browsers()), Trust::with).map_err(Failure::request)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn config(words: ServeWords) -> Result<Config, String> {
        let policy = Policy::for_host(NonZeroU32::MIN, ByteSize::gib(1));
        of(words, &policy).map_err(|failure| failure.message().unwrap_or_default())
    }

    fn file(text: &str) -> Result<ServeWords, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("firebox.toml");
        fs::write(&path, text).unwrap();
        read_file(&path).map_err(|failure| failure.message().unwrap_or_default())
    }

    #[test]
    fn without_a_word_it_serves_this_host_alone() {
        let config = config(ServeWords::default()).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert!(!config.settings.allow_anonymous && !config.allow_fence);
    }

    #[test]
    fn an_address_that_others_can_reach_has_to_be_meant() {
        for listen in ["0.0.0.0:80", "[::]:80", "10.1.2.3:80"] {
            let listen = Some(listen.parse().unwrap());
            let check = |words, are_keys_demanded| config(words).unwrap().check_address(are_keys_demanded);
            let words = || ServeWords { listen, ..ServeWords::default() };
            let error = check(words(), false).unwrap_err().message().unwrap();
            assert!(error.contains("--allow-anonymous") && error.contains("firebox keys create"), "{error}");
            assert!(check(ServeWords { allow_anonymous: Some(true), ..words() }, false).is_ok());
            assert!(check(words(), true).is_ok());
        }
        for listen in ["127.0.0.2:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            let config = config(ServeWords { listen: Some(listen.parse().unwrap()), ..ServeWords::default() });
            assert!(config.unwrap().check_address(false).is_ok(), "{listen}");
        }
    }

    #[test]
    fn a_file_has_the_same_words_and_no_others() {
        let words =
            file("listen = \"[::1]:1\"\nqueue_time = \"500ms\"\ngrace = 2\nkeep = \"1G\"\nlanguages = [\"rust\"]")
                .unwrap();
        assert_eq!(words.listen, Some("[::1]:1".parse().unwrap()));
        assert_eq!((words.queue_time, words.grace), (Some(Duration::from_millis(500)), Some(Duration::from_secs(2))));
        assert_eq!((words.keep, words.languages), (Some(ByteSize::gib(1)), Some(vec!["rust".to_owned()])));
        for (text, word) in [
            ("listne = 1", "unknown field `listne`"),
            ("queue = \"many\"", "queue"),
            ("grace = \"soon\"", "`soon` is not a time"),
            ("allow_fence = 1", "allow_fence"),
            ("x", "firebox.toml"),
        ] {
            let error = file(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error} does not say {word}");
        }
    }

    #[test]
    fn what_is_typed_counts_before_what_is_written() {
        let typed = ServeWords { queue: Some(1), ..ServeWords::default() };
        let written = ServeWords { queue: Some(2), running: Some(3), ..ServeWords::default() };
        let both = typed.or(written);
        assert_eq!((both.queue, both.running), (Some(1), Some(3)));
    }

    #[test]
    fn a_certificate_takes_a_key_and_a_key_a_certificate() {
        let (file, none) = (Some(PathBuf::from("a.pem")), None);
        for (tls_certificate, tls_key, missing) in
            [(file.clone(), none.clone(), "no `tls_key`"), (none, file.clone(), "no `tls_certificate`")]
        {
            let error = config(ServeWords { tls_certificate, tls_key, ..ServeWords::default() }).unwrap_err();
            assert!(error.contains(missing), "{error}");
        }
        let both = ServeWords { tls_certificate: file.clone(), tls_key: file, ..ServeWords::default() };
        assert!(config(both).unwrap().tls.is_some());
    }

    #[test]
    fn an_origin_that_none_is_is_named() {
        let of = |origin: &str| ServeWords { cors_origins: Some(vec![origin.to_owned()]), ..ServeWords::default() };
        for origin in ["*", "app.example", "https://app.example/"] {
            let error = config(of(origin)).unwrap_err();
            assert!(error.contains(&format!("`{origin}`")) && error.contains("https://app.example"), "{error}");
        }
        assert_eq!(config(of("https://app.example")).unwrap().settings.cors_origins.len(), 1);
    }

    #[test]
    fn no_place_at_all_is_refused() {
        let error = config(ServeWords { running: Some(0), ..ServeWords::default() }).unwrap_err();
        assert!(error.contains("`running` is zero"), "{error}");
        assert!(config(ServeWords { queue: Some(0), ..ServeWords::default() }).is_ok());
    }
}
