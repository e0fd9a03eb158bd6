//! Attacks by code that is never run: what it takes of the host while a compiler reads it. Each succeeds outside.

mod kit;

use std::process::Command;

use kit::Expectation::HeldBy;
use kit::{Attack, Secret, Setting, compiler, is_tested, leaving_nothing, skip, temp_dir, tool};

/// Code that takes a file of the host while it is compiled.
struct Theft {
    name: &'static str,
    language: &'static str,
    extension: &'static str,
    /// `HOST_FILE` stands for the file.
    code: &'static str,
}

const THEFTS: [Theft; 9] = [
    Theft {
        name: "Rust: include_str!",
        language: "rust",
        extension: "rs",
        code: "fn main() { println!(\"{}\", include_str!(\"HOST_FILE\")) }",
    },
    Theft {
        name: "Rust: .incbin in global_asm!",
        language: "rust",
        extension: "rs",
        code: "std::arch::global_asm!(\".data\", \"taken: .incbin \\\"HOST_FILE\\\"\", \".byte 0\", \".text\");
            unsafe extern \"C\" { static taken: std::ffi::c_char; }
            fn main() { println!(\"{}\", unsafe { std::ffi::CStr::from_ptr(&taken) }.to_string_lossy()) }",
    },
    Theft {
        name: "Rust: #[path] of a module, told in the complaint",
        language: "rust",
        extension: "rs",
        code: "#[path = \"HOST_FILE\"] mod taken;\nfn main() {}",
    },
    Theft {
        name: "Rust: include! as code",
        language: "rust",
        extension: "rs",
        code: "fn main() { println!(\"{}\", include!(\"HOST_FILE\")) }",
    },
    Theft {
        name: "Rust: #[doc = include_str!]",
        language: "rust",
        extension: "rs",
        code: "#[doc = include_str!(\"HOST_FILE\")]\n#[deprecated = include_str!(\"HOST_FILE\")]\nfn old() {}\nfn main() { old() }",
    },
    Theft {
        name: "C: #include",
        language: "c",
        extension: "c",
        code: "#include <stdio.h>\nconst char *taken =\n#include \"HOST_FILE\"\n;\nint main(void) { puts(taken); }",
    },
    Theft {
        name: "C: .incbin in asm",
        language: "c",
        extension: "c",
        code: "#include <stdio.h>
            __asm__(\".data\\n taken: .incbin \\\"HOST_FILE\\\"\\n .byte 0\\n .text\");
            extern const char taken[];
            int main(void) { puts(taken); }",
    },
    Theft {
        name: "C: #include, told in the complaint",
        language: "c",
        extension: "c",
        code: "int\n#include \"HOST_FILE\"\nmain(void) {}",
    },
    Theft {
        name: "C++: #include in a template",
        language: "cpp",
        extension: "cpp",
        code: "#include <iostream>\nconstexpr const char *taken() { return\n#include \"HOST_FILE\"\n; }\n\
            int main() { std::cout << taken(); }",
    },
];

/// Compiles outside, and tells what the compiler and the program say together.
fn said_outside(extension: &str, code: &str) -> String {
    let directory = temp_dir();
    let (source, program) = (directory.path().join("main").with_extension(extension), directory.path().join("program"));
    std::fs::write(&source, code).expect("a temporary file");
    let mut compiler = compiler(extension).expect("it is compiled");
    let built = compiler.arg(&source).arg("-o").arg(&program).output().expect("the tests need compilers");
    let mut said = String::from_utf8_lossy(&built.stderr).into_owned();
    if built.status.success() {
        let ran = Command::new(program).output().expect("it was built");
        said.push_str(&String::from_utf8_lossy(&ran.stdout));
    }
    said
}

#[test]
fn no_compiler_takes_a_file_of_the_host() {
    for Theft { name, language, extension, code } in THEFTS.iter().filter(|theft| is_tested(theft.language)) {
        let secret = Secret::new();
        kit::show_to_everybody(secret.directory.path());
        let code = code.replace("HOST_FILE", secret.path().to_str().expect("a path of ours is text"));
        let outside = leaving_nothing(|| said_outside(extension, &code));
        assert!(outside.contains(&secret.word), "{name}: not even outside: {outside}");

        Attack {
            name,
            layer: "the same root as the program",
            fence: HeldBy("Landlock"),
            microvm: HeldBy("the machine"),
            ..Attack::PLAIN
        }
        .check_by(|setting| {
            if !has(setting, language) {
                return;
            }
            let inside = setting.job(language, &code).outcome();
            assert_eq!(inside.verdict(), ("compile_error", "compile", 1, None), "{name}\n{inside}");
            assert!(!inside.call.stdout().contains(&secret.word), "{name}: the compiler gave it away\n{inside}");
        });
    }
}

fn has(setting: Setting, language: &str) -> bool {
    let has = setting.has(language);
    if !has && is_tested(language) {
        skip(&format!("builds of {language} in the {setting}"), "that user has no such toolchain");
    }
    has
}

#[test]
fn variables_of_the_host_are_unknown_to_the_compiler_and_the_program() {
    let code =
        "fn main() { println!(\"{:?} {:?}\", option_env!(\"HOST_SECRET\"), std::env::var(\"HOST_SECRET\").ok()) }";
    if is_tested("rust") {
        let directory = temp_dir();
        let source = directory.path().join("main.rs");
        std::fs::write(&source, code).expect("a temporary file");
        let program = directory.path().join("program");
        let mut build = compiler("rs").expect("it is compiled");
        build.arg(source).arg("-o").arg(&program).env("HOST_SECRET", "taken");
        assert!(build.status().expect("rustc").success());
        let outside = Command::new(program).env("HOST_SECRET", "taken").output().expect("it was built");
        assert_eq!(outside.stdout, b"Some(\"taken\") Some(\"taken\")\n");
    }
    let list = "env; tr '\\0' '\\n' </proc/1/environ";
    let outside = Command::new(tool("bash")).args(["-c", list]).env("HOST_SECRET", "taken").output().expect("bash");
    assert!(String::from_utf8_lossy(&outside.stdout).contains("HOST_SECRET=taken"), "not even outside: {outside:?}");

    let attack = Attack {
        name: "variables of the caller, in env! and at run time",
        layer: "an environment of its own",
        ..Attack::PLAIN
    };
    attack.check_by(|setting| {
        if has(setting, "rust") {
            let inside = setting.job("rust", code).env("HOST_SECRET", "taken").outcome();
            assert_eq!(inside.stdout(), "None None\n", "{inside}");
        }
        let listed = setting.job("bash", list).env("HOST_SECRET", "taken").outcome();
        assert!(!listed.stdout().contains("taken"), "{listed}");
    });
}

#[test]
fn a_link_at_the_compilers_output_does_not_lead_outside() {
    let directory = temp_dir();
    let target = directory.path().join("target");
    std::fs::write(&target, "untouched").expect("a temporary file");
    // Outside, whoever writes there writes to the target.
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&target, &link).expect("a link");
    std::fs::write(&link, "overwritten").expect("a link to a file of ours");
    assert_eq!(std::fs::read_to_string(&target).expect("it is there"), "overwritten");

    Attack { name: "links planted where the compiler writes", layer: "edge: reading a folder", ..Attack::PLAIN }
        .check_by(|setting| {
            for name in ["runbin", "main", "a.out"] {
                std::fs::write(&target, "untouched").expect("a temporary file");
                let call =
                    setting.run().file("project/main.c", "#include <stdio.h>\nint main(void) { puts(\"ran\"); }");
                let link = call.directory().join("project").join(name);
                std::os::unix::fs::symlink(&target, &link).expect("a link");
                let call = call.arg("project").run();
                let kept = std::fs::read_to_string(&target).expect("it is there");
                assert_eq!(kept, "untouched", "{name} led out of the cell\n{call}");
                // It never comes to the compiler.
                assert!(
                    call.code() == 2 && call.stderr().contains("leads out of it"),
                    "{name} was let through\n{call}"
                );
            }
        });
}

#[test]
fn a_planted_program_is_never_taken_for_the_built_one() {
    let planted = "#!/bin/sh\necho planted\n";
    Attack {
        name: "files called like the built program, the compiler or its parts",
        layer: "edge: names, fixed PATH",
        ..Attack::PLAIN
    }
    .check_by(|setting| {
        let job = |code: &str, name: &str| {
            let job = setting.run().arg("--json").file("main.c", code).file(name, planted);
            job.args(["main.c", "--file", name])
        };
        let refused = job("int main(void) {}", "runbin").run();
        assert!(refused.code() == 2 && refused.stderr().contains("in the way"), "{refused}");
        for name in
            ["cc", "cc1", "as", "ld", "collect2", "a.out", "specs", "crt1.o", "libc.so.6", "main.h.gch", "stdio.h"]
        {
            let built = job("#include <stdio.h>\nint main(void) { puts(\"built\"); }", name).outcome();
            assert_eq!((built.verdict(), built.stdout()), (("ok", "run", 0, None), "built\n"), "{name}\n{built}");
        }
    });
}

#[test]
fn no_attribute_or_pragma_gives_the_linker_an_order() {
    // Each names a file that would be made, or a program that would be run, by a linker or compiler that obeyed.
    let orders = [
        (
            "rust",
            "#![feature(link_args)]\n#![allow(unused_attributes)]\n#[link_args = \"-Wl,--trace\"]\nunsafe extern \"C\" {}\nfn main() {}",
        ),
        ("rust", "#[link(name = \"c\", kind = \"raw-dylib\")]\nunsafe extern \"C\" {}\nfn main() {}"),
        ("rust", "#[link(name = \"x -Wl,--trace -o/tmp/planted\")]\nunsafe extern \"C\" {}\nfn main() {}"),
        ("rust", "#![feature(plugin)]\n#![plugin(evil)]\nfn main() {}"),
        ("c", "#pragma GCC plugin(\"/tmp/evil.so\")\n#pragma GCC poison evil\nint evil;\nint main(void) {}"),
        (
            "c",
            "__asm__(\".section .note.GNU-stack,\\\"\\\"\\n .linker_option \\\"-o/tmp/planted\\\"\");\nint main(void) {}",
        ),
    ];
    Attack {
        name: "orders to the linker in attributes and pragmas",
        layer: "compiler's own rules, jailed build",
        ..Attack::PLAIN
    }
    .check_by(|setting| {
        for (language, code) in orders {
            if has(setting, language) {
                let inside = setting.job(language, code).outcome();
                assert_eq!(inside.verdict().1, "compile", "{code} was built\n{inside}");
                assert!(["compile_error", "compiler_crash"].contains(&inside.verdict().0), "{inside}");
            }
        }
    });
}
