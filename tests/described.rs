//! What the service says of itself is true: `GET /openapi.json` and `GET /docs`, and the service held against them.

mod kit;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kit::{Allowance, Finished, Guard, HostInventory, Running, Service, firebox, repository, skip, temp_dir};
use serde_json::Value;

/// How long an attack by the description may take on a busy machine; on an idle one it is half a minute.
const ATTACK: Duration = Duration::from_secs(600);
/// What `cargo xtask test` sets to where it has installed schemathesis.
const PROGRAM: &str = "FIREBOX_TEST_SCHEMATHESIS";

fn document(service: &Service) -> Value {
    let answer = service.get("/openapi.json").answer();
    assert_eq!(answer.code, 200, "{answer:?}");
    answer.json()
}

/// Methods of a path that the document has, in capitals.
fn methods(operations: &Value) -> BTreeSet<String> {
    operations.as_object().expect("a path has operations").keys().map(|method| method.to_uppercase()).collect()
}

/// A path with something in the place of each name in braces.
fn filled(path: &str, operations: &Value) -> String {
    let mut filled = path.to_owned();
    for operation in operations.as_object().expect("a path has operations").values() {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let example = parameter["schema"]["examples"][0].as_str().unwrap_or("bash");
            filled = filled.replace(&format!("{{{}}}", parameter["name"].as_str().expect("it has a name")), example);
        }
    }
    filled
}

#[test]
fn what_is_described_is_served_and_by_no_other_method() {
    let service = Service::start(&["--languages", "bash"]);
    let document = document(&service);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    for (path, operations) in document["paths"].as_object().expect("there are paths") {
        let described = methods(operations);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answer = service.post(&filled(path, operations), "{}").with(&["--request", method]).answer();
            let says = format!("{method} {path}: {answer:?}");
            if !described.contains(method) {
                assert_eq!((answer.code, answer.headers.contains("\nallow: ")), (405, true), "{says}");
                continue;
            }
            let statuses = &operations[method.to_lowercase()]["responses"];
            assert!(statuses[answer.code.to_string()].is_object(), "{says} is not described");
            assert!(answer.code != 404 || !answer.body.contains("nothing at this address"), "{says}");
        }
    }
    service.stop();
}

#[test]
fn who_has_the_document_already_is_sent_nothing() {
    let service = Service::start(&["--languages", "bash"]);
    for path in ["/openapi.json", "/docs", "/docs/page.css"] {
        let first = service.get(path).answer();
        // A weak one; headers come in lower case here, and what says that it is weak may not.
        let tag = first.headers.lines().find_map(|line| line.strip_prefix("etag: w/"));
        let tag = tag.unwrap_or_else(|| panic!("no tag: {first:?}")).trim().to_owned();
        let again = service.get(path).with(&["--header", &format!("if-none-match: {tag}")]).answer();
        assert_eq!((again.code, again.body.as_str()), (304, ""), "{path}: {again:?}");
        let other = service.get(path).with(&["--header", "if-none-match: \"other\""]).answer();
        assert_eq!((other.code, other.body == first.body), (200, true), "{path}: {other:?}");
    }
    service.stop();
}

#[test]
fn the_page_has_everything_and_needs_nothing_from_elsewhere() {
    let service = Service::start(&["--languages", "bash"]);
    let page = service.get("/docs").answer();
    assert_eq!(page.code, 200, "{page:?}");
    assert!(page.headers.contains("content-type: text/html"), "{}", page.headers);
    assert!(
        page.headers.contains("content-security-policy: default-src 'none'; style-src 'self';"),
        "{}",
        page.headers
    );
    for path in document(&service)["paths"].as_object().expect("there are paths").keys() {
        assert!(path.starts_with("/api/") || page.body.contains(&format!("<code>{path}</code>")), "{path} is missing");
    }
    // All that a page can load or send something to.
    for word in ["<script", "<img", "<iframe", "<form", " src=", "url(", "@import", " style=", " on"] {
        let tags = page.body.split('<').filter_map(|tag| tag.split_once('>')).map(|(tag, _)| format!("<{tag}"));
        let found: Vec<String> = tags.filter(|tag| tag.contains(word)).collect();
        assert!(found.is_empty(), "{word}: {found:?}");
    }
    let links: BTreeSet<&str> = page.body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for link in &links {
        let target = link.strip_prefix('#').map(|name| page.body.contains(&format!("id=\"{name}\"")));
        let answers = || service.get(link).answer().code == 200;
        assert!(target.unwrap_or_else(answers), "{link} leads nowhere");
    }
    assert!(links.contains("/docs/page.css") && links.contains("/openapi.json"), "{links:?}");
    // Who may not come in may not read either.
    for path in ["/docs", "/openapi.json", "/docs/page.css"] {
        for header in ["host: evil.example", "origin: https://evil.example"] {
            assert_eq!(service.get(path).with(&["--header", header]).answer().code, 403, "{path} {header}");
        }
    }
    service.stop();
}

/// A program of schemathesis, run to its end.
fn attack(program: &Path, words: &[&str], stdin: Option<Vec<u8>>) -> Finished {
    let directory = temp_dir();
    let guard = Guard::new(Allowance { wall: ATTACK, ..Allowance::PRODUCT });
    let mut command = guard.command(program);
    command.args(words).current_dir(directory.path()).env("SCHEMATHESIS_HOOKS", folder("hooks.py"));
    Running::start(guard, command, stdin).keeping(directory).wait()
}

/// A file beside the tests.
fn folder(name: &str) -> String {
    repository(&format!("tests/schemathesis/{name}")).display().to_string()
}

#[test]
fn schemathesis_finds_nothing() {
    let Some(program) = std::env::var_os(PROGRAM).map(PathBuf::from) else {
        return skip("schemathesis", &format!("`{PROGRAM}` does not say where it is; `cargo xtask test` installs it"));
    };
    let host = HostInventory::take();
    let call = firebox().args(["serve", "--listen", "127.0.0.1:0", "--request-time", "5s"]).within(ATTACK);
    let service = Service::of(call.start());

    let document = document(&service);
    let python = program.with_file_name("python");
    let examples = attack(&python, &[&folder("examples.py")], Some(document.to_string().into_bytes()));
    assert_eq!(examples.code(), 0, "{examples}");

    let (config, url) = (folder("schemathesis.toml"), format!("http://{}/openapi.json", service.address));
    let words = [
        "--config-file",
        config.as_str(),
        "run",
        "--checks",
        "all",
        "--exclude-checks",
        "use_after_free",
        "--no-color",
        url.as_str(),
    ];
    let attacked = attack(&program, &words, None);
    assert_eq!(attacked.code(), 0, "{attacked}");
    let said = String::from_utf8_lossy(&attacked.stdout).into_owned();
    for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
        assert!(
            said.lines().any(|line| line.trim_end().ends_with(&format!("✅ {phase}"))),
            "{phase} is missing: {said}"
        );
    }
    // It was met by jobs, and not by refusals alone.
    let metrics = service.get("/metrics").answer().body;
    for language in ["bash", "python", "rust"] {
        assert!(metrics.contains(&format!("firebox_jobs_total{{language=\"{language}\"")), "{metrics}");
    }
    assert!(metrics.contains("firebox_refused_total{code=\"fault\"} 0\n"), "{metrics}");
    service.stop();
    host.assert_nothing_left();
}
