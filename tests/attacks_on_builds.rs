//! Attacks by code that is never run: what it takes or does while a compiler reads it. Each succeeds outside.

mod kit;

use std::ffi::OsString;
use std::io::Read;
use std::process::Command;

use kit::{Control, HostInventory, Outcome, Secret, bare, firebox, job, temp_dir, tool};

/// A program that takes something of the host while it is compiled. Outside it must print the secret; inside it must
/// not, wherever the compiler shows it.
fn check_build(extension: &str, code: &str) -> Outcome {
    let host = HostInventory::take();
    let secret = Secret::new();
    let code = code.replace("HOST_FILE", secret.path().to_str().expect("a path of ours is text"));
    let source = secret.directory.path().join("main").with_extension(extension);
    std::fs::write(&source, &code).expect("a temporary file");

    let outside = bare(&source, &[], Control::Bare);
    assert!(outside.stdout().contains(&secret.word), "not even outside\n{outside}");

    let inside = firebox().arg("run").arg(&source).arg("--json").outcome();
    assert_eq!(inside.verdict(), ("compile_error", "compile", 1, None), "{inside}");
    assert!(!inside.call.stdout().contains(&secret.word), "the compiler gave it away\n{inside}");
    host.assert_nothing_left();
    inside
}

#[test]
fn rust_cannot_include_a_file_of_the_host() {
    let inside = check_build("rs", "fn main() { println!(\"{}\", include_str!(\"HOST_FILE\")) }");
    assert!(inside.stderr().contains("couldn't read"), "{inside}");
}

#[test]
fn an_assembler_cannot_include_a_file_of_the_host() {
    check_build(
        "rs",
        "std::arch::global_asm!(\".data\", \"taken: .incbin \\\"HOST_FILE\\\"\", \".byte 0\", \".text\");
        unsafe extern \"C\" { static taken: std::ffi::c_char; }
        fn main() { println!(\"{}\", unsafe { std::ffi::CStr::from_ptr(&taken) }.to_string_lossy()) }",
    );
    check_build(
        "c",
        "#include <stdio.h>
        __asm__(\".data\\n taken: .incbin \\\"HOST_FILE\\\"\\n .byte 0\\n .text\");
        extern const char taken[];
        int main(void) { puts(taken); }",
    );
}

#[test]
fn c_cannot_include_a_file_of_the_host() {
    check_build(
        "c",
        "#include <stdio.h>\nconst char *taken =\n#include \"HOST_FILE\"\n;\nint main(void) { puts(taken); }",
    );
}

#[test]
fn the_compilers_complaint_about_a_module_shows_no_file_of_the_host() {
    let host = HostInventory::take();
    let secret = Secret::new();
    let code = format!("#[path = \"{}\"] mod taken;\nfn main() {{}}", secret.path().display());
    let directory = temp_dir();
    let source = directory.path().join("main.rs");
    std::fs::write(&source, &code).expect("a temporary file");
    let outside = Command::new(tool("rustc")).arg(source).arg("-o").arg(directory.path().join("x")).output();
    let outside = String::from_utf8_lossy(&outside.expect("rustc").stderr).into_owned();
    assert!(outside.contains(&secret.word), "not even outside: {outside}");

    let inside = job("rust", &code).outcome();
    assert_eq!(inside.verdict(), ("compile_error", "compile", 1, None), "{inside}");
    assert!(!inside.stderr().contains(&secret.word), "{inside}");
    host.assert_nothing_left();
}

#[test]
fn variables_of_the_host_are_unknown_to_the_compiler_and_the_program() {
    let host = HostInventory::take();
    let code =
        "fn main() { println!(\"{:?} {:?}\", option_env!(\"HOST_SECRET\"), std::env::var(\"HOST_SECRET\").ok()) }";
    let directory = temp_dir();
    let source = directory.path().join("main.rs");
    std::fs::write(&source, code).expect("a temporary file");
    let program = directory.path().join("program");
    let mut build = Command::new(tool("rustc"));
    build.arg(source).arg("-o").arg(&program).env("HOST_SECRET", "taken");
    assert!(build.status().expect("rustc").success());
    let outside = Command::new(program).env("HOST_SECRET", "taken").output().expect("it was built");
    assert_eq!(outside.stdout, b"Some(\"taken\") Some(\"taken\")\n");

    let inside = job("rust", code).env("HOST_SECRET", "taken").outcome();
    assert_eq!(inside.stdout(), "None None\n", "{inside}");
    host.assert_nothing_left();
}

#[test]
fn an_endless_const_evaluation_ends_with_its_step() {
    let host = HostInventory::take();
    let code = "#![allow(long_running_const_eval)]\nconst F: () = { loop {} };\nfn main() { F }";
    let directory = temp_dir();
    let source = directory.path().join("main.rs");
    std::fs::write(&source, code).expect("a temporary file");
    let timed = ["--signal=KILL", "3"].map(OsString::from).into_iter();
    let rustc = timed.chain([tool("rustc").into(), source.into(), "-o".into(), directory.path().join("x").into()]);
    let mut outside =
        Command::new(tool("timeout")).args(rustc).stderr(std::process::Stdio::piped()).spawn().expect("timeout");
    let mut said = String::new();
    outside.stderr.take().expect("piped").read_to_string(&mut said).expect("rustc writes text");
    assert!(!outside.wait().expect("it ended").success(), "it ends by itself: {said}");

    let inside = job("rust", code).args(["--compile-time", "2s"]).outcome();
    assert_eq!(inside.verdict(), ("timeout", "compile", 124, None), "{inside}");
    host.assert_nothing_left();
}

#[test]
fn a_link_at_the_compilers_output_does_not_lead_outside() {
    let host = HostInventory::take();
    let directory = temp_dir();
    let target = directory.path().join("target");
    for name in ["runbin", "main", "a.out"] {
        std::fs::write(&target, "untouched").expect("a temporary file");
        let call = firebox().file("project/main.c", "#include <stdio.h>\nint main(void) { puts(\"ran\"); }");
        let link = call.directory().join("project").join(name);
        std::os::unix::fs::symlink(&target, &link).expect("a link");
        let call = call.args(["run", "project"]).run();
        let kept = std::fs::read_to_string(&target).expect("it is there");
        assert_eq!(kept, "untouched", "{name} led out of the cell\n{call}");
        // It never comes to the compiler.
        assert!(call.code() == 2 && call.stderr().contains("leads out of it"), "{name} was let through\n{call}");

        // Outside, whoever writes there writes to the target.
        let link = directory.path().join(name);
        std::os::unix::fs::symlink(&target, &link).expect("a link");
        std::fs::write(&link, "overwritten").expect("a link to a file of ours");
        assert_eq!(std::fs::read_to_string(&target).expect("it is there"), "overwritten");
    }
    host.assert_nothing_left();
}
