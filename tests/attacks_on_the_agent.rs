//! Attacks on the agent, which is process 1 of a jail and has the job's own user: from inside, and from the moment that a
//! program starts. Each succeeds outside, on a shell that stands for it.

mod kit;

use kit::Expectation::Elsewhere;
use kit::{Attack, Control};

#[test]
fn the_agent_can_be_neither_read_nor_traced_nor_changed() {
    Attack {
        name: "reading, tracing and changing the agent",
        layer: "not dumpable, seccomp",
        source: "process_one.c",
        control: Control::OwnNamespaces,
        succeeds_outside: &[
            "memory of process 1",
            "maps of process 1",
            "environment of process 1",
            "auxiliary vector of process 1",
            "a descriptor of process 1",
            "the executable of process 1",
            "the executable of process 1 opened",
            "the root of process 1",
            "a copy of a descriptor of process 1",
            "process_vm_readv of process 1",
            "process_vm_writev of process 1",
            "kcmp with process 1",
            "limits of process 1",
            "new limits of process 1",
            "ptrace of process 1",
            "ptrace of an own child",
            "being traced",
        ],
        fence: Elsewhere("process 1 is nobody of ours there"),
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
        fence: Elsewhere("process 1 is nobody of ours there"),
        ..Attack::PLAIN
    }
    .check();
}

#[test]
fn the_agent_is_never_open_not_even_while_it_starts_a_program() {
    Attack {
        name: "racing for the agent, its program and its descriptors",
        layer: "not dumpable, program on no file system",
        source: "race_for_the_agent.c",
        control: Control::OwnNamespaces,
        succeeds_outside: &[
            "process 1's program opened",
            "process 1's memory opened",
            "process 1's directory entered",
            "a descriptor of process 1 opened",
        ],
        fence: Elsewhere("process 1 is nobody of ours there"),
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
        ..Attack::PLAIN
    }
    .check();
}
