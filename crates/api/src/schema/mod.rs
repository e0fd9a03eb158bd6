//! The public JSON described in JSON Schema (2020-12), made from the very types that read and write it.
//!
//! What a type cannot say of itself is added here: what a client may leave out, or write in one of two ways, and how much the
//! operator grants. Nothing is listed twice, so a new field, language or limit is described as soon as it is there.

mod request;

use firebox_job::Policy;
use firebox_lang::Catalogue;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

pub(crate) use request::{NO_CONTROL, NO_NUL, VARIABLE, path, request};

/// Where the definitions are put, as references name it.
const PLACE: &str = "/components/schemas";

/// Schemas of types, as they are asked for. Named types are defined once and referred to.
#[derive(Debug)]
pub struct Schemas {
    reading: SchemaGenerator,
    writing: SchemaGenerator,
}

impl Schemas {
    /// Without any type yet.
    pub fn new() -> Schemas {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = PLACE.into();
            settings.meta_schema = None;
        });
        let plain = RecursiveTransform(without_formats_of_ours);
        let reading = settings.clone().for_deserialize().with_transform(plain.clone());
        let writing =
            settings.for_serialize().with_transform(plain).with_transform(RecursiveTransform(absent_is_no_null));
        Schemas { reading: reading.into_generator(), writing: writing.into_generator() }
    }

    /// Of a type that clients send.
    pub fn sent<T: JsonSchema>(&mut self) -> Value {
        schema(&mut self.reading, T::inline_schema(), |generator| generator.subschema_for::<T>())
    }

    /// Of a type that clients are answered with.
    pub fn answered<T: JsonSchema>(&mut self) -> Value {
        schema(&mut self.writing, T::inline_schema(), |generator| generator.subschema_for::<T>())
    }

    /// All that the others refer to, with what this operator grants and the languages there are.
    pub fn into_definitions(mut self, policy: &Policy, catalogue: &Catalogue) -> Map<String, Value> {
        let mut definitions = self.reading.take_definitions(true);
        request::limit(&mut definitions, policy);
        request::name_languages(&mut definitions, catalogue);
        for (name, definition) in self.writing.take_definitions(true) {
            let other = definitions.insert(name.clone(), definition);
            assert!(other.is_none(), "{name} is both sent and answered; give one of both another name");
        }
        definitions
    }
}

impl Default for Schemas {
    fn default() -> Schemas {
        Schemas::new()
    }
}

/// A reference, or what has no name; definitions are transformed when they are taken, this one by itself.
fn schema(generator: &mut SchemaGenerator, inline: bool, make: impl Fn(&mut SchemaGenerator) -> Schema) -> Value {
    let mut schema = make(generator);
    if inline {
        generator.transforms_mut().for_each(|transform| transform.transform(&mut schema));
    }
    schema.to_value()
}

/// Names of Rust's numbers say nothing to others: their bounds do.
fn without_formats_of_ours(schema: &mut Schema) {
    if schema.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with(['u', 'i', 'd'])) {
        schema.remove("format");
    }
}

/// What an answer may leave out is left out when there is nothing to say, and never null.
fn absent_is_no_null(schema: &mut Schema) {
    let required: Vec<Value> = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, property) in properties {
        if required.iter().any(|required| required == name) {
            continue;
        }
        if let Some(Value::Array(kinds)) = property.get_mut("type") {
            kinds.retain(|kind| kind != "null");
            if let [kind] = kinds.as_slice() {
                property["type"] = kind.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use firebox_job::ByteSize;

    use super::*;
    use crate::{Refused, RefusedFlat, Request, Response};

    pub(super) fn definitions(ask: impl FnOnce(&mut Schemas)) -> Map<String, Value> {
        let mut schemas = Schemas::new();
        ask(&mut schemas);
        let policy = Policy::for_host(NonZeroU32::MIN, ByteSize::gib(8));
        schemas.into_definitions(&policy, &Catalogue::builtin())
    }

    #[test]
    fn what_is_defined_is_referred_to_by_its_name() {
        let mut schemas = Schemas::new();
        assert_eq!(schemas.sent::<Request>()["$ref"], "#/components/schemas/Request");
        assert_eq!(schemas.answered::<Vec<Response>>()["items"]["$ref"], "#/components/schemas/Response");
    }

    #[test]
    fn an_answer_has_what_is_required_and_no_null_for_what_is_left_out() {
        let definitions = definitions(|schemas| drop(schemas.answered::<Response>()));
        let response = &definitions["Response"];
        let required = response["required"].as_array().unwrap();
        assert!(required.contains(&"signal".into()) && !required.contains(&"stdout_base64".into()), "{response:#}");
        assert_eq!(response["properties"]["signal"]["type"], serde_json::json!(["integer", "null"]));
        assert_eq!(response["properties"]["stdout_base64"]["type"], "string");
        assert_eq!(response["properties"]["steps"]["type"], "array");
        assert_eq!(response["properties"]["isolation"]["enum"], serde_json::json!(["microvm", "jail", "fence"]));
    }

    #[test]
    fn the_two_forms_of_a_refusal_differ_in_what_error_is() {
        let definitions = definitions(|schemas| {
            schemas.answered::<Refused<'_>>();
            schemas.answered::<RefusedFlat<'_>>();
        });
        assert_eq!(definitions["Refused"]["properties"]["error"]["$ref"], "#/components/schemas/Refusal");
        let flat = &definitions["RefusedFlat"];
        assert_eq!(flat["properties"]["error"]["type"], "string", "{flat:#}");
        assert!(flat["properties"]["code"].is_object() && flat["properties"]["hint"].is_object(), "{flat:#}");
        assert_eq!(flat["required"], serde_json::json!(["error", "code", "message"]));
    }

    #[test]
    fn every_public_field_is_explained() {
        let definitions = definitions(|schemas| {
            schemas.sent::<Request>();
            schemas.answered::<Response>();
            schemas.answered::<Refused<'_>>();
            schemas.answered::<crate::OutputEvent>();
            schemas.answered::<crate::Listing>();
        });
        for (name, definition) in &definitions {
            for (field, property) in definition["properties"].as_object().into_iter().flatten() {
                assert!(property.get("description").is_some_and(Value::is_string), "{name}.{field}: {property}");
            }
        }
    }
}
