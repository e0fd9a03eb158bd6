//! A step in a fence is measured from its beginning on, whatever its process has done before; and whether anybody is left in
//! a fence is known by the host.
//!
//! A program of its own, since a warden is started by a process that has one thread; and it is the agent of its cells. It
//! speaks as a harness does.

#![allow(clippy::print_stdout, reason = "what a harness says")]

#[path = "../../jail/tests/measuring/agent.rs"]
mod agent;
#[path = "../../jail/tests/measuring/trial.rs"]
mod trial;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use firebox_warden::StartError;
use trial::FORGOTTEN;

const NAME: &str = "a_step_in_a_fence_is_measured_from_its_beginning";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [agent::NAME, argument] = arguments.as_slice() {
        agent::live(argument);
    }
    println!("\nrunning 1 test");
    let held = match firebox_fence::start(&[trial::view()], trial::program()) {
        Err(StartError::Unfit(why)) => {
            println!("skipped: {NAME}: {why}");
            true
        }
        started => catch_unwind(AssertUnwindSafe(|| {
            let cells = started.expect("a warden").drop_privileges().expect("no rights");
            trial::of(&cells, FORGOTTEN);
        }))
        .is_ok(),
    };
    println!("test {NAME} ... {}", if held { "ok" } else { "FAILED" });
    let (verdict, failed) = if held { ("ok", 0) } else { ("FAILED", 1) };
    println!(
        "\ntest result: {verdict}. {} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out\n",
        1 - failed
    );
    ExitCode::from(failed)
}
