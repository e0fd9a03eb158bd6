//! Attacks on what a job may see of the host: files, processes, names, descriptors, what it runs. Each succeeds outside.

mod kit;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::thread;

use kit::Expectation::{HeldBy, Open};
use kit::{
    Allowance, Attack, Control, Guard, OrdinaryUser, Running, Secret, leaving_nothing, skip, start_outside, tool,
};

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[test]
fn files_of_the_host_and_words_of_the_host_in_proc_are_out_of_reach() {
    let secret = Secret::new();
    // Who may not see it has a wall to thank, and not its mode.
    kit::show_to_everybody(secret.directory.path());
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("we are in it");
    let home = std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
    let toolchains = [".rustup", ".pyenv", ".cargo", ".nvm"].map(|name| Path::new(&home).join(name).into_os_string());
    let mut args = vec![secret.path().into_os_string(), OsString::from(&secret.word)];
    args.extend([host_name().into(), repository.into_os_string(), secret.directory.path().into()]);
    args.extend(toolchains);
    Attack {
        name: "files of the host, and its words in /proc",
        layer: "root of its own",
        source: "host_files.py",
        args,
        // Not in the caller's own /proc: there it would look at everybody's processes.
        control: Control::OwnNamespaces,
        succeeds_outside: &[
            "see that a file of the host is there",
            "read a file of the host",
            "read /etc/shadow",
            "list /root",
            "list /sys",
            "read through /proc/1/root",
            "a word of the host in /proc",
            "the host's name",
        ],
        fence: Open(&["see that a file of the host is there", "the host's name"]),
        microvm: HeldBy("the machine"),
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn the_callers_own_files_are_out_of_reach() {
    // A job of an ordinary user has that user's uid on the host: the uid is not what keeps it away.
    let secret = Secret::new();
    secret.give_to(&OrdinaryUser::find());
    Attack {
        name: "files that the caller owns",
        layer: "root of its own",
        source: "own_files.py",
        args: vec![secret.path().into()],
        control: Control::OrdinaryUser,
        succeeds_outside: &[
            "see that it is there",
            "read it",
            "write to it",
            "cut it",
            "change its mode",
            "change its times",
            "list what is beside it",
            "make a file beside it",
            "link to it",
            "give it another name",
            "remove what is beside it",
        ],
        fence: Open(&["see that it is there"]),
        microvm: HeldBy("the machine"),
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn host_paths_are_in_no_mount_of_a_compiled_language_either() {
    let secret = Secret::new();
    let code = "fn main() { print!(\"{}\", std::fs::read_to_string(\"/proc/self/mountinfo\").unwrap_or_default()) }";
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    Attack {
        name: "paths of the host in the list of mounts",
        layer: "detached root",
        fence: HeldBy("Landlock"),
        ..Attack::PLAIN
    }
    .check_by(|setting| {
        if !setting.has("rust") {
            return skip(&format!("Rust in the {setting}"), "that user can read no toolchain");
        }
        let outcome = setting.job("rust", code).outcome();
        let told = secret.directory.path().to_str().expect("text");
        for word in [home.as_str(), env!("CARGO_MANIFEST_DIR"), ".rustup", "firebox-test", told] {
            assert!(!outcome.stdout().contains(word), "mountinfo says {word}\n{outcome}");
        }
    });
}

#[test]
fn processes_of_the_host_are_out_of_sight() {
    let guard = Guard::new(Allowance::CONTROL);
    let word = format!("bystander{}", std::process::id());
    let mut command = guard.command(tool("sh"));
    command.args(["-c", "sleep 1000; true", &word]).env("SECRET", &word);
    let bystander = Running::start(guard, command, None);
    Attack {
        name: "processes of the host",
        layer: "PID namespace",
        source: "host_processes.py",
        args: vec![bystander.pid().to_string().into(), word.into()],
        succeeds_outside: &[
            "that it is there",
            "its program",
            "its arguments",
            "its environment",
            "a signal to it",
            "its scheduling",
            "more than five processes",
        ],
        fence: Open(&["that it is there", "its scheduling", "more than five processes"]),
        microvm: HeldBy("the machine, PID namespace"),
        ..Attack::PLAIN
    }
    .check();
    bystander.end();
}

/// Runs a program of the host over and over, which also reads itself, for as long as `watching` takes.
fn while_the_host_runs_programs<T>(watching: impl FnOnce() -> T + Send) -> T
where
    T: Send,
{
    thread::scope(|scope| {
        let watching = scope.spawn(watching);
        while !watching.is_finished() {
            let program = Path::new("/usr/bin/od");
            let ran = Command::new(program).arg(program).output().expect("the tests need od");
            assert!(ran.status.success(), "od fails: {}", String::from_utf8_lossy(&ran.stderr));
        }
        watching.join().expect("watching does not fail")
    })
}

#[test]
fn what_the_host_runs_and_reads_cannot_be_watched() {
    let watched =
        ["/usr/bin", "/usr/bin/od", "/usr/lib", "/lib/x86_64-linux-gnu", "/lib64", "/etc", "/etc/ld.so.cache"];
    // It is over as soon as it has seen enough, so that these times are only for who sees nothing.
    let args = |seconds: &str| [seconds].into_iter().chain(watched).map(OsString::from).collect::<Vec<_>>();

    let outside = leaving_nothing(|| {
        let outside = start_outside("watches.py", &args("20"), Control::Bare);
        outside.wait_for_stdout("watching\n");
        while_the_host_runs_programs(|| outside.wait())
    });
    for way in ["inotify", "dnotify"] {
        assert!(outside.stdout().contains(&format!("ESCAPED: {way}")), "not even outside\n{outside}");
    }

    Attack {
        name: "watching what the host runs",
        layer: "layer over the host's directories",
        fence: HeldBy("seccomp"),
        microvm: HeldBy("the machine"),
        ..Attack::PLAIN
    }
    .check_by(|setting| {
        let inside = setting.run().attack("watches.py").program_args(args("2")).start();
        inside.wait_for_stdout("watching\n");
        let inside = while_the_host_runs_programs(|| inside.wait());
        assert!(inside.code() == 0 && inside.stdout().contains("\nwatched "), "it did not watch to the end\n{inside}");
        assert!(!inside.stdout().contains("opened 0 "), "there was nothing to watch\n{inside}");
        assert!(!inside.stdout().contains("ESCAPED"), "what it saw of the host\n{inside}");
    });
}
