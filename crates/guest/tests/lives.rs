//! A guest on this host: from its introduction to the end of its cell. A real warden makes a real jail, in a process of its own.

#[path = "../../jail/tests/hostile_engine/idle_agent.rs"]
mod idle_agent;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use firebox_cell::{Mount, View};
use firebox_guest::{BORN, FAILED, Introduction};
use firebox_wire::warden::{CellReply, CellRequest, MESSAGE_BYTES, Message, StepLimits};
use idle_agent::idle_agent;
use rustix::process::Pid;

/// Longer than anything takes here.
const PLENTY: Duration = Duration::from_secs(30);

struct Guest {
    directory: tempfile::TempDir,
    process: Child,
    introduced: UnixStream,
}

impl Guest {
    /// None where it cannot be had, which is said.
    #[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
    fn start() -> Option<Guest> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: in its machine, a guest is root");
            return None;
        }
        let program = std::env::current_exe().unwrap().parent().unwrap().join("../examples/guest_on_a_host");
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("introduction")).unwrap();
        let process = Command::new(&program).arg(directory.path()).spawn();
        let process = process.unwrap_or_else(|error| panic!("{}: {error}: build the examples", program.display()));
        let (introduced, _) = listener.accept().unwrap();
        introduced.set_read_timeout(Some(PLENTY)).unwrap();
        Some(Guest { directory, process, introduced })
    }

    fn introduce(&mut self, view: View) {
        let introduction = Introduction { agent: idle_agent().to_vec(), view };
        self.introduced.write_all(&introduction.encode()).unwrap();
    }

    /// All that it says to that.
    fn answer(&mut self) -> Vec<u8> {
        let mut answer = Vec::new();
        self.introduced.read_to_end(&mut answer).unwrap();
        answer
    }

    fn call(&self, name: &str) -> UnixStream {
        let caller = UnixStream::connect(self.directory.path().join(name)).unwrap();
        caller.set_read_timeout(Some(PLENTY)).unwrap();
        caller
    }

    /// Its only child.
    fn warden(&self) -> Pid {
        let process = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
        Pid::from_raw(children.trim().parse().unwrap()).unwrap()
    }

    fn end(mut self) -> ExitStatus {
        let until = Instant::now() + PLENTY;
        loop {
            match self.process.try_wait().unwrap() {
                Some(status) => return status,
                None => assert!(Instant::now() < until, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Guest {
    /// A test that failed leaves no warden of root's.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn ask(control: &mut UnixStream, request: &CellRequest) -> CellReply {
    control.write_all(&request.encode()).unwrap();
    let mut reply = [0; MESSAGE_BYTES];
    control.read_exact(&mut reply).unwrap();
    CellReply::decode(&reply).unwrap()
}

#[test]
fn its_cell_is_held_to_limits_measured_and_removed_as_on_any_host() {
    let Some(mut guest) = Guest::start() else { return };
    guest.introduce(View { steps: 1, ..View::default() });
    assert_eq!(guest.answer(), [BORN]);
    let mut control = guest.call("control");
    let limits = StepLimits { memory: 64 << 20, tasks: 8, vcpus: 1, disk: 1 << 20, inodes: 100, wall_ms: 60_000 };
    assert!(matches!(ask(&mut control, &CellRequest::Limit(limits)), CellReply::Limited(_)));
    // Whoever calls next is heard as well: the host, after the machine was frozen.
    drop(control);
    let mut control = guest.call("control");
    let CellReply::Measured(measured) = ask(&mut control, &CellRequest::Measure) else { panic!("no measure") };
    assert!(!measured.others, "{measured:?}");
    assert_eq!(ask(&mut control, &CellRequest::Remove), CellReply::Removed);
    assert!(guest.end().success());
}

#[test]
fn a_cell_that_cannot_be_made_is_told_in_words() {
    let Some(mut guest) = Guest::start() else { return };
    let outside = Path::new("/nowhere/at/all").to_owned();
    guest.introduce(View { mounts: vec![Mount { outside, inside: "/usr".into() }], ..View::default() });
    let answer = guest.answer();
    let (first, words) = answer.split_first().expect("a word");
    let words = String::from_utf8_lossy(words);
    assert_eq!(*first, FAILED);
    assert!(words.contains("cannot show /nowhere/at/all to a cell: No such file or directory"), "{words}");
    assert!(!guest.end().success());
}

#[test]
fn half_an_introduction_is_none() {
    let Some(mut guest) = Guest::start() else { return };
    guest.introduced.write_all(&[1, 0, 0x42]).unwrap();
    guest.introduced.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&guest.answer()),
        "\0cannot understand the host: it breaks off: failed to fill whole buffer"
    );
    assert!(!guest.end().success());
}

#[test]
fn callers_come_and_go_and_with_its_cell_it_ends() {
    let Some(mut guest) = Guest::start() else { return };
    guest.introduce(View { steps: 1, ..View::default() });
    guest.answer();
    let agent = guest.call("agent");
    drop(agent);
    let mut agent = guest.call("agent");
    let mut control = guest.call("control");
    assert_eq!(ask(&mut control, &CellRequest::Remove), CellReply::Removed);
    let mut rest = Vec::new();
    agent.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
    assert!(guest.end().success());
}

#[test]
fn a_warden_that_dies_is_no_good_end() {
    let Some(mut guest) = Guest::start() else { return };
    guest.introduce(View { steps: 1, ..View::default() });
    assert_eq!(guest.answer(), [BORN]);
    let control = guest.call("control");
    rustix::process::kill_process(guest.warden(), rustix::process::Signal::KILL).unwrap();
    assert!(!guest.end().success());
    drop(control);
}
