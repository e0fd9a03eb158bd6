//! A guarded process with both its output streams collected, and how it ended.
//!
//! Nothing here sleeps: the end of the process is waited for on its pidfd, its output on a condition, both with the
//! deadline of the guard. Past it, the test fails with everything that is known.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use super::guard::Guard;

/// A guarded process that has been started.
pub(crate) struct Running {
    shown: String,
    child: Child,
    guard: Guard,
    stdout: Stream,
    stderr: Stream,
    started: Instant,
    directory: Option<tempfile::TempDir>,
}

/// How a guarded process ended.
#[derive(Debug)]
pub(crate) struct Finished {
    shown: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) wall: Duration,
    /// What was still in the guard the moment it ended.
    pub(crate) left: Vec<String>,
}

impl Running {
    /// Starts a command that came from `guard`, as the leader of a process group of its own.
    pub(crate) fn start(guard: Guard, mut command: Command, stdin: Option<Vec<u8>>) -> Running {
        let shown = shown(&command);
        let input = if stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        command.process_group(0).stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
        if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), stdin) {
            // Who does not read its input is not at fault.
            std::thread::spawn(move || drop(pipe.write_all(&bytes)));
        }
        let stdout = Stream::collect(child.stdout.take().expect("stdout is piped"));
        let stderr = Stream::collect(child.stderr.take().expect("stderr is piped"));
        Running { shown, child, guard, stdout, stderr, started: Instant::now(), directory: None }
    }

    /// A directory that it needs for as long as it runs.
    pub(crate) fn keeping(mut self, directory: tempfile::TempDir) -> Running {
        self.directory = Some(directory);
        self
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The processes in its guard.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.guard.processes().into_iter().collect()
    }

    /// What is in its guard now: it, what it started, and the groups that it made.
    pub(crate) fn contents(&self) -> Vec<String> {
        self.guard.contents()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is there to be signalled");
    }

    /// As a terminal does when somebody presses Ctrl-C.
    pub(crate) fn signal_group(&self, signal: Signal) {
        kill_process_group(self.pid(), signal).expect("the group is there to be signalled");
    }

    /// Waits until `text` has come out on standard output, and fails if the process ends before.
    pub(crate) fn wait_for_stdout(&self, text: &str) {
        let found = self.stdout.wait(self.deadline(), |bytes, _| contains(bytes, text.as_bytes()));
        assert!(found, "{text:?} did not come out on stdout\n{}", self.described("is running"));
    }

    /// Whether it has ended by that time; waits until then to find out.
    pub(crate) fn ends_by(&self, until: Instant) -> bool {
        let watched = pidfd_open(self.pid(), PidfdFlags::empty()).expect("an unreaped child has a pidfd");
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        poll(&mut [PollFd::new(&watched, PollFlags::IN)], Some(&timeout)).expect("poll on a pidfd") != 0
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&self) -> bool {
        let watched = pidfd_open(self.pid(), PidfdFlags::empty()).expect("an unreaped child has a pidfd");
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&watched, PollFlags::IN)], Some(&at_once)).expect("poll on a pidfd") == 0
    }

    /// What has come out on standard output so far.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout.bytes()).into_owned()
    }

    /// Waits for its end and collects everything; fails past the deadline, or when a process that it left behind
    /// keeps its output open.
    pub(crate) fn wait(self) -> Finished {
        self.wait_keeping_guard().0
    }

    /// The same for a test that looks at what is left before the guard takes it away.
    pub(crate) fn wait_keeping_guard(mut self) -> (Finished, Guard) {
        if !self.ends_by(self.deadline()) {
            let known = self.described("did not end in time and is killed");
            self.guard.kill();
            let _ = self.child.kill();
            let _ = self.child.wait();
            panic!("{known}");
        }
        let wall = self.started.elapsed();
        // Still a zombie: what is in the guard now besides it was there when it ended.
        let zombie = format!("process {}:", self.child.id());
        let left: Vec<String> = self.guard.contents().into_iter().filter(|thing| !thing.starts_with(&zombie)).collect();
        let status = self.child.wait().expect("the child has ended");
        let soon = Instant::now() + Duration::from_secs(5);
        for stream in [&self.stdout, &self.stderr] {
            let closed = stream.wait(soon, |_, closed| closed);
            assert!(closed, "a process left behind keeps the output open; left: {left:?}\n{}", self.described("ended"));
        }
        let (stdout, stderr) = (self.stdout.bytes(), self.stderr.bytes());
        (Finished { shown: self.shown, status, stdout, stderr, wall, left }, self.guard)
    }

    /// Ends it, and everything it started.
    pub(crate) fn end(mut self) {
        self.guard.kill();
        self.child.wait().expect("a killed child can be waited for");
    }

    fn deadline(&self) -> Instant {
        self.started + self.guard.allowance().wall
    }

    fn described(&self, state: &str) -> String {
        let after = self.started.elapsed();
        let (stdout, stderr) = (clipped(&self.stdout.bytes()), clipped(&self.stderr.bytes()));
        let inside = self.guard.contents();
        let shown = &self.shown;
        format!("{shown}\n{state} after {after:?}\nin the guard: {inside:#?}\nstdout: {stdout}\nstderr: {stderr}")
    }
}

impl Finished {
    /// What a shell would see: the exit code, or 128 and the signal.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// No process and no control group was left in the guard at the moment of the exit.
    pub(crate) fn leaving_nothing(self) -> Finished {
        assert!(self.left.is_empty(), "left behind at its exit: {:#?}\n{self}", self.left);
        self
    }
}

/// Everything known, for the message of a failed assertion.
impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finished { shown, status, stdout, stderr, wall, left: _ } = self;
        let (stdout, stderr) = (clipped(stdout), clipped(stderr));
        write!(f, "{shown}\nended after {wall:?} with {status}\nstdout: {stdout}\nstderr: {stderr}")
    }
}

/// A pipe that is read to its end by a thread of its own.
struct Stream(Arc<(Mutex<Collected>, Condvar)>);

#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    closed: bool,
}

impl Stream {
    /// More than any output limit that these tests set; the rest is read and forgotten.
    const KEPT: usize = 320 << 20;

    fn collect(mut pipe: impl Read + Send + 'static) -> Stream {
        let shared = Arc::new((Mutex::new(Collected::default()), Condvar::new()));
        let writer = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let read = pipe.read(&mut buffer).unwrap_or(0);
                let (collected, changed) = &*writer;
                let mut collected = collected.lock().expect("no reader panics");
                let room = Stream::KEPT.saturating_sub(collected.bytes.len());
                collected.bytes.extend_from_slice(&buffer[..read.min(room)]);
                collected.closed = read == 0;
                changed.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Stream(shared)
    }

    /// Whether `enough` came true before `until`.
    fn wait(&self, until: Instant, enough: impl Fn(&[u8], bool) -> bool) -> bool {
        let (collected, changed) = &*self.0;
        let left = until.saturating_duration_since(Instant::now());
        let collected = collected.lock().expect("no reader panics");
        let more = |c: &mut Collected| !enough(&c.bytes, c.closed) && !c.closed;
        let (collected, _) = changed.wait_timeout_while(collected, left, more).expect("no reader panics");
        enough(&collected.bytes, collected.closed)
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().expect("no reader panics").bytes.clone()
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The command as the test meant it, without what the guard puts before it.
fn shown(command: &Command) -> String {
    let words = command.get_args().skip(3).map(|word| clipped(word.as_encoded_bytes()));
    words.collect::<Vec<_>>().join(" ")
}

fn clipped(bytes: &[u8]) -> String {
    const SHOWN: usize = 3000;
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes in all)", &text[..end], bytes.len()),
        None => text.into_owned(),
    }
}
