//! What a request's own type does not say of it.

use firebox_job::{ByteSize, Limits, OptionValue, Policy, SourcePath};
use firebox_lang::{Catalogue, Language, OptionSpec};
use schemars::Schema;
use serde_json::{Map, Value, json};

use crate::Number;

/// A text without NUL.
pub(crate) const NO_NUL: &str = r"^[^\x00]*$";
/// The name of a variable.
pub(crate) const VARIABLE: &str = r"^[^=\x00]+$";
/// A text without control characters.
pub(crate) const NO_CONTROL: &str = r"^[^\x00-\x1f\x7f-\x9f]+$";

/// A path as [`SourcePath`] takes it, but for the bytes of its parts, which a pattern cannot count.
pub(crate) fn path() -> String {
    // A plain name; or one that begins with a dot, or with two, and goes on.
    let part = r"([^/.\x00][^/\x00]*|\.[^/.\x00][^/\x00]*|\.\.[^/\x00]+)";
    format!("^{part}(/{part}){{0,{}}}$", SourcePath::MAX_DEPTH - 1)
}

/// Adds what goes together, and what does not.
pub(crate) fn request(schema: &mut Schema) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let lang = properties.get("lang").cloned().unwrap_or_default();
        let place = properties.keys().position(|name| name == "lang").map_or(0, |place| place + 1);
        properties.shift_insert(place, "language".to_owned(), lang);
        properties["language"]["description"] = "The same as `lang`, for those who call it so.".into();
    }
    // One of both names is required, which no list of names can say.
    schema.remove("required");
    schema.insert(
        "allOf".to_owned(),
        json!([
            {"oneOf": [{"required": ["lang"]}, {"required": ["language"]}]},
            {"oneOf": [
                {
                    "required": ["code"],
                    "properties": {"code": {"type": "string"}, "files": {"type": "null"}, "entry": {"type": "null"}}
                },
                {"required": ["files"], "properties": {"files": {"type": "array"}, "code": {"type": "null"}}}
            ]}
        ]),
    );
}

/// Says how much this operator grants, and what applies to those who ask for nothing.
pub(super) fn limit(definitions: &mut Map<String, Value>, policy: &Policy) {
    let Policy { default, ceiling, building: _ } = policy;
    let whole = |number: u32| json!(number);
    let mib = |size: ByteSize| json!(Number::mib(size));
    let seconds = |limits: &Limits, of: fn(&Limits) -> std::time::Duration| json!(Number::seconds(of(limits)));
    let time = |of: fn(&Limits) -> std::time::Duration| json!({"exclusiveMinimum": 0, "maximum": seconds(ceiling, of), "default": seconds(default, of)});
    let least =
        |least: Value, most: Value, default: Value| json!({"minimum": least, "maximum": most, "default": default});
    for request in requests(definitions) {
        set(request, "timeout", time(|limits| limits.timeout));
    }
    let limits = [
        ("memory_mb", least(mib(Limits::LEAST_MEMORY), mib(ceiling.memory), mib(default.memory))),
        ("vcpus", least(whole(1), whole(ceiling.vcpus.get()), whole(default.vcpus.get()))),
        ("tasks", least(whole(1), whole(ceiling.tasks.get()), whole(default.tasks.get()))),
        ("disk_mb", least(mib(Limits::LEAST_DISK), mib(ceiling.disk), mib(default.disk))),
        (
            "output_kb",
            least(
                json!(Number::kib(Limits::LEAST_OUTPUT)),
                json!(Number::kib(ceiling.output)),
                json!(Number::kib(default.output)),
            ),
        ),
        ("compile_seconds", time(|limits| limits.compile)),
        ("run_seconds", time(|limits| limits.run)),
        // What applies by itself follows from the run's seconds and CPUs.
        ("cpu_seconds", json!({"exclusiveMinimum": 0, "maximum": seconds(ceiling, |limits| limits.cpu)})),
    ];
    let Some(asked) = definitions.get_mut("AskedLimits") else { return };
    for (name, bounds) in limits {
        set(asked, name, bounds);
    }
}

/// Whatever has the fields of a request, under whichever name.
fn requests(definitions: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    let is_one =
        |definition: &Value| ["lang", "language"].iter().all(|name| definition["properties"][name].is_object());
    definitions.values_mut().filter(move |definition| is_one(definition))
}

/// Adds to a field of a definition.
fn set(definition: &mut Value, field: &str, more: Value) {
    let (Value::Object(property), Value::Object(more)) = (&mut definition["properties"][field], more) else { return };
    // A bound of its own takes the place of what holds for every number.
    property.remove("minimum");
    property.extend(more);
}

/// Lists the languages by their names, and what options each of them takes.
pub(super) fn name_languages(definitions: &mut Map<String, Value>, catalogue: &Catalogue) {
    let all: Vec<&str> = catalogue.languages().flat_map(names).collect();
    for request in requests(definitions) {
        for name in ["lang", "language"] {
            set(request, name, json!({"enum": all}));
        }
        let options = &mut request["properties"]["options"]["description"];
        *options = format!("{} {}.", options.as_str().unwrap_or_default(), all_options(catalogue)).into();
        if let Some(rules) = request["allOf"].as_array_mut() {
            rules.extend(catalogue.languages().map(options_of));
        }
    }
}

/// Which language takes which options, in a sentence.
fn all_options(catalogue: &Catalogue) -> String {
    let taking = catalogue.languages().filter(|language| !language.options().is_empty());
    let taking = taking.map(|language| {
        let options: Vec<String> = language.options().iter().map(|option| format!("`{}`", option.name)).collect();
        format!("{} takes {}", language.name(), options.join(" and "))
    });
    taking.collect::<Vec<_>>().join(", ")
}

/// If it is this language, its options are these.
fn options_of(language: &Language) -> Value {
    let names: Vec<&str> = names(language).collect();
    let options: Map<String, Value> =
        language.options().iter().map(|option| (option.name.clone(), described(option))).collect();
    let is_it = |field: &str| json!({"required": [field], "properties": {field: {"enum": names}}});
    json!({
        "if": {"anyOf": [is_it("lang"), is_it("language")]},
        "then": {"properties": {"options": {"properties": options, "additionalProperties": false}}}
    })
}

fn names(language: &Language) -> impl Iterator<Item = &str> {
    std::iter::once(language.name()).chain(language.aliases().iter().map(String::as_str))
}

/// An option by its values. Each of them is as good as its text.
fn described(option: &OptionSpec) -> Value {
    let OptionSpec { values, default, help, .. } = option;
    let value = |value: &OptionValue| match value {
        OptionValue::Text(text) => vec![json!(text)],
        OptionValue::Number(number) => vec![json!(number), json!(number.to_string())],
        OptionValue::Switch(on) => vec![json!(on), json!(on.to_string())],
    };
    let all: Vec<Value> = values.iter().flat_map(value).collect();
    json!({"description": help, "enum": all, "default": value(default)[0]})
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Request;
    use crate::schema::Schemas;
    use crate::schema::tests::definitions;

    fn described() -> Map<String, Value> {
        definitions(|schemas: &mut Schemas| drop(schemas.sent::<Request>()))
    }

    /// The names that serde knows, out of its own mouth.
    fn known_to_serde(json: &str) -> Vec<String> {
        let error = Request::from_json(json.as_bytes()).unwrap_err().to_string();
        let (_, names) = error.split_once("expected one of ").unwrap_or_else(|| panic!("{error}"));
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_field_that_is_read_is_described_and_no_other() {
        let definitions = described();
        for (definition, json) in
            [("Request", r#"{"lang": "c", "?": 1}"#), ("AskedLimits", r#"{"lang": "c", "limits": {"?": 1}}"#)]
        {
            let definition = &definitions[definition];
            let mut described: Vec<String> = definition["properties"].as_object().unwrap().keys().cloned().collect();
            let mut read = known_to_serde(json);
            described.sort();
            read.sort();
            assert_eq!(described, read);
            assert_eq!(definition["additionalProperties"], false, "what is unknown is refused");
        }
    }

    #[test]
    fn limits_are_those_of_the_operator() {
        let definitions = described();
        let limits = &definitions["AskedLimits"]["properties"];
        for (field, bounds) in [
            (
                &definitions["Request"]["properties"]["timeout"],
                json!({"exclusiveMinimum": 0, "maximum": 600, "default": 60}),
            ),
            (&limits["memory_mb"], json!({"minimum": 4, "maximum": 8192, "default": 512})),
            (&limits["tasks"], json!({"minimum": 1, "maximum": 1024, "default": 64})),
            (&limits["output_kb"], json!({"minimum": 1, "maximum": 65536, "default": 1024})),
            (&limits["cpu_seconds"], json!({"exclusiveMinimum": 0, "maximum": 600})),
        ] {
            for (name, bound) in bounds.as_object().unwrap() {
                assert_eq!(&field[name], bound, "{name} of {field}");
            }
        }
        for limit in limits.as_object().unwrap().values() {
            assert!(limit["maximum"].is_number(), "a new limit has to be bounded: {limit}");
        }
    }

    #[test]
    fn languages_are_named_with_what_each_of_them_takes() {
        let definitions = described();
        let request = &definitions["Request"];
        let names = request["properties"]["lang"]["enum"].as_array().unwrap();
        assert!(["rust", "rs", "c++", "py"].iter().all(|name| names.contains(&json!(name))), "{names:?}");
        let rules = request["allOf"].as_array().unwrap();
        let of_rust = rules.iter().find(|rule| rule["if"].to_string().contains("\"rust\"")).unwrap();
        let edition = &of_rust["then"]["properties"]["options"]["properties"]["edition"]["enum"];
        assert!(edition.as_array().unwrap().contains(&json!("2021")), "{of_rust}");
    }
}
