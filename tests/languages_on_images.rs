//! Every language on an image that has its tools: none of them is the host's.

#[path = "on_images/debian.rs"]
mod debian;
#[path = "../crates/image/tests/kit/mod.rs"]
mod images;
mod kit;

use debian::in_each_jail;
use serde_json::Value;

/// What the image has. Bash is part of each Debian.
const PACKAGES: &str = "g++,golang-go,default-jdk-headless,nodejs,python3-minimal,libpython3-stdlib";
/// More than it takes, in MiB.
const SIZE: &str = "5000";

#[test]
fn every_language_has_its_tools_from_the_image() {
    let hellos = [
        ("bash", "echo $FROM_IMAGE"),
        ("c", "#include <stdio.h>\n#include <stdlib.h>\nint main(void) { puts(getenv(\"FROM_IMAGE\")); return 0; }"),
        (
            "cpp",
            "#include <cstdlib>\n#include <iostream>\nint main() { std::cout << std::getenv(\"FROM_IMAGE\") << '\\n'; }",
        ),
        ("go", "package main\nimport (\"fmt\"; \"os\")\nfunc main() { fmt.Println(os.Getenv(\"FROM_IMAGE\")) }"),
        (
            "java",
            "class Any { public static void main(String[] words) { System.out.println(System.getenv(\"FROM_IMAGE\")); } }",
        ),
        ("javascript", "console.log(process.env.FROM_IMAGE)"),
        ("python", "import os; print(os.environ['FROM_IMAGE'])"),
        ("rust", "fn main() { println!(\"{}\", std::env::var(\"FROM_IMAGE\").unwrap()); }"),
    ];
    in_each_jail(|debian, setting| {
        let listed = debian.call(setting, &["languages", "--json"]).run();
        let listings: Value = serde_json::from_slice(&listed.stdout).expect("languages");
        let known: Vec<&str> =
            listings.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
        assert_eq!(known, hellos.map(|(language, _)| language), "one is not tried here");
        for (language, code) in hellos {
            let outcome = debian.job(setting, language, code).outcome();
            assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "yes\n"), "{outcome}");
        }
    });
}
