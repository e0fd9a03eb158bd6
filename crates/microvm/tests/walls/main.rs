//! A monitor in its walls: what it does, what it can reach, how it ends, and what is left of it. The guests are programs of a few instructions,
//! so that all of this runs on any KVM.
//!
//! A program of its own, since a warden is started by a process that has one thread. It speaks as a harness does.

#![allow(clippy::print_stdout, reason = "what a harness says")]

mod claims;
mod guests;
mod host;
mod memory;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use firebox_vmm::Hypervisor;

use crate::claims::CLAIMS;

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|part| name.contains(part.as_str()));
    let claims: Vec<_> = CLAIMS.into_iter().filter(|(name, _)| is_asked(name)).collect();
    println!("\nrunning {} tests", claims.len());
    let (began, mut failed) = (Instant::now(), 0);
    let obstacle = obstacle();
    for (name, claim) in &claims {
        if let Some(why) = &obstacle {
            println!("skipped: {name}: {why}");
            continue;
        }
        let held = catch_unwind(AssertUnwindSafe(claim)).is_ok();
        println!("test {name} ... {}", if held { "ok" } else { "FAILED" });
        failed += u8::from(!held);
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let (passed, took) = (claims.len() - usize::from(failed), began.elapsed().as_secs_f64());
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {took:.2}s\n"
    );
    ExitCode::from(failed)
}

fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can look at all of a monitor".to_owned());
    }
    Hypervisor::open().err().map(|none| none.to_string())
}
