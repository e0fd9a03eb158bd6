//! Attacks on the agent, which is the parent of a program and has the job's own user: from inside, and from the moment that
//! a program starts. Each succeeds outside, on a shell that stands for it.

mod kit;

use kit::Expectation::HeldBy;
use kit::{Attack, Control};

#[test]
fn the_agent_can_be_neither_read_nor_traced_nor_changed() {
    Attack {
        name: "reading, tracing and changing the agent",
        layer: "not dumpable, seccomp",
        source: "process_one.c",
        control: Control::OwnNamespaces,
        succeeds_outside: &[
            "memory of the agent",
            "maps of the agent",
            "environment of the agent",
            "auxiliary vector of the agent",
            "a descriptor of the agent",
            "the executable of the agent",
            "the executable of the agent opened",
            "the root of the agent",
            "a copy of a descriptor of the agent",
            "process_vm_readv of the agent",
            "process_vm_writev of the agent",
            "kcmp with the agent",
            "limits of the agent",
            "new limits of the agent",
            "ptrace of the agent",
            "ptrace of an own child",
            "being traced",
        ],
        fence: HeldBy("Landlock, not dumpable, seccomp"),
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn the_agent_keeps_its_place_in_the_schedule() {
    Attack {
        name: "taking the agent's place in the schedule",
        layer: "seccomp",
        source: "schedule.c",
        control: Control::OwnNamespaces,
        succeeds_outside: &[
            "setpriority",
            "setpriority with a high half",
            "setpriority of its group",
            "setpriority of its user",
            "sched_setaffinity",
            "sched_setaffinity with a high half",
            "sched_setparam",
            "sched_setparam with a high half",
            "sched_setscheduler",
            "sched_setscheduler with a high half",
            "sched_setattr",
            "ioprio_set",
        ],
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn the_agent_is_never_open_not_even_while_it_starts_a_program() {
    Attack {
        name: "racing for the agent, its program and its descriptors",
        layer: "not dumpable, program that is only executed",
        source: "race_for_the_agent.c",
        // So many does it start that are gone in a moment, which can be long on a machine with much to do.
        limits: &["--tasks", "512"],
        control: Control::OwnNamespaces,
        succeeds_outside: &[
            "the agent's program opened",
            "the agent's memory opened",
            "the agent's directory entered",
            "a descriptor of the agent opened",
        ],
        fence: HeldBy("Landlock, not dumpable"),
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn no_program_that_runs_it_can_be_overwritten() {
    Attack {
        name: "overwriting what runs it, through /proc/self/exe",
        layer: "read-only root",
        source: "overwrite.py",
        control: Control::OwnNamespaces,
        succeeds_outside: &["the program of process 1 opened to write", "its own interpreter opened to write"],
        fence: HeldBy("Landlock"),
        ..Attack::PLAIN
    }
    .check();
}
