//! `unsafe` stands only where it is looked for: in `sys.rs` or below a folder `sys`.
//!
//! The compiler denies it by a lint; this keeps the lint's exceptions in those files. Programs that tests run as
//! attackers are not the product and are not looked at.

use std::path::Path;

use super::Broken;
use super::code::code_only;

pub(super) fn check(file: &Path, source: &str) -> Vec<Broken> {
    if !is_product(file) || is_sys(file) {
        return Vec::new();
    }
    let code = code_only(source);
    let mut broken = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let found = words.find(|word| matches!(*word, "unsafe" | "unsafe_code"));
        if let Some(word) = found {
            broken.push(Broken {
                file: file.to_owned(),
                line: Some(index + 1),
                what: format!("`{word}` outside of `sys`: move it to `sys.rs` or below `sys/`, under a safe function"),
            });
        }
    }
    broken
}

fn is_product(file: &Path) -> bool {
    let mut parts = file.iter();
    match parts.next().and_then(|first| first.to_str()) {
        Some("crates") => parts.nth(1).is_some_and(|third| third == "src"),
        Some("xtask") => parts.next().is_some_and(|second| second == "src"),
        _ => false,
    }
}

fn is_sys(file: &Path) -> bool {
    file.iter().any(|part| part == "sys" || part == "sys.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &str, source: &str) -> Vec<usize> {
        check(Path::new(file), source).into_iter().filter_map(|broken| broken.line).collect()
    }

    #[test]
    fn blocks_attributes_and_exceptions_are_all_found() {
        let source = "fn a() {\n    unsafe { b() }\n}\n#[unsafe(no_mangle)]\n#[expect(unsafe_code, reason = \"\")]\n";
        assert_eq!(lines("crates/jail/src/mount.rs", source), [2, 4, 5]);
        assert_eq!(lines("xtask/src/main.rs", "#![allow(unsafe_code)]"), [1]);
    }

    #[test]
    fn sys_may_hold_it() {
        for file in ["crates/jail/src/sys.rs", "crates/jail/src/sys/clone.rs", "crates/jail/src/mount/sys.rs"] {
            assert_eq!(lines(file, "unsafe {}"), [0; 0], "{file}");
        }
    }

    #[test]
    fn words_in_comments_strings_and_longer_names_do_not_count() {
        let source = "// unsafe\nlet a = \"unsafe\";\n/// #[expect(unsafe_code)]\nfn unsafe_looking() {}\n";
        assert_eq!(lines("crates/jail/src/mount.rs", source), [0; 0]);
    }

    #[test]
    fn programs_of_tests_are_not_the_product() {
        assert_eq!(lines("tests/attacks/ptrace.rs", "unsafe {}"), [0; 0]);
        assert_eq!(lines("crates/jail/tests/escape.rs", "unsafe {}"), [0; 0]);
    }
}
