//! Which object code every linker makes the same of, in silence: tried on what the host's C compiler makes.
#![cfg(target_arch = "x86_64")]

use std::fs;
use std::path::Path;
use std::process::Command;

use firebox_linker::{Warned, is_ordinary};

/// What a compiler makes of this code.
fn object(code: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (source, object) = (folder.path().join("main.c"), folder.path().join("main.o"));
    fs::write(&source, code).unwrap();
    let made =
        Command::new("cc").args(["-fPIE", "-fno-lto", "-w", "-c", "-o"]).arg(&object).arg(&source).output().unwrap();
    assert!(made.status.success(), "{code}\n{}", String::from_utf8_lossy(&made.stderr));
    fs::read(object).unwrap()
}

/// What the C library asks to be warned of.
fn of_the_c_library() -> Warned {
    let named = Command::new("cc").arg("-print-file-name=libc.so").output().unwrap();
    let path = String::from_utf8(named.stdout).unwrap();
    let folder = Path::new(path.trim()).parent().unwrap().display().to_string();
    Warned::by(&[format!("-L{folder}"), "-lc".to_owned()], "main.o").unwrap()
}

#[test]
fn ordinary_programs_are_ordinary() {
    let warned = of_the_c_library();
    for code in [
        "int main(void) { return 0; }",
        "#include <stdio.h>\nint main(void) { printf(\"%f %s\\n\", 1.5, \"text\"); return 0; }",
        "#include <errno.h>\nint main(void) { return errno; }",
        "static int zero[9]; static int set[9] = {1}; const char *const names[] = {\"a\"}; int (*f)(void); int main(void) { return set[zero[0]]; }",
        "_Thread_local int own = 5; static _Thread_local int zero; int main(void) { return own + zero; }",
        "__attribute__((constructor)) static void first(void) {} __attribute__((destructor(200))) static void last(void) {} int main(void) { return 0; }",
        "__attribute__((weak)) int weak(void) { return 1; } extern int maybe(void) __attribute__((weak)); int main(void) { return maybe ? maybe() : weak(); }",
        "int hidden __attribute__((visibility(\"hidden\"))); int main(void) { switch (hidden) { case 1: return 5; case 2: return 7; case 3: return 9; case 4: return 1; case 5: return 2; } return 0; }",
    ] {
        assert!(is_ordinary(&object(code), &warned), "{code}");
    }
}

#[test]
fn what_a_linker_could_say_something_about_is_not_ordinary() {
    let warned = of_the_c_library();
    for (why, code) in [
        ("a warning that the library asks for", "char *gets(char *); int main(void) { return gets(0) != 0; }"),
        ("another", "char *tmpnam(char *); char *(*f)(char *) = tmpnam;"),
        ("a variable of threads that is taken for another", "extern int errno; int main(void) { return errno; }"),
        ("a common variable", "__attribute__((common)) int common;"),
        (
            "an indirect function",
            "static int f(void) { return 1; } static int (*pick(void))(void) { return f; } int g(void) __attribute__((ifunc(\"pick\")));",
        ),
        ("a section of its own", "__attribute__((section(\"apart\"))) int own;"),
        (
            "a section that warns",
            "__asm__(\".section .gnu.warning.f,\\\"\\\",@progbits\\n.string \\\"no\\\"\\n.text\");",
        ),
        (
            "a section of another kind than its name says",
            "__asm__(\".section .bss.full,\\\"aw\\\",@progbits\\n.long 1\\n.text\");",
        ),
        ("data that could be executed", "__asm__(\".section .data.code,\\\"awx\\\",@progbits\\n.long 1\\n.text\");"),
        ("code that could be changed", "__asm__(\".section .text.open,\\\"awx\\\",@progbits\\n.long 1\\n.text\");"),
        ("a stack that must be executable", "__asm__(\".section .note.GNU-stack,\\\"x\\\",@progbits\\n.text\");"),
        ("an address in code", "int f(void); __asm__(\".text\\n.quad f\");"),
        ("half an address", "int f(void); __asm__(\".data\\n.long f\\n.text\");"),
        ("a name of the linker's script", "extern char end; char *at = &end;"),
        ("another of these", "extern char __start_own; char *at = &__start_own;"),
        (
            "a version of a function",
            "__asm__(\".symver puts,puts@GLIBC_2.2.5\"); int puts(const char *); int main(void) { return puts(\"\"); }",
        ),
        (
            "a hidden thing that is elsewhere",
            "extern int f __attribute__((visibility(\"hidden\"))); int main(void) { return f; }",
        ),
        ("an absolute symbol", "__asm__(\".globl place\\nplace = 4096\");"),
        (
            "one of its kind",
            "__asm__(\".globl one\\n.type one,@gnu_unique_object\\n.data\\none: .long 1\\n.size one, 4\\n.text\");",
        ),
    ] {
        assert!(!is_ordinary(&object(code), &warned), "{why}: {code}");
    }
}

#[test]
fn a_file_that_is_cut_or_changed_anywhere_is_read_without_harm() {
    let warned = Warned::default();
    let whole = object("#include <stdio.h>\nint main(void) { puts(\"text\"); return 0; }");
    assert!(is_ordinary(&whole, &warned));
    for length in 0..whole.len() {
        assert!(!is_ordinary(&whole[..length], &warned), "{length} of {} bytes", whole.len());
    }
    for at in 0..whole.len() {
        for byte in [0, 0x7f, 0xff] {
            let mut changed = whole.clone();
            changed[at] = byte;
            // Whatever is said of it.
            is_ordinary(&changed, &warned);
        }
    }
    assert!(!is_ordinary(b"", &warned) && !is_ordinary(&fs::read("/bin/true").unwrap(), &warned));
}
