//! The document: OpenAPI 3.1, made of the table of what is served and of the types that are read and written.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use firebox_api::{RefusalCode, Schemas};
use firebox_job::Policy;
use firebox_lang::Catalogue;
use serde_json::{Map, Value, json};

use super::operation::{Answer, Content, Operation, Parameter};
use super::refusals;
use crate::answer::{Form, status};
use crate::table::Entry;

const ABOUT: &str = "Runs code that nobody trusts, each job in a cell of its own, and tells exactly what happened. \
    A job that ran is answered with 200 whatever its program did: `status` and `exit_code` say what that was. What never ran \
    is answered with another status, and an `error` that says why, where and what to do. \
    All that is under `/v1` is under `/api/v1` as well, where `error` is a text, and what else there is to say stands beside it. \
    Every answer has an `X-Request-Id`: the one that the request had, or else one that we made. The log has it too.";

/// What every answer has.
const OF_ALL: &str = "X-Request-Id";

const KEY: &str = "A key from whoever operates this service, who makes them with `firebox keys create`. Where there are none, \
    none is asked for.";

/// Everything that is served, described.
pub(super) fn document(entries: &[Entry], policy: &Policy, catalogue: &Catalogue) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for entry in entries {
        let described = operation(entry, &mut schemas);
        let path = paths.entry(entry.path.clone()).or_insert_with(|| json!({}));
        path[entry.method.as_str().to_lowercase()] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Firebox",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Jobs in, outcomes out",
            "description": ABOUT,
            "license": {"name": "MIT or Apache 2.0", "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/", "description": "Where this document comes from"}],
        // One of them, or none where this service has no keys.
        "security": [{}, {"bearer": []}, {"apiKey": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.into_definitions(policy, catalogue),
            "headers": {OF_ALL: text_header("What this request is called, in the log as well.")},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": KEY},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": KEY},
            },
        },
    })
}

fn operation(Entry { form, operation, .. }: &Entry, schemas: &mut Schemas) -> Value {
    let Operation { summary, about, parameters, takes, answers, .. } = operation;
    let mut described = json!({
        "operationId": id(operation.id, *form),
        "summary": summary,
        "description": about,
    });
    if operation.is_open {
        described["security"] = json!([]);
    }
    if !parameters.is_empty() {
        described["parameters"] = parameters.iter().map(parameter).collect();
    }
    if let Some(content) = takes {
        described["requestBody"] =
            json!({"required": true, "content": contents(std::slice::from_ref(content), *form, schemas)});
    }
    let mut responses: BTreeMap<StatusCode, Value> = BTreeMap::new();
    for one in answers {
        responses.insert(one.status, answer(one, *form, schemas));
    }
    for (status, codes) in by_status(operation) {
        let refusal = refusal(status, &codes, *form, schemas);
        let other = responses.insert(status, refusal);
        assert!(other.is_none(), "{}: {status} is both an answer and a refusal", operation.id);
    }
    let responses = responses.into_iter().map(|(status, mut response)| {
        response["headers"][OF_ALL] = json!({"$ref": format!("#/components/headers/{OF_ALL}")});
        (status.as_str().to_owned(), response)
    });
    described["responses"] = Value::Object(responses.collect());
    described
}

/// Names are for one address each.
fn id(id: &str, form: Form) -> String {
    match form {
        Form::Nested => id.to_owned(),
        Form::Flat => format!("{id}Flat"),
    }
}

fn parameter(Parameter { place, name, about, schema }: &Parameter) -> Value {
    json!({"name": name, "in": place, "required": *place == "path", "description": about, "schema": schema})
}

fn contents(contents: &[Content], form: Form, schemas: &mut Schemas) -> Value {
    let described = contents.iter().map(|Content { kind, schema, examples }| {
        let mut content = json!({"schema": schema(schemas, form)});
        let examples = examples
            .iter()
            .map(|example| (example.name.to_owned(), json!({"summary": example.summary, "value": example.value})));
        let examples: Map<String, Value> = examples.collect();
        if !examples.is_empty() {
            content["examples"] = Value::Object(examples);
        }
        ((*kind).to_owned(), content)
    });
    Value::Object(described.collect())
}

fn answer(Answer { about, headers, contents: bodies, links, .. }: &Answer, form: Form, schemas: &mut Schemas) -> Value {
    let mut described = json!({"description": about});
    if !headers.is_empty() {
        let headers = headers.iter().map(|(name, about, is_always)| {
            let header = json!({"description": about, "required": is_always, "schema": {"type": "string"}});
            ((*name).to_owned(), header)
        });
        described["headers"] = Value::Object(headers.collect());
    }
    if !bodies.is_empty() {
        described["content"] = contents(bodies, form, schemas);
    }
    if !links.is_empty() {
        let links = links.iter().map(|link| {
            let to = json!({"operationId": id(link.operation, form), "parameters": {link.parameter: link.from}});
            (link.name.to_owned(), to)
        });
        described["links"] = Value::Object(links.collect());
    }
    described
}

fn text_header(about: &str) -> Value {
    json!({"description": about, "required": true, "schema": {"type": "string"}})
}

fn by_status(operation: &Operation) -> BTreeMap<StatusCode, Vec<RefusalCode>> {
    let mut by_status: BTreeMap<StatusCode, Vec<RefusalCode>> = BTreeMap::new();
    for code in operation.refusals() {
        by_status.entry(status(code)).or_default().push(code);
    }
    by_status
}

/// A status with the reasons there may be for it, and an example of each.
fn refusal(status: StatusCode, codes: &[RefusalCode], form: Form, schemas: &mut Schemas) -> Value {
    let words: Vec<&str> = codes.iter().map(|code| code.word()).collect();
    let narrowed = json!({"properties": {"code": {"enum": words}}});
    let schema = match form {
        Form::Nested => json!({"allOf": [form.schema(schemas), {"properties": {"error": narrowed}}]}),
        Form::Flat => json!({"allOf": [form.schema(schemas), narrowed]}),
    };
    let examples = codes.iter().map(|code| {
        let refusing = refusals::example(*code);
        (code.word().to_owned(), json!({"summary": refusals::reason(*code), "value": refusing.value(form)}))
    });
    let examples: Map<String, Value> = examples.collect();
    let reasons: Vec<&str> = codes.iter().map(|code| refusals::reason(*code)).collect();
    let mut described = json!({
        "description": reasons.join(" Or: "),
        "content": {"application/json": {"schema": schema, "examples": examples}},
    });
    let header = match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            Some(("Retry-After", "Seconds to wait before another attempt."))
        }
        StatusCode::UNAUTHORIZED => Some(("WWW-Authenticate", "How to show a key.")),
        _ => None,
    };
    if let Some((name, about)) = header {
        described["headers"] = json!({name: text_header(about)});
    }
    described
}
