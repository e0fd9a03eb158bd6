//! The document as a page: what there is, what it takes, what it answers, and a line of `curl` to try it.

use std::fmt::Write;
use std::sync::LazyLock;

use serde_json::{Map, Value};

static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// All of it.
pub(super) fn page(document: &Value) -> String {
    let info = &document["info"];
    let title = text(&info["title"]);
    let operations: Vec<Found<'_>> = operations(document).collect();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
         <link rel=\"stylesheet\" href=\"/docs/page.css\"></head><body>\
         <header><h1>{title} <small>{}</small></h1><p>{}</p>\
         <p>The same for programs: <a href=\"/openapi.json\">/openapi.json</a>. To try the lines below, say where this is: \
         <code>FIREBOX=http://localhost:8080</code></p></header><nav><ul>",
        text(&info["version"]),
        prose(&info["description"]),
    );
    for Found { method, path, operation } in &operations {
        let (id, summary) = (text(&operation["operationId"]), text(&operation["summary"]));
        let _ = write!(page, "<li><a href=\"#{id}\"><b>{method}</b> <code>{}</code></a> {summary}</li>", escaped(path));
    }
    page.push_str("</ul></nav><main>");
    for found in &operations {
        section(&mut page, found);
    }
    page.push_str("<h2>Schemas</h2>");
    for (name, schema) in map(&document["components"]["schemas"]) {
        let _ = write!(page, "<section id=\"schema-{0}\"><h3><code>{0}</code></h3>", escaped(name));
        described(&mut page, schema);
        fields(&mut page, schema);
        folded(&mut page, "As JSON Schema", schema);
        page.push_str("</section>");
    }
    page.push_str("</main></body></html>\n");
    page
}

struct Found<'a> {
    method: String,
    path: &'a str,
    operation: &'a Value,
}

/// In the order of their paths. What is under `/api/v1` too is shown once.
fn operations(document: &Value) -> impl Iterator<Item = Found<'_>> {
    let paths = map(&document["paths"]).iter().filter(|(path, _)| !path.starts_with("/api/"));
    paths.flat_map(|(path, methods)| {
        map(methods).iter().map(move |(method, operation)| Found { method: method.to_uppercase(), path, operation })
    })
}

fn section(page: &mut String, Found { method, path, operation }: &Found<'_>) {
    let id = text(&operation["operationId"]);
    let _ = write!(
        page,
        "<section id=\"{id}\"><h2><b>{method}</b> <code>{}</code></h2><p><strong>{}.</strong> {}</p>",
        escaped(path),
        text(&operation["summary"]),
        prose(&operation["description"])
    );
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        page.push_str("<h3>Parameters</h3><dl>");
        for parameter in parameters {
            let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
            let about = prose(&parameter["description"]);
            let _ = write!(page, "<dt><code>{name}</code> <i>{place}</i></dt><dd>{about}</dd>");
        }
        page.push_str("</dl>");
    }
    let body = &operation["requestBody"]["content"];
    if body.is_object() {
        page.push_str("<h3>Body</h3>");
        bodies(page, body);
    }
    let _ = write!(page, "<h3>Try it</h3><pre>{}</pre>", escaped(&curl(method, path, operation)));
    page.push_str("<h3>Answers</h3>");
    for (status, answer) in map(&operation["responses"]) {
        let kind = if status.starts_with(['4', '5']) { "no" } else { "yes" };
        let about = prose(&answer["description"]);
        let _ = write!(page, "<details class=\"{kind}\"><summary><b>{}</b> {about}</summary>", escaped(status));
        // What every answer has stands above.
        for (name, header) in map(&answer["headers"]).iter().filter(|(_, header)| header["$ref"].is_null()) {
            let _ = write!(page, "<p><code>{}</code>: {}</p>", escaped(name), prose(&header["description"]));
        }
        bodies(page, &answer["content"]);
        page.push_str("</details>");
    }
    page.push_str("</section>");
}

/// A body in each of its forms, with examples.
fn bodies(page: &mut String, content: &Value) {
    for (kind, body) in map(content) {
        let _ = write!(page, "<p><code>{}</code> {}</p>", escaped(kind), kind_of(&body["schema"]));
        for (name, data) in map(&body["schema"]["x-events"]) {
            let _ = write!(page, "<p>Event <code>{}</code>: {}</p>", escaped(name), kind_of(data));
        }
        for example in map(&body["examples"]).values() {
            let _ =
                write!(page, "<p>{}:</p><pre>{}</pre>", prose(&example["summary"]), escaped(&shown(&example["value"])));
        }
    }
}

/// The fields of an object.
fn fields(page: &mut String, schema: &Value) {
    let properties = map(&schema["properties"]);
    if properties.is_empty() {
        return;
    }
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    page.push_str("<dl>");
    for (name, property) in properties {
        let must = if required.iter().any(|required| required == name) { " <i>always</i>" } else { "" };
        let _ = write!(page, "<dt><code>{}</code> {}{must}</dt><dd>", escaped(name), kind_of(property));
        described(page, property);
        page.push_str("</dd>");
    }
    page.push_str("</dl>");
}

fn described(page: &mut String, schema: &Value) {
    if schema["description"].is_string() {
        let _ = write!(page, "<p>{}</p>", prose(&schema["description"]));
    }
}

fn folded(page: &mut String, title: &str, value: &Value) {
    let _ = write!(page, "<details><summary>{title}</summary><pre>{}</pre></details>", escaped(&shown(value)));
}

/// What a value looks like, in a few words; a link where it has a name.
fn kind_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escaped(name));
    }
    let alternatives = ["anyOf", "allOf"].into_iter().find_map(|word| schema[word].as_array());
    if let (true, Some(alternatives)) = (schema["type"].is_null(), alternatives) {
        let kinds: Vec<String> = alternatives.iter().map(kind_of).filter(|kind| !kind.is_empty()).collect();
        return kinds.join(" or ");
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> =
            values.iter().map(|value| format!("<code>{}</code>", escaped(&plain(value)))).collect();
        return values.join(" ");
    }
    let kinds: Vec<String> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(plain).collect(),
        Value::String(kind) if kind == "array" => return format!("list of {}", kind_of(&schema["items"])),
        Value::String(kind) => vec![kind.clone()],
        _ => Vec::new(),
    };
    let mut words = escaped(&kinds.join(" or "));
    for (word, name) in [
        ("more than", "exclusiveMinimum"),
        ("from", "minimum"),
        ("to", "maximum"),
        ("at most", "maxItems"),
        ("at most", "maxProperties"),
        ("else", "default"),
    ] {
        if !schema[name].is_null() && !schema[name].is_object() {
            let _ = write!(words, ", {word} {}", escaped(&plain(&schema[name])));
        }
    }
    words
}

/// A line for a shell.
fn curl(method: &str, path: &str, operation: &Value) -> String {
    let mut path = path.to_owned();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let example = &parameter["schema"]["examples"];
        let example = example.as_array().and_then(|examples| examples.last()).and_then(Value::as_str);
        let name = format!("{{{}}}", parameter["name"].as_str().unwrap_or_default());
        path = path.replace(&name, example.unwrap_or("…"));
    }
    let mut line = "curl".to_owned();
    if method != "GET" && method != "POST" {
        let _ = write!(line, " -X {method}");
    }
    let _ = write!(line, " $FIREBOX{path}");
    let examples = map(&operation["requestBody"]["content"]["application/json"]["examples"]);
    if let Some(example) = examples.values().next() {
        // An apostrophe would end the text that the shell reads.
        let body = example["value"].to_string().replace('\'', "'\\''");
        let _ = write!(line, " -H 'content-type: application/json' \\\n  -d '{body}'");
    }
    line
}

fn map(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or(&NONE)
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // A value can always be written.
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

/// A text in which backquotes stand around code.
fn prose(value: &Value) -> String {
    let text = text(value);
    let mut parts = text.split('`');
    let mut prose = parts.next().unwrap_or_default().to_owned();
    let mut is_code = true;
    for part in parts {
        prose.push_str(if is_code { "<code>" } else { "</code>" });
        prose.push_str(part);
        is_code = !is_code;
    }
    if !is_code {
        prose.push_str("</code>");
    }
    prose
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_shown_is_text_and_never_a_part_of_the_page() {
        assert_eq!(prose(&json!("a `<b>` & c")), "a <code>&lt;b&gt;</code> &amp; c");
        assert_eq!(prose(&json!("open `end")), "open <code>end</code>");
        let document = json!({
            "info": {"title": "<script>", "version": "\"", "description": ""},
            "paths": {"/<x>": {"get": {"operationId": "\"x", "responses": {"200": {"description": "<i>"}}}}},
            "components": {"schemas": {"<T>": {"properties": {"<f>": {"default": "<d>", "type": "<t>"}}}}}
        });
        let page = page(&document);
        for bad in ["<script>", "<x>", "<T>", "<f>", "<d>", "<t>", "id=\"\"x"] {
            assert!(!page.contains(bad), "{bad} in {page}");
        }
    }

    #[test]
    fn a_line_of_curl_is_one_that_a_shell_takes() {
        let operation = json!({
            "parameters": [{"name": "name", "in": "path", "schema": {"examples": ["rust"]}}],
            "requestBody": {"content": {"application/json": {"examples": {"a": {"value": {"code": "print('a')"}}}}}}
        });
        let line = curl("POST", "/v1/languages/{name}", &operation);
        assert!(line.starts_with("curl $FIREBOX/v1/languages/rust -H"), "{line}");
        assert!(line.ends_with(r#"-d '{"code":"print('\''a'\'')"}'"#), "{line}");
    }
}
