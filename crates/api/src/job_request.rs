//! What a client asks for that does not wait for it: a request, and whom to tell when it has ended.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::object::Object;
use crate::request::read;
use crate::{MalformedRequest, Request, bounded};

/// How many jobs one request may bring.
pub const MOST_IN_A_BATCH: usize = 1000;

const WEBHOOK: &str = "webhook";

/// A [`Request`] that may have a `webhook`.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRequest {
    /// What to run.
    pub request: Request,
    /// Whom to tell.
    pub webhook: Option<AskedWebhook>,
}

/// Whom to tell when a job has ended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object with a `url`")]
pub struct AskedWebhook {
    /// Where to send it.
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://"))]
    pub url: String,
    /// What to sign it with; the operator's when it is absent.
    #[schemars(length(min = 1, max = 256))]
    pub secret: Option<String>,
}

/// Many jobs in one request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object with `jobs`")]
pub struct BatchRequest {
    /// Each is a [`JobRequest`], and is read by itself, so that each can be told what is wrong with it.
    #[serde(deserialize_with = "bounded::batch")]
    #[schemars(with = "Vec<JobRequest>", length(min = 1, max = MOST_IN_A_BATCH))]
    pub jobs: Vec<Box<RawValue>>,
}

impl JobRequest {
    /// Reads one.
    pub fn from_json(json: &[u8]) -> Result<JobRequest, MalformedRequest> {
        read(json)
    }
}

impl BatchRequest {
    /// Reads the list, and not yet what is in it.
    pub fn from_json(json: &[u8]) -> Result<BatchRequest, MalformedRequest> {
        read(json).map(|Object(batch)| batch)
    }
}

impl<'de> Deserialize<'de> for JobRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<JobRequest, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

impl JsonSchema for JobRequest {
    fn schema_name() -> Cow<'static, str> {
        "JobRequest".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Request::json_schema(generator);
        let webhook = generator.subschema_for::<Option<AskedWebhook>>();
        if let Some(fields) = schema.get_mut("properties").and_then(|fields| fields.as_object_mut()) {
            fields.insert(WEBHOOK.to_owned(), webhook.into());
        }
        schema
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = JobRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<JobRequest, A::Error> {
        let mut rest = WithoutWebhook { map, webhook: None };
        let request = Request::deserialize(MapAccessDeserializer::new(&mut rest))?;
        Ok(JobRequest { request, webhook: rest.webhook.flatten() })
    }
}

/// The fields of a request: one more than it has is taken out on the way, so that there is one list of them and no copy.
struct WithoutWebhook<A> {
    map: A,
    webhook: Option<Option<AskedWebhook>>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for &mut WithoutWebhook<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, mut seed: K) -> Result<Option<K::Value>, A::Error> {
        loop {
            seed = match self.map.next_key_seed(NameOr(seed))? {
                None => return Ok(None),
                Some(Name::Other(field)) => return Ok(Some(field)),
                Some(Name::Webhook(seed)) => seed,
            };
            if self.webhook.is_some() {
                return Err(A::Error::duplicate_field(WEBHOOK));
            }
            self.webhook = Some(self.map.next_value::<Option<Object<AskedWebhook>>>()?.map(|Object(webhook)| webhook));
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// The name of a field: `webhook`, or what the seed makes of it.
struct NameOr<K>(K);

enum Name<K, V> {
    Webhook(K),
    Other(V),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for NameOr<K> {
    type Value = Name<K, K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for NameOr<K> {
    type Value = Name<K, K::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        match name {
            WEBHOOK => Ok(Name::Webhook(self.0)),
            other => self.0.deserialize(other.into_deserializer()).map(Name::Other),
        }
    }
}

/// How it is with a job that nobody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// It waits for its turn.
    Queued,
    /// It runs.
    Running,
    /// It has its outcome, whatever its program did.
    Done,
    /// We failed, or it can no longer be run here: `error` says how.
    Failed,
    /// Its client did not want it any more.
    Cancelled,
}

impl JobStatus {
    /// All of them.
    pub const ALL: [JobStatus; 5] =
        [JobStatus::Queued, JobStatus::Running, JobStatus::Done, JobStatus::Failed, JobStatus::Cancelled];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            JobStatus::Queued => "queued",
            JobStatus::Running => "running",
            JobStatus::Done => "done",
            JobStatus::Failed => "failed",
            JobStatus::Cancelled => "cancelled",
        }
    }

    /// The status that this is the word for.
    pub fn of(word: &str) -> Option<JobStatus> {
        JobStatus::ALL.into_iter().find(|status| status.word() == word)
    }

    /// Whether it stays so.
    pub fn is_end(self) -> bool {
        matches!(self, JobStatus::Done | JobStatus::Failed | JobStatus::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_request_with_one_more_field() {
        let json = br#"{"lang": "c", "webhook": {"url": "https://a.example/"}, "code": "x"}"#;
        let JobRequest { request, webhook } = JobRequest::from_json(json).unwrap();
        assert_eq!((request.lang.as_str(), request.code.as_deref()), ("c", Some("x")));
        assert_eq!(webhook.unwrap().url, "https://a.example/");
        assert_eq!(JobRequest::from_json(br#"{"lang": "c", "webhook": null}"#).unwrap().webhook, None);
        // And not where somebody waits.
        assert!(Request::from_json(json).is_err());
    }

    #[test]
    fn what_is_wrong_with_it_is_told_as_with_a_request() {
        for (json, field, words) in [
            (r#"{"lang": "c", "cod": ""}"#, "cod", "unknown field"),
            (r#"{"lang": "c", "code": 5}"#, "code", "expected a string"),
            (r#"{"lang": "c", "limits": {"memory": 1}}"#, "limits.memory", "unknown field"),
            (r#"{"lang": "c", "webhook": {"url": 1}}"#, "webhook.url", "expected a string"),
            (r#"{"lang": "c", "webhook": {"ur": 1}}"#, "webhook.ur", "unknown field"),
            (r#"{"lang": "c", "webhook": "x"}"#, "webhook", "a JSON object"),
            (r#"{"lang": "c", "webhook": ["https://a.example/", null]}"#, "webhook", "a JSON object"),
            (r#"{"lang": "c", "webhook": null, "webhook": null}"#, "", "duplicate field `webhook`"),
            (r#"{"lang": "c", "lang": "c"}"#, "", "duplicate field `lang`"),
            ("[]", "", "a JSON object"),
            ("{}", "", "missing field `lang`"),
        ] {
            let error = JobRequest::from_json(json.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(words), "{json}: {error}");
            if !field.is_empty() {
                assert_eq!(error.field(), Some(field), "{json}: {error}");
            }
        }
    }

    #[test]
    fn a_batch_of_nothing_or_without_end_is_refused_while_it_is_read() {
        let batch = |count: usize| format!(r#"{{"jobs": [{}]}}"#, vec!["{}"; count].join(","));
        assert_eq!(BatchRequest::from_json(batch(MOST_IN_A_BATCH).as_bytes()).unwrap().jobs.len(), MOST_IN_A_BATCH);
        let error = BatchRequest::from_json(batch(MOST_IN_A_BATCH + 1).as_bytes()).unwrap_err();
        assert!(error.field() == Some("jobs") && error.to_string().contains("more than 1000"), "{error}");
        let error = BatchRequest::from_json(batch(0).as_bytes()).unwrap_err();
        assert!(error.field() == Some("jobs") && error.to_string().contains("at least one"), "{error}");
        assert!(BatchRequest::from_json(br#"{"jobs": [{}], "job": 1}"#).is_err());
        assert!(BatchRequest::from_json(b"[[]]").is_err());
        let deep = format!(r#"{{"jobs": [{}"#, "[".repeat(1_000_000));
        assert!(BatchRequest::from_json(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_status_is_known_by_its_word() {
        for status in JobStatus::ALL {
            assert_eq!(JobStatus::of(status.word()), Some(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.word());
        }
        assert_eq!(JobStatus::of("Queued"), None);
    }
}
