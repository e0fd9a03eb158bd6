//! `firebox languages`: what there is, what it stands for, and telling a bad file from a good one.

mod kit;

use kit::{HostInventory, firebox, is_installed};
use serde_json::Value;

const NAMES: [&str; 8] = ["rust", "c", "cpp", "go", "java", "python", "javascript", "bash"];

/// `firebox languages --json`: an array of the languages.
fn languages() -> Vec<Value> {
    let host = HostInventory::take();
    let call = firebox().args(["languages", "--json"]).run();
    let json: Value = serde_json::from_slice(&call.stdout).unwrap_or_else(|error| panic!("no JSON ({error})\n{call}"));
    host.assert_nothing_left();
    json.as_array().unwrap_or_else(|| panic!("no list of languages\n{call}")).clone()
}

#[test]
fn languages_lists_names_aliases_versions_options_and_programs() {
    let languages = languages();
    for name in NAMES.into_iter().filter(|name| is_installed(name)) {
        let language = languages.iter().find(|language| language["name"] == name);
        let language = language.unwrap_or_else(|| panic!("no {name} among {languages:#?}"));
        assert!(language["aliases"].is_array(), "{name} has no aliases: {language:#}");
        assert!(language["version"].as_str().is_some_and(|v| v.contains('.')), "{name} has no version: {language:#}");
        assert!(
            language["program"].as_str().is_some_and(|p| p.starts_with('/')),
            "{name} has no program: {language:#}"
        );
    }
    let rust = languages.iter().find(|language| language["name"] == "rust").expect("checked above");
    for option in ["edition", "profile"] {
        assert!(rust["options"].to_string().contains(option), "rust has no option {option}: {rust:#}");
    }
}

#[test]
fn a_version_managers_shim_is_resolved_to_the_program_it_stands_for() {
    for language in languages() {
        let program = language["program"].as_str().unwrap_or_default();
        let shim = ["/shims/", "/.cargo/bin/"].iter().any(|part| program.contains(part));
        assert!(!shim, "{program} only starts another program: {language:#}");
    }
}

#[test]
fn languages_for_people_is_one_readable_list() {
    let host = HostInventory::take();
    let call = firebox().args(["languages"]).run();
    assert_eq!(call.code(), 0, "{call}");
    for name in NAMES {
        assert!(call.stdout().contains(name), "no {name}\n{call}");
    }
    host.assert_nothing_left();
}

#[test]
fn languages_check_accepts_every_file_that_comes_with_firebox() {
    let host = HostInventory::take();
    let files = std::fs::read_dir(format!("{}/../../languages", env!("CARGO_MANIFEST_DIR"))).expect("languages/");
    let files = files.flatten().map(|file| file.path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    assert!(8 <= files.len(), "{files:?}");
    let call = firebox().args(["languages", "check"]).args(files).run();
    assert_eq!(call.code(), 0, "{call}");
    host.assert_nothing_left();
}

#[test]
fn languages_check_refuses_a_bad_file_with_line_and_reason() {
    let host = HostInventory::take();
    for (content, line, reason) in [
        ("name = \"x\"\naliases = []\nentry = \n", 3, "quoted"),
        ("name = \"x\"\nunheard_of = 1\n", 2, "unheard_of"),
        ("name = 7\n", 1, "string"),
    ] {
        let call = firebox().file("bad.toml", content).args(["languages", "check", "bad.toml"]).run();
        assert_eq!(call.code(), 2, "{call}");
        let (place, said) = (format!("bad.toml:{line}:"), call.stderr());
        let told = said.lines().any(|fault| fault.starts_with(&place) && fault.contains(reason));
        assert!(told, "it does not say {reason:?} at {place}\n{call}");
    }
    host.assert_nothing_left();
}

#[test]
fn languages_check_looks_at_every_file_and_at_all_of_them_together() {
    let host = HostInventory::take();
    let bash = std::fs::read(format!("{}/../../languages/bash.toml", env!("CARGO_MANIFEST_DIR")))
        .expect("a file of the repository");
    let call = firebox().file("one.toml", &bash).file("two.toml", &bash);
    let call = call.args(["languages", "check", "missing.toml", "one.toml", "two.toml"]).run();
    assert_eq!((call.code(), call.stdout().as_str()), (2, "one.toml: good\n"), "{call}");
    for words in
        ["missing.toml: cannot be read", "two.toml:", "`bash` is taken by one.toml", "2 of 3 language files are"]
    {
        assert!(call.stderr().contains(words), "it does not say {words:?}\n{call}");
    }
    host.assert_nothing_left();
}
