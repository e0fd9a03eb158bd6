//! An engine in the wrong hands: whatever it tells a real warden, the warden neither dies nor waits for it, keeps no
//! descriptor and no cell, and still makes a cell for whoever asks as one should.
//!
//! A program of its own, since a warden is started by a process that has one thread. It speaks as a harness does.

#![allow(clippy::print_stdout, reason = "what a harness says")]

mod claims;
mod engine;
mod idle_agent;
mod views;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use claims::CLAIMS;
use engine::Engine;

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|part| name.contains(part.as_str()));
    let claims: Vec<_> = CLAIMS.into_iter().filter(|(name, _)| is_asked(name)).collect();
    println!("\nrunning {} tests", claims.len());
    let began = Instant::now();
    let (mut passed, mut failed) = (0, 0);
    if let Some(why) = cannot_be_tested() {
        claims.iter().for_each(|(name, _)| println!("skipped: {name}: {why}"));
        passed = claims.len();
    } else if !claims.is_empty() {
        let engine = Engine::start();
        for (name, claim) in &claims {
            let held = catch_unwind(AssertUnwindSafe(|| {
                claim(&engine);
                engine.assert_well();
            }));
            println!("test {name} ... {}", if held.is_ok() { "ok" } else { "FAILED" });
            if held.is_err() {
                failed = 1;
                // What a broken claim leaves says nothing of the next. A warden that hangs would be waited for; like
                // this it ends with this process.
                std::mem::forget(engine);
                break;
            }
            passed += 1;
        }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let took = began.elapsed().as_secs_f64();
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {took:.2}s\n"
    );
    ExitCode::from(failed)
}

fn cannot_be_tested() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can do that");
    }
    (!cfg!(target_arch = "x86_64")).then_some("the agent that does nothing is written for x86-64")
}
