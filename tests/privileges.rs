//! Who of Firebox's own processes may do what, while a job runs.

mod kit;

use kit::{HostInventory, Process, Processes, UIDS, firebox};

/// One line of a process's status.
fn status(process: &Process, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("process {} has no {name}", process.pid)).trim().to_owned()
}

#[test]
fn only_the_warden_keeps_privileges() {
    if !kit::is_root("only_the_warden_keeps_privileges") {
        return;
    }
    let host = HostInventory::take();
    let call = firebox().args(["run", "--lang", "bash", "--code", "echo before; sleep 1000"]).start();
    call.wait_for_stdout("before");
    let processes = Processes::now();
    let ours: Vec<&Process> = processes.possibly_ours().filter(|process| process.marked).collect();
    let engine = call.pid().as_raw_nonzero().get() as u32;

    let (mut wardens, mut others) = (0, 0);
    for process in &ours {
        let threads = status(process, "Threads:");
        if process.parent == engine {
            assert_eq!(threads, "1", "the warden has {threads} threads");
            wardens += 1;
            continue;
        }
        // The engine, the agent, the shell and what it started.
        let who = format!("process {} ({})", process.pid, process.name);
        assert!(UIDS.contains(&process.uid), "{who} has the uid {}", process.uid);
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(status(process, set), "0000000000000000", "{who}, {set}");
        }
        assert_eq!(status(process, "NoNewPrivs:"), "1", "{who} may gain privileges");
        others += 1;
    }
    assert_eq!(wardens, 1, "{} processes are ours", ours.len());
    assert!(3 <= others, "engine, agent and shell at least, not {others}");
    // Every cell has a uid of its own, and none has the engine's.
    let engines_uid = ours.iter().find(|process| process.pid == engine).expect("the engine is ours").uid;
    let of_cell = ours.iter().filter(|process| process.pid != engine && process.parent != engine);
    assert!(of_cell.into_iter().all(|process| process.uid != engines_uid), "the cell has the engine's uid");

    call.signal(rustix::process::Signal::INT);
    assert_eq!(call.wait().code(), 130);
    host.assert_nothing_left();
}
