//! A step is measured from its beginning on, whatever its process has done before; and whether anybody is left in a cell is
//! known by the host.
//!
//! A program of its own, since a warden is started by a process that has one thread; and it is the agent of its cells. It
//! speaks as a harness does.

#![allow(clippy::print_stdout, reason = "what a harness says")]

mod agent;
mod trial;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use trial::FORGOTTEN;

/// As whom it is started again to start a warden: root gets groups, others are watched.
const AS_ROOT: &str = "groups";
const AS_A_USER: &str = "watched";
const NOBODY: u32 = 65_534;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [agent::NAME, argument] => agent::live(argument),
        [_, AS_ROOT] => by_groups(),
        [_, AS_A_USER] => by_watching(),
        _ => harness(),
    }
}

fn by_groups() -> ExitCode {
    // Version 2 lets go of a peak since Linux 6.12.
    let peak = if firebox_jail::control_groups() == Ok("version 2") { None } else { FORGOTTEN };
    tried(peak)
}

fn by_watching() -> ExitCode {
    tried(FORGOTTEN)
}

fn tried(peak: Option<firebox_job::ByteSize>) -> ExitCode {
    let warden = firebox_jail::start(&[trial::view()], trial::program()).expect("a warden");
    let cells = warden.drop_privileges().expect("no rights");
    trial::of(&cells, peak);
    ExitCode::SUCCESS
}

fn harness() -> ExitCode {
    println!("\nrunning 2 tests");
    let mut failed = 0;
    for (name, how) in [
        ("a_step_in_groups_is_measured_from_its_beginning", AS_ROOT),
        ("a_step_that_is_watched_is_measured_from_its_beginning", AS_A_USER),
    ] {
        let held = match cannot_be_tested(how) {
            Some(why) => {
                println!("skipped: {name}: {why}");
                continue;
            }
            None => again(how),
        };
        println!("test {name} ... {}", if held { "ok" } else { "FAILED" });
        failed += u8::from(!held);
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out\n",
        2 - failed
    );
    ExitCode::from(failed)
}

/// Where everybody can start it, as somebody who may not be let into the directory that this program is in.
fn again(how: &str) -> bool {
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("measuring");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::copy("/proc/self/exe", &program).expect("a copy");
    std::fs::set_permissions(directory.path(), open).expect("a directory of ours");
    let mut command = Command::new(program);
    if how == AS_A_USER && rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.arg(how).current_dir("/").status().expect("it starts").success()
}

fn cannot_be_tested(how: &str) -> Option<&'static str> {
    if how == AS_ROOT && !rustix::process::geteuid().is_root() {
        return Some("only root can do that");
    }
    (!std::fs::exists("/usr/lib64").is_ok_and(|there| there)).then_some("this host keeps its libraries elsewhere")
}
