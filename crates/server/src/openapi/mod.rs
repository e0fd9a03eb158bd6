//! What the service says of itself: `GET /openapi.json` for programs, `GET /docs` for people.
//!
//! Both are made of the [`Table`](crate::table::Table) of what is served, once, when somebody first asks. To describe an address
//! is to give its line in that table an [`Operation`]; `execute::operation` is an example of one that has everything. A reason
//! for a refusal that is new gets a sentence and an example in `refusals`.

mod document;
mod operation;
pub(crate) mod outcome;
mod page;
mod refusals;

use std::fmt;
use std::sync::OnceLock;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::routes::House;
use crate::service::Service;
use crate::table::Entry;

pub(crate) use operation::{Answer, Content, Operation};

/// What a page may do that has neither scripts nor pictures, and is part of no other page.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const STYLE: &str = include_str!("page.css");

/// What is served, and what is said of it as soon as somebody has asked.
pub(crate) struct Described {
    entries: Vec<Entry>,
    document: OnceLock<Unchanging>,
    page: OnceLock<Unchanging>,
    style: OnceLock<Unchanging>,
}

impl fmt::Debug for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Described").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

/// Bytes that stay the same as long as the service runs, and what says so to those who ask again.
#[derive(Debug)]
struct Unchanging {
    kind: &'static str,
    text: axum::body::Bytes,
    tag: HeaderValue,
}

impl Described {
    pub(crate) fn new(entries: Vec<Entry>) -> Described {
        Described { entries, document: OnceLock::new(), page: OnceLock::new(), style: OnceLock::new() }
    }

    fn document(&self, service: &Service) -> &Unchanging {
        self.document.get_or_init(|| {
            let document = document::document(&self.entries, &service.policy, service.catalogue());
            Unchanging::new("application/json", document.to_string())
        })
    }

    fn page(&self, service: &Service) -> &Unchanging {
        self.page.get_or_init(|| {
            let document = document::document(&self.entries, &service.policy, service.catalogue());
            Unchanging::new("text/html; charset=utf-8", page::page(&document))
        })
    }
}

impl Unchanging {
    fn new(kind: &'static str, text: String) -> Unchanging {
        let hash = blake3::hash(text.as_bytes()).to_hex();
        // A weak one: what is sent may be compressed on its way, and means the same then. What is hexadecimal stands in any header.
        let tag = HeaderValue::from_str(&format!("W/\"{}\"", &hash[..32]));
        let tag = tag.unwrap_or(HeaderValue::from_static("W/\"\""));
        Unchanging { kind, text: text.into(), tag }
    }

    /// The bytes, or that they are still the same.
    fn answer(&self, asked: &HeaderMap) -> Response {
        let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut known = known.flat_map(|value| value.split(',')).map(|tag| tag.trim());
        let strong = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
        let own = strong(self.tag.to_str().unwrap_or_default());
        let is_known = known.any(|tag| tag == "*" || strong(tag) == own);
        let head = [
            (header::ETAG, self.tag.clone()),
            // To be kept, and asked for again each time: the service may have become another one.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        match is_known {
            true => (StatusCode::NOT_MODIFIED, head).into_response(),
            false => (head, [(header::CONTENT_TYPE, self.kind)], self.text.clone()).into_response(),
        }
    }
}

pub(crate) async fn document(State(house): State<House>, headers: HeaderMap) -> Response {
    house.described.document(&house.service).answer(&headers)
}

pub(crate) async fn page(State(house): State<House>, headers: HeaderMap) -> Response {
    house.described.page(&house.service).answer(&headers)
}

pub(crate) async fn style(State(house): State<House>, headers: HeaderMap) -> Response {
    let style = || Unchanging::new("text/css; charset=utf-8", STYLE.to_owned());
    house.described.style.get_or_init(style).answer(&headers)
}

pub(crate) mod operations {
    //! The descriptions of the descriptions.

    use super::*;

    pub(crate) fn document() -> Operation {
        let about = "Made from the code that serves it. The bounds of limits are those of this operator.";
        let kind = Content {
            schema: |_, _| json!({"type": "object", "required": ["openapi", "paths"]}),
            ..Content::text(JSON)
        };
        unchanging(Operation::new("describe", "This document", about), "OpenAPI 3.1.", kind)
    }

    pub(crate) fn page() -> Operation {
        let about = "The same as `/openapi.json`, for people. It loads nothing from elsewhere and has no scripts.";
        unchanging(Operation::new("docs", "A page to read", about), "The page.", Content::text("text/html"))
    }

    pub(crate) fn style() -> Operation {
        let about = "How `/docs` looks, on a screen of any size, by day and by night.";
        unchanging(Operation::new("docsStyle", "The style of that page", about), "CSS.", Content::text("text/css"))
    }

    const JSON: &str = "application/json";

    fn unchanging(operation: Operation, about: &'static str, content: Content) -> Operation {
        let tag = "Changes when the content does.";
        operation
            .given(
                "header",
                "If-None-Match",
                "The `ETag` that came with it the last time; when it is still the same, 304 says so.",
                json!({"type": "string"}),
            )
            .answers(Answer::new(StatusCode::OK, about).header("ETag", tag).with(content))
            .answers(Answer::new(StatusCode::NOT_MODIFIED, "It is still the same.").header("ETag", tag))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::num::NonZeroU32;

    use firebox_job::{ByteSize, Policy};
    use firebox_lang::Catalogue;
    use serde_json::Value;

    use super::*;
    use crate::routes::table;

    fn described() -> Value {
        let (_, entries) = table().into_parts();
        document::document(&entries, &Policy::for_host(NonZeroU32::MIN, ByteSize::gib(8)), &Catalogue::builtin())
    }

    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let paths = document["paths"].as_object().unwrap().iter();
        paths
            .flat_map(|(path, methods)| {
                methods
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(move |(method, operation)| (format!("{method} {path}"), operation))
            })
            .collect()
    }

    #[test]
    fn both_forms_of_the_api_and_all_beside_it_are_described() {
        let document = described();
        let names: BTreeSet<String> = operations(&document).into_iter().map(|(name, _)| name).collect();
        for name in ["post /v1/execute", "get /v1/languages", "get /v1/languages/{name}"] {
            assert!(names.contains(name) && names.contains(&name.replace(" /", " /api/")), "{name}: {names:?}");
        }
        for name in ["get /health", "get /metrics", "get /openapi.json", "get /docs", "get /docs/page.css"] {
            assert!(names.contains(name), "{name}: {names:?}");
        }
    }

    #[test]
    fn names_of_operations_are_for_one_each_and_links_lead_to_one() {
        let document = described();
        let operations = operations(&document);
        let ids: BTreeSet<&str> =
            operations.iter().map(|(_, operation)| operation["operationId"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), operations.len());
        for (name, operation) in &operations {
            for response in operation["responses"].as_object().unwrap().values() {
                for link in response["links"].as_object().into_iter().flat_map(|links| links.values()) {
                    assert!(ids.contains(link["operationId"].as_str().unwrap()), "{name}: {link}");
                }
            }
        }
    }

    #[test]
    fn every_name_in_a_path_is_described() {
        for (name, operation) in operations(&described()) {
            let in_path: BTreeSet<&str> = name.split(['{', '}']).skip(1).step_by(2).collect();
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let described: BTreeSet<&str> = parameters
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            assert_eq!(in_path, described, "{name}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = described();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference}"));
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_refusal_has_an_example_of_each_reason() {
        for (name, operation) in operations(&described()) {
            for (status, response) in operation["responses"].as_object().unwrap() {
                if !status.starts_with(['4', '5']) || name.ends_with("/health") {
                    continue;
                }
                let examples = response["content"]["application/json"]["examples"].as_object();
                let examples = examples.unwrap_or_else(|| panic!("{name} {status}: {response}"));
                for (word, example) in examples {
                    let (code, message) = match name.contains("/api/") {
                        false => (&example["value"]["error"]["code"], &example["value"]["error"]["message"]),
                        true => (&example["value"]["code"], &example["value"]["error"]),
                    };
                    assert!(code == word && message.is_string(), "{name} {status}: {example}");
                }
            }
        }
    }

    #[test]
    fn who_has_it_already_is_told_so() {
        let unchanging = Unchanging::new("text/css", "a".to_owned());
        let tag = unchanging.tag.to_str().unwrap().to_owned();
        for (asked, status) in [
            (tag.clone(), StatusCode::NOT_MODIFIED),
            (tag[2..].to_owned(), StatusCode::NOT_MODIFIED),
            (format!("\"x\", {tag}"), StatusCode::NOT_MODIFIED),
            ("*".to_owned(), StatusCode::NOT_MODIFIED),
            ("\"x\"".to_owned(), StatusCode::OK),
            (String::new(), StatusCode::OK),
        ] {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, asked.parse().unwrap())]);
            assert_eq!(unchanging.answer(&headers).status(), status, "{asked}");
        }
        assert_eq!(unchanging.answer(&HeaderMap::new()).status(), StatusCode::OK);
    }
}
