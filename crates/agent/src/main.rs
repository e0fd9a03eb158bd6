//! The small program inside a cell: it carries out steps and knows no language.
//!
//! It is PID 1 of a jail, and a subreaper in a fence. It starts with the stream to the host and, on some hosts, the doors
//! to its steps' control groups, confines itself before it reads anything, and then does what it is told: store files, make a process for a step and let it wait, let it go, pass
//! its streams on, end it with everything it started. Everything it starts inherits its confinement, so nothing is
//! left to do between the order to go and the program's first instruction.
//!
//! No thread, no allocation, no C library. What it must not be trusted with (limits, time, verdicts) it does not do:
//! whoever breaks into it gains nothing that the job did not have.
#![no_std]
#![no_main]

mod agent;
mod ahead;
mod confinement;
mod doors;
mod exit_watch;
mod fetch;
mod freeze;
mod image;
mod learnt;
mod one_cpu;
mod programs;
mod running;
mod shown;
mod step;
mod store;
mod stream;
mod surroundings;
mod sys;
mod thaw;

use core::ffi::CStr;

use agent::Agent;
use surroundings::Surroundings;

/// The start after the start: see `sys`. The argument says which kind of cell this is: see `surroundings`.
fn main(argument: &CStr) -> ! {
    let Ok(mut agent) = Agent::start(Surroundings::from_argument(argument)) else { sys::exit(1) };
    let code = match agent.serve() {
        Ok(()) => 0,
        Err(_) => 1,
    };
    // With process 1 goes its PID namespace; in a fence nobody else would see to it.
    running::kill_everyone();
    sys::exit(code)
}
