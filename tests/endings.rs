//! However a compiler ends, its job's outcome is that of a compiler whose end was awaited: also where its program begins when
//! it is sure how the compiler ends, and not only when that is gone.

mod kit;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use kit::{Response, attacks, requests, temp_dir, tool};
use serde_json::json;

/// What the compiler is told to do, what becomes of its job, and whether it is watched up to its end.
const ENDINGS: [(&str, &str, bool); 13] = [
    ("well", "ok", true),
    ("children", "ok", true),
    ("a thread that writes", "ok", true),
    ("another thread ends it", "ok", true),
    ("the first thread ends alone", "ok", true),
    ("the first thread ends alone, and it fails", "compile_error", true),
    ("signals 20", "ok", true),
    // More than somebody who is watched may be stopped for.
    ("signals 300", "ok", false),
    ("stands still", "ok", true),
    ("last words", "ok", true),
    ("fails at last", "compile_error", true),
    ("dies", "compiler_crash", true),
    ("never ends", "timeout", true),
];

/// A toolchain of one program, the compiler.
fn toolchain() -> tempfile::TempDir {
    let prefix = temp_dir();
    let bin = prefix.path().join("bin");
    std::fs::create_dir(&bin).expect("a directory");
    let mut build = Command::new(tool("cc"));
    let built = build.args(["-O1", "-pthread", "-o"]).arg(bin.join("rustc")).arg(attacks("endings.c")).status();
    let built = built.expect("a compiler");
    assert!(built.success(), "endings.c does not build");
    for path in [prefix.path(), &bin] {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("ours");
    }
    prefix
}

/// The outcomes by cells that waited with the compiler in them, or by cells that were made for each job.
fn outcomes(toolchain: &Path, warm: usize) -> Vec<Response> {
    let path = format!("{}/bin:/usr/bin:/bin", toolchain.display());
    let asking = requests(&["rust"]).keeping_warm(warm).by_programs_of(&path);
    let asked =
        ENDINGS.iter().map(|(word, ..)| json!({"lang": "rust", "code": word, "limits": {"compile_seconds": 2}}));
    asked.fold(asking, |asking, request| asking.ask("", request)).answered()
}

#[test]
fn whatever_a_compiler_does_in_the_end_its_program_runs_alone_or_not_at_all() {
    let toolchain = toolchain();
    // A cell's `/proc` does not say how the kernel grants memory; a tool that was started ahead has heard it all the same.
    let granted = std::fs::read_to_string("/proc/sys/vm/overcommit_memory").expect("a kernel that says so");
    let (plain, ahead) = (outcomes(toolchain.path(), 0), outcomes(toolchain.path(), 2));
    for (((word, status, to_the_end), plain), ahead) in ENDINGS.iter().zip(&plain).zip(&ahead) {
        let program = |watched: &str, granted: &str| match *status {
            "ok" => format!("{watched}, alone, {}\n", granted.trim()),
            _ => String::new(),
        };
        let expected = program("unwatched", "silence");
        assert_eq!((plain.status(), plain.stdout()), (*status, expected.as_str()), "{word}: {plain:?}");
        // Only where the kernel holds each step to its own are two of them there at once.
        let watched = *to_the_end && ahead.is_enforced();
        let expected = program(if watched { "watched" } else { "unwatched" }, &granted);
        assert_eq!((ahead.status(), ahead.stdout()), (*status, expected.as_str()), "{word}: {ahead:?}");
        assert_eq!(ahead.diagnostics(), plain.diagnostics(), "{word}");
    }
}
