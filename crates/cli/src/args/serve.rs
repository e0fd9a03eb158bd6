//! `firebox serve`, as typed, as set in the environment, and as written in a file: the same words in all three.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use firebox_job::ByteSize;
use serde::{Deserialize, Deserializer};

use crate::duration::parse_duration;

const EXAMPLES: &str = "\
Examples:
  firebox serve
  firebox serve --listen 127.0.0.1:9000 --running 8
  FIREBOX_LISTEN=[::1]:8080 firebox serve --config firebox.toml

  curl localhost:8080/v1/execute -H 'content-type: application/json' \\
    -d '{\"lang\": \"rust\", \"code\": \"fn main() { println!(\\\"hi\\\"); }\"}'";

/// Serves jobs over HTTP.
///
/// Every setting can be a flag, a variable of the environment, or a line of a TOML file (`--config`; there, names have
/// underscores: `queue_time = \"10s\"`). A flag counts before a variable, a variable before the file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// A file with settings.
    #[arg(long, value_name = "FILE", env = "FIREBOX_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) words: ServeWords,
}

/// What can be said in all three ways; what is left out has its default.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServeWords {
    /// Where to listen [default: 127.0.0.1:8080, or the socket that systemd hands over].
    #[arg(long, value_name = "ADDRESS", env = "FIREBOX_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// Run jobs for anybody who can reach the address, from wherever. Without it, and without keys (see `firebox keys`),
    /// only programs on this host are served. It does nothing where there are keys.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", env = "FIREBOX_ALLOW_ANONYMOUS")]
    pub(crate) allow_anonymous: Option<bool>,
    /// Use fences where this host makes no jails. They are weaker, so they are not used unless this is said.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", env = "FIREBOX_ALLOW_FENCE")]
    pub(crate) allow_fence: Option<bool>,
    /// Run jobs in microVMs, each of which goes on from a snapshot of its language: languages without one are not served. No job gets more than the
    /// snapshots promise.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", env = "FIREBOX_MICROVMS")]
    pub(crate) microvms: Option<bool>,
    /// The languages to serve, by name or alias, with commas between [default: all that are installed].
    #[arg(long, value_name = "LANGUAGES", value_delimiter = ',', env = "FIREBOX_LANGUAGES")]
    pub(crate) languages: Option<Vec<String>>,
    /// Jobs that run at once [default: twice as many as there are CPUs].
    #[arg(long, value_name = "NUMBER", env = "FIREBOX_RUNNING")]
    pub(crate) running: Option<usize>,
    /// Jobs that may wait for a place; more are told that it is full. Where there are keys, none of them takes more of it
    /// than is left to others [default: 1000].
    #[arg(long, value_name = "NUMBER", env = "FIREBOX_QUEUE")]
    pub(crate) queue: Option<usize>,
    /// How long a job may wait for a place [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = parse_duration, env = "FIREBOX_QUEUE_TIME")]
    #[serde(deserialize_with = "time")]
    pub(crate) queue_time: Option<Duration>,
    /// How long jobs may go on after SIGTERM; a second one ends them [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = parse_duration, env = "FIREBOX_GRACE")]
    #[serde(deserialize_with = "time")]
    pub(crate) grace: Option<Duration>,
    /// Cells that wait for jobs in each language, when there is room for them [default: twice as many as there are CPUs].
    #[arg(long, value_name = "NUMBER", env = "FIREBOX_WARM")]
    pub(crate) warm: Option<usize>,
    /// What all cells that wait may have in memory together [default: an eighth of this host's].
    #[arg(long, value_name = "SIZE", env = "FIREBOX_WARM_MEMORY")]
    #[serde(deserialize_with = "size")]
    pub(crate) warm_memory: Option<ByteSize>,
    /// How long after its last job a language has cells waiting [default: 10m].
    #[arg(long, value_name = "TIME", value_parser = parse_duration, env = "FIREBOX_WARM_TIME")]
    #[serde(deserialize_with = "time")]
    pub(crate) warm_time: Option<Duration>,
    /// How much of what compilers made is kept for jobs with the same code [default: 256M].
    #[arg(long, value_name = "SIZE", env = "FIREBOX_KEEP")]
    #[serde(deserialize_with = "size")]
    pub(crate) keep: Option<ByteSize>,
    /// How long a client may take for the head of a request, as long for its body and for each piece of its answer, and a
    /// connection stay unused [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = parse_duration, env = "FIREBOX_REQUEST_TIME")]
    #[serde(deserialize_with = "time")]
    pub(crate) request_time: Option<Duration>,
    /// Connections that may be open at once [default: 1024, or as many as this process may have descriptors for].
    #[arg(long, value_name = "NUMBER", env = "FIREBOX_CONNECTIONS")]
    pub(crate) connections: Option<usize>,
    /// The directory for what outlives the service, of one service alone; `none` to do without, and without jobs that
    /// outlive their connection [default: /var/lib/firebox for root, else $XDG_STATE_HOME/firebox or
    /// ~/.local/state/firebox].
    #[arg(long, value_name = "DIRECTORY", env = "FIREBOX_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// The certificate of this server, in PEM, with those that lead from it to one that clients know: speaks TLS. SIGHUP has
    /// both files read again.
    #[arg(long, value_name = "FILE", env = "FIREBOX_TLS_CERTIFICATE")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[arg(long, value_name = "FILE", env = "FIREBOX_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Web pages that may have jobs run, by origin, as in `https://app.example`, with commas between [default: none].
    #[arg(long, value_name = "ORIGINS", value_delimiter = ',', env = "FIREBOX_CORS_ORIGINS")]
    pub(crate) cors_origins: Option<Vec<String>>,
    /// Where spans of jobs are sent (OpenTelemetry, OTLP over HTTP), as in `http://127.0.0.1:4318` [default: nowhere].
    #[arg(long, value_name = "URL", env = "FIREBOX_OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,
    /// How much is logged: error, warn, info or debug [default: info].
    #[arg(long, value_name = "LEVEL", env = "FIREBOX_LOG_LEVEL")]
    pub(crate) log_level: Option<LogLevel>,
    /// Jobs that outlive their connection, and may wait on disk [default: 100000].
    #[arg(long, value_name = "NUMBER", env = "FIREBOX_JOBS_QUEUE")]
    pub(crate) jobs_queue: Option<usize>,
    /// What all of these may hold together [default: 1G].
    #[arg(long, value_name = "SIZE", env = "FIREBOX_JOBS_QUEUE_SIZE")]
    #[serde(deserialize_with = "size")]
    pub(crate) jobs_queue_size: Option<ByteSize>,
    /// How long they are kept when they have ended [default: 168h].
    #[arg(long, value_name = "TIME", value_parser = parse_duration, env = "FIREBOX_JOBS_KEEP_TIME")]
    #[serde(deserialize_with = "time")]
    pub(crate) jobs_keep_time: Option<Duration>,
    /// What all that have ended may hold together; the oldest of whoever holds most go first [default: 1G].
    #[arg(long, value_name = "SIZE", env = "FIREBOX_JOBS_KEEP_SIZE")]
    #[serde(deserialize_with = "size")]
    pub(crate) jobs_keep_size: Option<ByteSize>,
    /// What webhooks are signed with when their client names no secret. A flag can be seen by everybody on this host;
    /// the environment and the file cannot.
    #[arg(long, value_name = "SECRET", env = "FIREBOX_WEBHOOK_SECRET", hide_env_values = true)]
    pub(crate) webhook_secret: Option<String>,
    /// Let webhooks go to addresses that only this host or its network can reach, and unencrypted.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", env = "FIREBOX_WEBHOOK_ALLOW_PRIVATE")]
    pub(crate) webhook_allow_private: Option<bool>,
    /// Certificates, in PEM, of whom webhooks trust beside those whom browsers do: such as your own network's.
    #[arg(long, value_name = "FILE", env = "FIREBOX_WEBHOOK_ROOTS")]
    pub(crate) webhook_roots: Option<PathBuf>,
}

/// How much is logged: this, and what is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

impl ServeWords {
    /// What is said here, and for the rest what is said there.
    pub(crate) fn or(self, there: ServeWords) -> ServeWords {
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
        } = self;
        ServeWords {
            listen: listen.or(there.listen),
            allow_anonymous: allow_anonymous.or(there.allow_anonymous),
            allow_fence: allow_fence.or(there.allow_fence),
            microvms: microvms.or(there.microvms),
            languages: languages.or(there.languages),
            running: running.or(there.running),
            queue: queue.or(there.queue),
            queue_time: queue_time.or(there.queue_time),
            grace: grace.or(there.grace),
            warm: warm.or(there.warm),
            warm_memory: warm_memory.or(there.warm_memory),
            warm_time: warm_time.or(there.warm_time),
            keep: keep.or(there.keep),
            request_time: request_time.or(there.request_time),
            connections: connections.or(there.connections),
            state: state.or(there.state),
            tls_certificate: tls_certificate.or(there.tls_certificate),
            tls_key: tls_key.or(there.tls_key),
            cors_origins: cors_origins.or(there.cors_origins),
            otlp_endpoint: otlp_endpoint.or(there.otlp_endpoint),
            log_level: log_level.or(there.log_level),
            jobs_queue: jobs_queue.or(there.jobs_queue),
            jobs_queue_size: jobs_queue_size.or(there.jobs_queue_size),
            jobs_keep_time: jobs_keep_time.or(there.jobs_keep_time),
            jobs_keep_size: jobs_keep_size.or(there.jobs_keep_size),
            webhook_secret: webhook_secret.or(there.webhook_secret),
            webhook_allow_private: webhook_allow_private.or(there.webhook_allow_private),
            webhook_roots: webhook_roots.or(there.webhook_roots),
        }
    }
}

/// A duration as people write it, or a number of seconds.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Text::deserialize(deserializer)?.0;
    parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
}

/// A size as people write it, or a number of bytes.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ByteSize>, D::Error> {
    let text = Text::deserialize(deserializer)?.0;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// A text, or a number as if it had been written as one.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a text or a number")]
        enum Written {
            Text(String),
            Whole(i64),
            Number(f64),
        }
        Ok(Text(match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            Written::Whole(number) => number.to_string(),
            Written::Number(number) => number.to_string(),
        }))
    }
}
