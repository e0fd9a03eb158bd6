//! When the outcome is there, nothing of the job is: whatever it started, hid or made.

mod kit;

use std::time::{Duration, Instant};

use kit::{HostInventory, Process, Processes, firebox, is_microvm, job};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// A Python program that makes something to leave behind, says so, and ends.
fn check(code: &str) {
    let host = HostInventory::take();
    // As much time as it takes to make it where a processor is emulated; what is left behind would take more.
    let time = ["--run-time", "60s", "--cpu-time", "60s", "--timeout", "100s"];
    let code = format!("import os, signal, socket, sys, time\n{code}\nprint('made')");
    let outcome = job("python", &code).args(time).outcome();
    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
    assert_eq!(outcome.stdout(), "made\n", "{outcome}");
    assert!(
        outcome.run_time() < Duration::from_secs(if is_microvm() { 50 } else { 9 }),
        "it was waited for\n{outcome}"
    );
    host.assert_nothing_left();
}

#[test]
fn a_double_forked_process_is_gone() {
    check("if os.fork() == 0:\n  if os.fork() == 0: time.sleep(1000)\n  os._exit(0)\nos.wait()");
}

#[test]
fn a_process_in_a_session_of_its_own_is_gone() {
    check("if os.fork() == 0: os.setsid(); os.close(0); os.close(1); os.close(2); time.sleep(1000)");
}

#[test]
fn a_stopped_process_is_gone() {
    check("child = os.fork()\nif child == 0: os.kill(os.getpid(), signal.SIGSTOP)\nos.waitpid(child, os.WUNTRACED)");
}

#[test]
fn a_process_that_ignores_every_signal_is_gone() {
    check(
        "ready, done = os.pipe()
if os.fork() == 0:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    os.write(done, b'x')
    while True: time.sleep(1000)
os.read(ready, 1)",
    );
}

#[test]
fn processes_that_keep_forking_are_gone() {
    check("for _ in range(4):\n  if os.fork() == 0:\n    while True:\n      if os.fork(): os._exit(0)");
}

#[test]
fn zombies_are_gone() {
    check("for _ in range(20):\n  if os.fork() == 0: os._exit(0)\ntime.sleep(0.1)");
}

#[test]
fn shared_memory_is_gone() {
    check(
        "import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert 0 <= libc.shmget(0x1234, 1 << 20, 0o1666), os.strerror(ctypes.get_errno())
assert 0 <= libc.msgget(0x1234, 0o1666) and 0 <= libc.semget(0x1234, 1, 0o1666)
open('/dev/shm/firebox-kept', 'w').write('x')",
    );
}

#[test]
fn sockets_are_gone() {
    check(
        "kept = [socket.socket(socket.AF_UNIX) for _ in range(2)]
kept[0].bind('/tmp/firebox-kept'); kept[1].bind('\\0firebox-kept')
kept.append(socket.create_server(('127.0.0.1', 0)))
if os.fork() == 0: time.sleep(1000)",
    );
}

#[test]
fn many_files_in_deep_directories_are_gone() {
    check(
        "for i in range(3000): open(f'/tmp/{i}', 'w').close()
for i in range(3000): os.mkdir('d'); os.chdir('d')",
    );
}

#[test]
fn files_that_nobody_may_touch_are_gone() {
    check("os.makedirs('locked/inside'); open('locked/inside/file', 'w').close(); os.chmod('locked', 0)");
}

/// The same processes are gone too when it is not the program that ends the job.
#[test]
fn a_job_that_runs_into_its_timeout_leaves_nothing() {
    let host = HostInventory::take();
    let code = "for i in 1 2 3; do (trap '' TERM INT HUP; setsid sleep 1000 & kill -STOP $BASHPID) & done; sleep 1000";
    let outcome = job("bash", code).args(["--run-time", "1s"]).outcome();
    assert_eq!(outcome.verdict(), ("timeout", "run", 124, None), "{outcome}");
    host.assert_nothing_left();
}

#[test]
fn a_compilation_that_is_stopped_leaves_nothing() {
    let host = HostInventory::take();
    let code = "#![allow(long_running_const_eval)]\nconst F: () = { loop {} };\nfn main() { F }";
    let outcome = job("rust", code).args(["--compile-time", "1s"]).outcome();
    assert_eq!(outcome.verdict(), ("timeout", "compile", 124, None), "{outcome}");
    host.assert_nothing_left();
}

#[test]
fn a_hundred_jobs_leave_nothing() {
    let host = HostInventory::take();
    for _ in 0..100 {
        let outcome = job("bash", "echo x > /tmp/file; (sleep 100 &) ; true").outcome();
        assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
    }
    host.assert_nothing_left();
}

/// Kills one of Firebox's own processes while a job runs, which must end at once; the next start then finds, or
/// restores, a clean host.
fn check_killed(choose: impl FnOnce(&HostInventory, Pid) -> Pid) {
    let host = HostInventory::take();
    let code = "echo before; (setsid sleep 1000 &); sleep 1000";
    let call = firebox().args(["run", "--lang", "bash", "--code", code]).start();
    call.wait_for_stdout("before");
    kill_process(choose(&host, call.pid()), Signal::KILL).expect("it runs");

    let (call, guard) = call.wait_keeping_guard();
    assert!(call.wall < Duration::from_secs(10), "Firebox did not notice\n{call}");
    host.assert_only_cgroups_left_within(Duration::from_secs(1));

    let next = job("bash", "echo hello").outcome();
    assert_eq!((next.verdict(), next.stdout()), (("ok", "run", 0, None), "hello\n"), "{next}");
    host.assert_nothing_left();
    drop(guard);
}

#[test]
fn killing_firebox_leaves_nothing() {
    check_killed(|_, firebox| firebox);
}

#[test]
fn killing_the_warden_leaves_nothing() {
    // The warden is Firebox's only child; cells are the warden's.
    check_killed(|_, firebox| {
        let firebox = firebox.as_raw_nonzero().get() as u32;
        find(|process| process.parent == firebox)
    });
}

#[test]
fn killing_the_agent_is_a_fault_of_ours_and_leaves_nothing() {
    let host = HostInventory::take();
    let call = firebox().args(["run", "--lang", "bash", "--code", "echo before; sleep 1000"]).start();
    call.wait_for_stdout("before");
    // The agent is process 1 of its PID namespace.
    let agent = find(|process| process.inner == [process.pid, 1]);
    kill_process(agent, Signal::KILL).expect("it runs");
    let call = call.wait();
    assert_eq!((call.code(), call.stdout().as_str()), (125, "before\n"), "{call}");
    host.assert_nothing_left();
}

#[test]
fn a_stopped_firebox_does_not_keep_its_job_running() {
    let host = HostInventory::take();
    let code = "echo before; sleep 1000";
    let call = firebox().args(["run", "--lang", "bash", "--code", code, "--run-time", "500ms", "--json"]).start();
    // Only a job that runs has a time after which the warden ends it.
    until_some(|| is_there(|process| process.inner.len() == 2 && process.name == "sleep"));
    let agent = find(|process| process.inner == [process.pid, 1]);
    kill_process(call.pid(), Signal::STOP).expect("it runs");
    // The engine can do nothing now; the warden ends the cell some seconds after the engine would have.
    let until = Instant::now() + Duration::from_secs(8);
    let runs = |pid: Pid| test_kill_process(pid).is_ok() && !is_zombie(pid);
    while runs(agent) {
        assert!(Instant::now() < until, "the job still runs");
        std::thread::sleep(Duration::from_millis(50));
    }
    kill_process(call.pid(), Signal::CONT).expect("it is there");
    let outcome = call.outcome();
    assert_eq!((outcome.verdict(), outcome.stdout()), (("timeout", "run", 124, None), "before\n"), "{outcome}");
    host.assert_nothing_left();
}

fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

fn until_some<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "it does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_there(wanted: impl Fn(&Process) -> bool) -> Option<Pid> {
    let processes = Processes::now();
    let found = processes.possibly_ours().find(|process| process.marked && wanted(process))?;
    Pid::from_raw(found.pid as i32)
}

fn find(wanted: impl Fn(&Process) -> bool) -> Pid {
    is_there(wanted).expect("a process of Firebox that fits")
}
