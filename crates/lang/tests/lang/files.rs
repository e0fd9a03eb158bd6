//! Good language files and bad ones.

use firebox_lang::check_file;

/// A good file to spoil.
const GOOD: &str = r#"name = "toy"
aliases = ["plaything"]
extensions = ["toy"]
entry = "main.toy"
install = "buy one"
mounts = ["/usr/share/toy"]
version = ["{toy}", "--version"]

[environment]
TOY = "yes"

[[programs]]
name = "toy"
find = ["toy", "toy2"]
arguments = { toy2 = ["--compatible"] }
elsewhere = { at = "/opt/toy/{toolchain}", environment = { TOY_HOME = "/opt/toy" } }
links = { at = "/opt/toys/bin", names = ["toy"] }

[[options]]
name = "size"
values = [1, 2]
default = 1
help = "how large"

[[options]]
name = "mode"
values = ["calm", "wild"]
default = "calm"
help = "how to play"
arguments = { calm = [], wild = ["-w"] }

[[steps]]
name = "compile"
kind = "build"
argv = ["{toy}", "--size={size}", "{mode}", "{sources}"]
makes = "out"
crash_codes = [3]

[[steps]]
name = "run"
kind = "run"
argv = ["{work}/out"]
"#;

/// Spoils the good file in one place, and expects the fault at that line with these words.
#[track_caller]
fn check(good: &str, bad: &str, line: usize, words: &str) {
    assert_eq!(GOOD.matches(good).count(), 1, "{good:?} stands once in the good file");
    let errors = check_file("toy.toml", &GOOD.replace(good, bad)).expect_err("the file is bad");
    let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let at = format!("toy.toml:{line}:");
    assert!(shown.iter().any(|error| error.starts_with(&at) && error.contains(words)), "{shown:#?}");
}

#[test]
fn a_good_file_passes() {
    assert_eq!(check_file("toy.toml", GOOD), Ok(()));
}

#[test]
fn keys_are_known_present_and_of_their_type() {
    check("aliases", "alias", 2, "unknown key `alias`; did you mean `aliases`?");
    check("find = [", "fnd = [", 14, "unknown key `fnd`; did you mean `find`?");
    check("find = [", "fnd = [", 12, "`find` is missing");
    check("crash_codes", "zzz", 37, "unknown key `zzz`; known here are `name`, `kind`");
    check("install = \"buy one\"", "", 1, "`install` is missing");
    check("install = \"buy one\"", "install = 7", 5, "expected a string, found a whole number");
    check("aliases = [\"plaything\"]", "aliases = \"plaything\"", 2, "expected a list, found a string");
    check("crash_codes = [3]", "environment = [3]", 37, "expected a table, found a list");
    check("crash_codes = [3]", "environment = { \"T O Y\" = \"x\" }", 37, "is no variable");
    check("TOY = \"yes\"", "TOY = true", 10, "expected a string, found a switch");
    check("values = [1, 2]", "values = [1.5]", 21, "found a number with a fraction");
    check("install = \"buy one\"", "install = \"  \"", 5, "is empty");
    check("install = \"buy one\"", "install = ", 5, "");
}

#[test]
fn names_are_plain_and_unique() {
    check("name = \"toy\"\naliases", "name = \"Toy!\"\naliases", 1, "\"Toy!\" is no language name");
    check("\"plaything\"", "\"toy\"", 2, "`toy` is given twice");
    check("\"plaything\"", "\"play thing\"", 2, "is no language name");
    check("extensions = [\"toy\"]", "extensions = [\".toy\"]", 3, "without the dot");
    check("main.toy", "main.game", 4, "`main.game` ends in none of the extensions");
    check("main.toy", "../main.toy", 4, "\"..\"");
    check("name = \"size\"", "name = \"toy\"", 20, "placeholder `toy` is given twice");
    check("name = \"size\"", "name = \"entry\"", 20, "is no option name");
    check("name = \"run\"", "name = \"compile\"", 40, "step `compile` is given twice");
    check("TOY = ", "\"T O Y\" = ", 10, "is no variable");
}

#[test]
fn programs_can_be_found_and_placed() {
    check("find = [\"toy\", \"toy2\"]", "find = []", 14, "names no program");
    check("find = [\"toy\", ", "find = [\"/usr/bin/toy\", ", 14, "use a plain file name");
    check("toy2 = [\"--compatible\"]", "toy3 = [\"--compatible\"]", 15, "`toy3` is not among the names");
    check("/opt/toy/{toolchain}", "opt/toy", 16, "no absolute path below /opt");
    check("/opt/toy/{toolchain}", "/opt/toy/../../etc", 16, "no absolute path below /opt");
    check("/opt/toy/{toolchain}", "/usr/bin", 16, "no absolute path below /opt");
    check("/opt/toy/{toolchain}", "/opt/toy/{version}", 16, "only placeholder here is `{toolchain}`");
    check("/opt/toys/bin", "bin", 17, "no absolute path below /opt");
}

#[test]
fn a_file_cannot_show_what_is_nobodys_business() {
    for path in [
        "usr/share/toy",
        "/",
        "/usr",
        "/etc",
        "/opt",
        "/home/ann",
        "/root/.ssh",
        "/var/lib",
        "/proc",
        "/usr/../root",
        "/usr/share/",
        "/etc/shadow",
        "/etc/ssl/private",
        "/etc/ssh",
        "/etc/sudoers.d",
    ] {
        check("/usr/share/toy", path, 6, "");
    }
    let certificates = GOOD.replace("/usr/share/toy", "/etc/ssl/certs");
    assert_eq!(check_file("toy.toml", &certificates), Ok(()));
}

#[test]
fn what_a_build_depends_on_is_said_in_words() {
    check("crash_codes = [3]", "volatile = [\"\"]", 37, "an empty word is in every file");
    check("crash_codes = [3]", "volatile = \"__NOW__\"", 37, "expected a list, found a string");
    check(
        "argv = [\"{work}/out\"]",
        "argv = [\"{work}/out\"]\nvolatile = [\"__NOW__\"]",
        43,
        "belongs to a step that builds",
    );
}

#[test]
fn options_have_a_default_among_their_values() {
    check("default = 1", "default = 3", 22, "default `3` is not among the values: `1` or `2`");
    check("default = 1", "default = \"1\"", 22, "is not among the values");
    check("values = [1, 2]", "values = []", 21, "`values` is empty");
    check("values = [1, 2]", "values = [1, \"2\"]", 21, "must be of one type");
    check("values = [1, 2]", "values = [1, 1]", 21, "value `1` is given twice");
    check("calm = [], ", "", 30, "no arguments are given for the value `calm`");
    check("calm = [], ", "calm = [], mad = [], ", 30, "`mad`, which is not among the values");
    check("\"--size={size}\", ", "", 20, "option `size` appears in no step");
}

#[test]
fn a_value_stands_for_something_else_only_if_it_is_one_and_stands_for_arguments() {
    let after = |line: &str| format!("wild = [\"-w\"] }}\n{line}");
    let (good, instead) = ("wild = [\"-w\"] }", |table: &str| after(&format!("instead = {table}")));
    assert_eq!(check_file("toy.toml", &GOOD.replace(good, &instead("{ zoo = { wild = [] } }"))), Ok(()));
    check(good, &instead("{ zoo = { mad = [] } }"), 31, "`mad`, which is not among the values");
    check(good, &instead("{ zoo = [] }"), 31, "expected a table");
    check(good, &instead("{ \"\" = {} }"), 31, "the empty word");
    check("help = \"how large\"", "help = \"how large\"\ninstead = {}", 24, "give `arguments` too");
}

#[test]
fn the_program_that_links_is_a_plain_name() {
    let with = |name: &str| format!("install = \"buy one\"\nlinker = {name}");
    assert_eq!(check_file("toy.toml", &GOOD.replace("install = \"buy one\"", &with("\"cc\""))), Ok(()));
    check("install = \"buy one\"", &with("\"bin/cc\""), 6, "is no file name");
    check("install = \"buy one\"", &with("[]"), 6, "expected a string");
}

#[test]
fn a_driver_is_a_program_that_tells_and_builds() {
    let (kind, find) = ("kind = \"build\"", "find = [\"toy\", \"toy2\"]");
    let ahead = "kind = \"build\"\nahead = \"driver\"";
    let tells = |name: &str| format!("{find}\ntells = {{ {name} = [\"-###\"] }}");
    assert_eq!(check_file("toy.toml", &GOOD.replace(kind, ahead).replace(find, &tells("toy2"))), Ok(()));
    check(find, &tells("toy3"), 15, "`toy3` is not among the names");
    check(kind, ahead, 32, "is for a step that builds, with a program that has `tells`");
}

#[test]
fn steps_lead_to_one_run() {
    check("{sources}", "{source}", 35, "unknown placeholder `{source}`; there are `{toy}`");
    check("\"{sources}\"", "\"x{sources}\"", 35, "whole arguments");
    check("\"{toy}\", \"--size={size}\"", "\"toy\", \"--size={size}\"", 35, "an argv begins with");
    check("argv = [\"{work}/out\"]", "argv = []", 42, "an argv is empty");
    check("kind = \"build\"", "kind = \"compile\"", 34, "it is `build` or `run`");
    check("kind = \"build\"", "kind = \"run\"", 36, "belongs to a step that builds");
    check("kind = \"run\"", "kind = \"build\"", 32, "must end with the one of kind `run`");
    check("crash_codes = [3]", "crash_codes = [0, 256]", 37, "no exit code of a failure");
    check("makes = \"out\"", "makes = \"/out\"", 36, "absolute");
    check("makes = \"out\"", "typical = \"a text\"", 36, "one with `ahead = \"template\"`");
    check("{toy}\", \"--version\"", "{entry}\", \"--version\"", 7, "unknown placeholder `{entry}`");
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_the_file() {
    let bad = GOOD.replace("aliases", "alias").replace("default = 1", "default = 9").replace("{work}", "{wrok}");
    let errors = check_file("toy.toml", &bad).unwrap_err();
    let lines: Vec<usize> = errors.iter().map(|error| error.line).collect();
    assert_eq!(lines, [2, 22, 42], "{errors:#?}");
    assert_eq!((errors[2].column, errors[2].file.as_str()), (9, "toy.toml"));
}

#[test]
fn what_is_no_toml_is_refused_at_its_place() {
    for (text, line) in [("name = ", 1), ("name = \"toy\"\nname = \"toy\"\n", 2), ("[[programs]\n", 1), ("", 1)] {
        let errors = check_file("toy.toml", text).unwrap_err();
        assert_eq!(errors[0].line, line, "{text:?}: {errors:?}");
    }
}
