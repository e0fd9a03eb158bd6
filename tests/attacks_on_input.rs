//! Attacks through what a job is made of: names that leave the work directory, too many files, devices, endless input.
//! They meet the edge before there is a cell.

mod kit;

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::Duration;

use kit::{Attack, Firebox, temp_dir, tool};

const REFUSED: i32 = 2;

/// Where code is read when there is a cell, a machine boots before, on a processor that may be emulated.
const SOON: Duration = Duration::from_secs(60);

/// Refused with these words, soon, and without a panic.
fn check_refused(call: Firebox, words: &[&str]) {
    let call = call.run();
    assert_eq!((call.code(), call.stdout().as_str()), (REFUSED, ""), "{call}");
    let said = call.stderr();
    assert!(words.iter().all(|word| said.contains(word)), "the message lacks one of {words:?}\n{call}");
    assert!(!said.contains("panicked"), "a panic is no message\n{call}");
    assert!(!said.contains('\u{1b}'), "an escape sequence of a name reached the terminal\n{call}");
    assert!(call.wall < SOON, "{call}");
}

#[test]
fn names_that_lead_out_of_the_work_directory_are_refused() {
    // Joined to a directory by anybody who does not look, they lead out of it.
    let directory = temp_dir();
    std::fs::create_dir(directory.path().join("job")).expect("a directory");
    std::fs::write(directory.path().join("job").join("../escaped"), "x").expect("a name like any other");
    assert!(directory.path().join("escaped").exists(), "not even outside");
    let long = "x".repeat(256);
    let deep = "d/".repeat(3000) + "x";
    let names =
        ["/etc/passwd", "../x", "a/../../x", "..", ".", "a//b", "a/./b", "a/", &long, &deep, "a\u{1b}[2J", "a\nb"];
    Attack { name: "file names: absolute, .., empty, too long, too deep", layer: "edge: names", ..Attack::PLAIN }
        .check_by(|setting| {
            for name in names {
                let call = setting.run().file("main.py", "print('ran')").file("other", "x");
                let call = call.args(["main.py", "--file", &format!("{name}=other")]).run();
                // What is a name after all stays in the work directory, and its bytes off the terminal.
                let fine = call.code() == 0 && call.stdout() == "ran\n";
                assert!(call.code() == REFUSED || fine, "{name:?}\n{call}");
                assert!(
                    call.code() == REFUSED || !name.contains("..") && !name.starts_with('/'),
                    "{name:?} is taken\n{call}"
                );
                assert!(!call.stderr().contains('\u{1b}'), "an escape sequence of a name reached the terminal\n{call}");
            }
        });
}

#[test]
fn a_folder_of_hundred_thousand_files_is_refused_or_fits() {
    Attack { name: "a folder of a hundred thousand files", layer: "edge: input limit", ..Attack::PLAIN }.check_by(
        |setting| {
            let call = setting.run().file("folder/main.py", "print('ran')");
            for i in 0..100_000 {
                std::fs::File::create(call.directory().join(format!("folder/{i}"))).expect("a file");
            }
            let call = call.args(["folder"]).memory_mib(512).run();
            let limited = call.code() == 153 || call.code() == REFUSED;
            assert!(limited && call.stdout().is_empty() && !call.stderr().contains("panicked"), "{call}");
            assert!(call.wall < Duration::from_secs(15), "{call}");
        },
    );
}

#[test]
fn nothing_but_files_is_read_from_a_folder() {
    type Plant = fn(&std::path::Path);
    let planted: [(&str, Plant); 5] = [
        ("a link out of it", |folder| symlink("/etc/passwd", folder.join("x")).expect("a link")),
        ("a link to its parent", |folder| symlink("..", folder.join("x")).expect("a link")),
        ("a link to itself", |folder| symlink("x", folder.join("x")).expect("a link")),
        ("a fifo", |folder| {
            assert!(Command::new(tool("mkfifo")).arg(folder.join("x")).status().expect("mkfifo").success())
        }),
        ("a socket", |folder| drop(UnixListener::bind(folder.join("x")).expect("a socket"))),
    ];
    Attack {
        name: "a folder with links out of it, loops, fifos and sockets",
        layer: "edge: reading a folder",
        ..Attack::PLAIN
    }
    .check_by(|setting| {
        for (what, plant) in planted {
            let call = setting.run().file("folder/main.py", "import os; print(os.listdir('.'))");
            plant(&call.directory().join("folder"));
            let call = call.arg("folder").run();
            let left_out = call.code() == 0 && call.stdout() == "['main.py']\n";
            assert!(call.code() == REFUSED || left_out, "{what}\n{call}");
            assert!(call.wall < Duration::from_secs(5), "{what} held it up\n{call}");
        }
    });
}

#[test]
fn an_endless_device_is_no_file() {
    Attack { name: "devices and /proc as code, file or input", layer: "edge: regular files", ..Attack::PLAIN }
        .check_by(|setting| {
            check_refused(setting.run().args(["--lang", "python", "/dev/zero"]), &["/dev/zero"]);
            let with = || setting.run().file("main.py", "print('ran')").arg("main.py");
            check_refused(with().args(["--file", "x=/dev/zero"]), &["/dev/zero"]);
            check_refused(with().args(["--file", "x=/proc/self/mem"]), &["/proc/self/mem"]);
        });
}

#[test]
fn endless_input_costs_no_memory() {
    Attack { name: "standard input without end", layer: "engine: input passes through", ..Attack::PLAIN }.check_by(
        |setting| {
            let zero = [tool("sh").into_os_string(), "-c".into(), "exec \"$@\" </dev/zero".into(), "sh".into()];
            let call = setting.job("bash", "cat >/dev/null").through(zero.clone()).args([
                "--run-time",
                "1s",
                "--memory",
                "16M",
            ]);
            let call = call.memory_mib(setting.enough_mib(160)).outcome();
            assert_eq!(call.verdict(), ("timeout", "run", 124, None), "{call}");
            let code = setting.run().through(zero).args(["--lang", "python", "-"]).memory_mib(160);
            check_refused(code, &["--input"]);
        },
    );
}
