//! What the linker in a cell makes is what the host's would have made, to whoever runs it and whoever reads its errors.

mod kit;

use std::fs;
use std::path::Path;

use kit::{Allowance, Guard, HostInventory, Running, Setting, compiler, repository, temp_dir};

/// What somebody sees who compiles and runs a program.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    built: bool,
    code: i64,
    stdout: String,
    stderr: String,
}

/// What `RUST_BACKTRACE` is set to.
const BACKTRACES: [&str; 3] = ["0", "1", "full"];

/// What differs from one time to the next of the same: addresses, numbers of threads, names of temporary directories.
/// And what differs in a cell for other reasons: the list of all that is linked, for there is another standard library on
/// it; and the call that threads are made with, for the filter knows only the older one.
fn without_chance(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !["  = note:  \"cc\"", "clone.S:", "clone3.S:"].iter().any(|other| line.contains(other)))
        .map(|line| {
            let mut words = Vec::new();
            for word in line.split(' ') {
                let numbered = words.last().is_some_and(|before: &String| before.ends_with('\''));
                let core = word.trim_matches(['(', ')', ':', ',']);
                let chance = core.starts_with("0x") || numbered && core.bytes().all(|byte| byte.is_ascii_digit());
                words.push(if chance { word.replace(core, "N") } else { word.to_owned() });
            }
            // The symbols of a backtrace are in a column after the addresses.
            words.retain(|word| !word.is_empty());
            words.join(" ")
        });
    let text = lines.collect::<Vec<_>>().join("\n");
    text.replace("- clone3\n", "- clone\n")
}

/// Compiled and run outside, with `rustc` and the host's linker.
fn outside(source: &Path, backtrace: &str) -> Seen {
    let directory = temp_dir();
    fs::copy(source, directory.path().join("main.rs")).expect("a program of these tests");
    let mut rustc = compiler("rs").expect("it is compiled");
    rustc.current_dir(directory.path()).args(["--crate-name", "main", "-o", "runbin", "main.rs"]);
    let built = rustc.output().expect("rustc");
    if !built.status.success() {
        let stderr = String::from_utf8_lossy(&built.stderr);
        let code = i64::from(built.status.code().expect("rustc ends by itself"));
        return Seen { built: false, code, stdout: String::new(), stderr: without_chance(&stderr) };
    }
    let guard = Guard::new(Allowance::CONTROL);
    let mut command = guard.command("./runbin");
    command.current_dir(directory.path()).env("RUST_BACKTRACE", backtrace);
    let ended = Running::start(guard, command, None).keeping(directory).wait();
    let code = i64::from(ended.code());
    Seen { built: true, code, stdout: without_chance(&ended.stdout()), stderr: without_chance(&ended.stderr()) }
}

fn inside(setting: Setting, code: &str, backtrace: &str) -> Seen {
    let variable = format!("RUST_BACKTRACE={backtrace}");
    let outcome = setting.job("rust", code).args(["--env", &variable]).outcome();
    let (_, step, code, _) = outcome.verdict();
    let (stdout, stderr) = (without_chance(outcome.stdout()), without_chance(outcome.stderr()));
    Seen { built: step == "run", code, stdout, stderr }
}

#[test]
fn programs_errors_panics_and_backtraces_are_those_of_plain_rustc() {
    let host = HostInventory::take();
    let folder = repository("tests/linking");
    let mut sources: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    sources.sort();
    assert!(sources.len() > 10, "these are not all: {sources:?}");
    for source in &sources {
        let code = fs::read_to_string(source).unwrap();
        for backtrace in BACKTRACES {
            let expected = outside(source, backtrace);
            for setting in settings() {
                let seen = inside(setting, &code, backtrace);
                assert_eq!(seen, expected, "{}, {setting}, {backtrace}", source.display());
            }
        }
    }
    host.assert_nothing_left();
}

/// Those that have a Rust.
fn settings() -> impl Iterator<Item = Setting> {
    Setting::tried().iter().copied().filter(|setting| setting.missing().is_none() && setting.has("rust"))
}

/// Tells whether the linker that made it put its name into it.
const WHO_LINKED: &str = "fn main() {
    let program = std::fs::read(std::env::args().next().unwrap()).unwrap();
    let mut name = *b\"Xild \";
    name[0] = std::hint::black_box(b'W');
    println!(\"{}\", program.windows(5).any(|word| word == name));
}";

#[test]
fn in_a_cell_it_is_our_linker_that_links() {
    let host = HostInventory::take();
    let directory = temp_dir();
    let source = directory.path().join("main.rs");
    fs::write(&source, WHO_LINKED).unwrap();
    assert_eq!(outside(&source, "0").stdout, "false", "on this host, rustc links with what is to be compared");
    for setting in settings() {
        for profile in ["debug", "release"] {
            let option = format!("profile={profile}");
            let outcome = setting.job("rust", WHO_LINKED).args(["--option", &option]).outcome();
            assert_eq!(outcome.stdout(), "true\n", "{setting}, {profile}\n{outcome}");
        }
    }
    host.assert_nothing_left();
}

#[test]
fn the_linker_is_for_builds_alone_and_tells_nothing_of_who_built_it() {
    let host = HostInventory::take();
    let code = "use std::process::Command;
        fn main() {
            println!(\"{}\", std::env::var(\"PATH\").unwrap().contains(\"firebox\"));
            let program = std::fs::read(\"/opt/firebox/linker/cc\").unwrap();
            let says = |text: &str| program.windows(text.len()).any(|part| part == text.as_bytes());
            println!(\"{} {}\", says(\"HOME_OF_ITS_BUILDER\"), says(\"/opt/firebox\"));
            for words in [&[\"run\"][..], &[\"doctor\"], &[\"--version\"], &[]] {
                let ended = Command::new(\"/opt/firebox/linker/cc\").args(words).output().unwrap();
                println!(\"{}\", String::from_utf8_lossy(&ended.stdout).contains(\"firebox\"));
            }
            println!(\"{:?}\", std::fs::write(\"/opt/firebox/linker/cc\", \"\").map_err(|error| error.kind()));
        }";
    let home = std::env::var("HOME").expect("tests have a home");
    for setting in [Setting::RootJail, Setting::UserJail] {
        if setting.missing().is_some() || !setting.has("rust") {
            continue;
        }
        let outcome = setting.job("rust", &code.replace("HOME_OF_ITS_BUILDER", &format!("{home}/"))).outcome();
        let expected = "false\nfalse false\nfalse\nfalse\nfalse\nfalse\nErr(ReadOnlyFilesystem)\n";
        assert_eq!(outcome.stdout(), expected, "{setting}\n{outcome}");
    }
    host.assert_nothing_left();
}
