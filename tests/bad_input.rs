//! What a user gets wrong, and what the host cannot do: each is told what, where and what to do.
//!
//! What the request got wrong exits with 2, what the host cannot do with 125; nothing half-made stays behind. A NUL in
//! a path cannot come through a command line or a file system, so it is tested where JSON is read.

mod kit;

use kit::{Firebox, HostInventory, firebox, is_root, tool};

const REQUEST: i32 = 2;
const HOST: i32 = 125;

/// A call that must be refused with `code` and a message that holds `words`.
fn check(call: Firebox, code: i32, words: &[&str]) {
    let host = HostInventory::take();
    let call = call.run();
    assert_eq!((call.code(), call.stdout().as_str()), (code, ""), "{call}");
    let said = call.stderr();
    for word in words {
        assert!(said.contains(word), "the message lacks {word:?}\n{call}");
    }
    assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "a panic is no message\n{call}");
    host.assert_nothing_left();
}

/// `firebox run` with these arguments.
fn run(args: &[&str]) -> Firebox {
    firebox().arg("run").args(args.iter().copied())
}

#[test]
fn an_unknown_language_is_refused_with_the_nearest_names() {
    for (asked, nearest) in [("pyton", "python"), ("javascrpt", "javascript"), ("rusk", "rust")] {
        check(run(&["--lang", asked, "--code", "x"]), REQUEST, &[asked, nearest]);
    }
}

#[test]
fn a_file_of_no_known_kind_is_refused_with_what_to_add() {
    check(firebox().file("data.xyz", "x").args(["run", "data.xyz"]), REQUEST, &["data.xyz", "--lang"]);
}

#[test]
fn empty_code_is_refused() {
    check(run(&["--lang", "rust", "--code", ""]), REQUEST, &["empty"]);
    check(run(&["--lang", "rust", "-"]).stdin(""), REQUEST, &["empty"]);
    check(firebox().file("main.rs", "").args(["run", "main.rs"]), REQUEST, &["main.rs", "empty"]);
}

#[test]
fn code_over_the_limit_is_refused_with_both_numbers() {
    let large = vec![b'#'; 9 << 20];
    check(firebox().file("main.py", &large).args(["run", "main.py"]), REQUEST, &["9 MiB", "8 MiB", "--input"]);
    check(run(&["--lang", "python", "-"]).stdin(large), REQUEST, &["8 MiB", "--input"]);
    let call = run(&["--lang", "python", "--input", "1K", "--code", &"#".repeat(3000)]);
    check(call, REQUEST, &["3000 bytes", "1 KiB"]);
}

#[test]
fn a_device_is_refused_before_it_is_read() {
    check(run(&["--lang", "python", "/dev/zero"]), REQUEST, &["/dev/zero", "character device"]);
}

#[test]
fn a_name_that_could_leave_the_work_directory_is_refused() {
    for (name, why) in
        [("/etc/cron.d/x", "absolute"), ("../x.py", ".."), ("a/../../x.py", ".."), ("a//b.py", "a//b.py")]
    {
        let call = firebox().file("main.py", "pass").file("other.py", "pass");
        check(call.args(["run", "main.py", "--file", &format!("{name}=other.py")]), REQUEST, &[name, why]);
    }
}

#[test]
fn two_files_of_one_name_are_refused() {
    let call = firebox().file("main.py", "pass").file("a.py", "pass").file("b.py", "pass");
    let call = call.args(["run", "main.py", "--file", "helper.py=a.py", "--file", "helper.py=b.py"]);
    check(call, REQUEST, &["helper.py", "two files"]);
}

#[test]
fn a_directory_where_a_file_is_meant_is_refused() {
    let call = || firebox().file("main.py", "pass").file("folder/x", "");
    check(call().args(["run", "main.py", "--file", "folder"]), REQUEST, &["folder", "directory"]);
    check(call().args(["run", "main.py", "--stdin", "folder"]), REQUEST, &["folder", "directory"]);
}

#[test]
fn a_folder_without_the_file_to_start_from_is_refused_with_what_to_add() {
    let call = firebox().file("folder/other.py", "pass");
    check(
        call.args(["run", "folder", "--lang", "python"]),
        REQUEST,
        &["folder `folder` holds no `main.py`", "name the file to start from with `--entry`"],
    );
}

#[test]
fn a_missing_file_is_refused_by_name() {
    let call = run(&["missing.py"]);
    let here = call.directory().display().to_string();
    check(call, REQUEST, &["missing.py", "No such file", "it was looked for in", &here]);
    for flag in ["--file", "--stdin"] {
        let call = firebox().file("main.py", "pass");
        let here = call.directory().display().to_string();
        check(call.args(["run", "main.py", flag, "missing.txt"]), REQUEST, &["missing.txt", "No such file", &here]);
    }
}

#[test]
fn a_limit_above_the_ceiling_is_refused_with_flag_and_ceiling() {
    for (flag, asked, ceiling) in [
        ("--timeout", "601s", "600 s"),
        ("--tasks", "1025", "1024"),
        ("--output", "65M", "64 MiB"),
        ("--disk", "5G", "4 GiB"),
        ("--memory", "100000G", "GiB"),
        ("--vcpus", "100000", "ceiling"),
        ("--run-time", "61s", "60 s"),
    ] {
        check(run(&["--lang", "bash", "--code", "true", flag, asked]), REQUEST, &[flag, ceiling]);
    }
}

#[test]
fn a_limit_of_zero_is_refused_and_never_means_none() {
    for flag in [
        "--timeout",
        "--compile-time",
        "--run-time",
        "--cpu-time",
        "--memory",
        "--tasks",
        "--disk",
        "--output",
        "--vcpus",
    ] {
        check(run(&["--lang", "bash", "--code", "true", flag, "0"]), REQUEST, &[flag, "zero"]);
    }
}

#[test]
fn a_limit_without_sense_is_refused_with_what_to_write() {
    check(run(&["--lang", "bash", "--code", "true", "--memory", "lots"]), REQUEST, &["--memory", "lots", "512M"]);
    check(run(&["--lang", "bash", "--code", "true", "--timeout", "soon"]), REQUEST, &["--timeout", "soon", "10s"]);
    check(run(&["--lang", "bash", "--code", "true", "--memory", "-5"]), REQUEST, &["--memory", "`-5`", "512M"]);
    check(run(&["--lang", "bash", "--code", "true", "--memory", "1K"]), REQUEST, &["--memory", "4 MiB"]);
}

#[test]
fn a_word_without_a_place_is_refused_with_where_it_belongs() {
    check(firebox().file("-dash.py", "pass").args(["run", "-dash.py"]), REQUEST, &["`./-dash.py`"]);
    let call = || firebox().file("main.py", "pass").file("x.c", "");
    check(call().args(["run", "main.py", "x.c"]), REQUEST, &["x.c", "after `--`", "`--file`"]);
    check(call().args(["run", "main.py", "-v"]), REQUEST, &["-v", "after `--`"]);
}

#[test]
fn an_option_that_the_language_does_not_take_is_refused_with_those_it_does() {
    check(run(&["--lang", "rust", "--code", "fn main() {}", "--edition", "2020"]), REQUEST, &["2020", "2021", "2024"]);
    check(run(&["--lang", "bash", "--code", "true", "--edition", "2021"]), REQUEST, &["edition", "bash"]);
}

#[test]
fn a_trace_id_that_could_forge_a_log_line_is_refused() {
    check(
        run(&["--lang", "bash", "--code", "true", "--trace-id", "a\nb"]),
        REQUEST,
        &["trace_id", "control character"],
    );
}

#[test]
fn a_missing_toolchain_is_told_with_what_to_install() {
    for (language, install) in [("rust", "rustup.rs"), ("python", "apt install python3"), ("javascript", "nodejs")] {
        check(run(&["--lang", language, "--code", "x"]).env("PATH", "/nonexistent"), HOST, &[language, install]);
    }
}

#[test]
fn a_kind_of_cell_that_this_host_lacks_is_refused() {
    check(run(&["--lang", "bash", "--code", "echo it ran", "--isolation", "microvm"]), HOST, &["help:"]);
    check(run(&["--lang", "bash", "--code", "echo it ran", "--isolation", "bunker"]), REQUEST, &["bunker", "jail"]);
}

#[test]
fn output_that_nobody_can_store_is_a_fault_that_is_told() {
    let full = ["/bin/sh", "-c", "exec \"$@\" > /dev/full", "sh"];
    let call = run(&["--lang", "bash", "--code", "echo hello"]).through(full);
    check(call, HOST, &["standard output", "No space left on device"]);
    let call = run(&["--lang", "bash", "--code", "true", "--json"]).through(full);
    check(call, HOST, &["standard output", "No space left on device"]);
}

#[test]
fn a_file_that_the_caller_may_not_read_is_refused_by_name() {
    if !is_root("a call as somebody else") {
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let call = firebox().file("secret.py", "print('secret')");
    let set_mode = |name: &str, mode: u32| {
        let path = call.directory().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    set_mode("", 0o755);
    set_mode("secret.py", 0o600);
    // Not every user can reach the directory that Cargo builds in.
    let binary = call.directory().join("copy-of-the-binary");
    std::fs::copy(env!("CARGO_BIN_EXE_firebox"), &binary).expect("a copy of the binary");
    let as_nobody = "exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0\" run secret.py";
    let call = call.through([tool("sh").into(), "-c".into(), as_nobody.into(), binary.into_os_string()]);
    check(call, REQUEST, &["secret.py", "ermission denied"]);
}

#[test]
fn a_link_in_a_folder_does_not_bring_the_file_behind_it() {
    let directory = kit::temp_dir();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "the secret").expect("a temporary file");
    let call = firebox().file("project/main.sh", "cat link; true");
    std::os::unix::fs::symlink(&secret, call.directory().join("project/link")).expect("a link");
    check(call.args(["run", "project"]), REQUEST, &["\"link\"", "leads out of it"]);
}
