//! A step that runs: its streams, and its end.

use firebox_confine::Layer;
use firebox_wire::{End, Ends, MAX_PAYLOAD, Refusal, Report, StepStdin, Terms};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait};

use crate::confinement::Left;
use crate::exit_watch::{self, ExitWatch};
use crate::step::{Pipes, Waiting, WaitsFor};
use crate::stream::{Gone, Stream};

/// What is read from a stream at once: as much as a pipe holds by default.
const CHUNK: usize = 64 * 1024;
const _: () = assert!(CHUNK <= MAX_PAYLOAD, "a chunk of output fits into a frame");

/// A step that was let go.
pub(crate) struct Running {
    pid: Pid,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    exec: Option<OwnedFd>,
    input: Input,
    /// Where the step's end is to be told before everybody is gone.
    exit: Option<ExitWatch>,
}

/// How much of a step has ended.
pub(crate) enum Ended {
    /// Its program is gone.
    Gone(End),
    /// Its program has ended well by its own word, but is still there.
    Over,
}

/// What the step has yet to be given to read.
enum Input {
    /// Nothing, so far.
    None,
    /// These bytes of the pending buffer.
    Pending { from: usize, to: usize },
}

/// What there is to poll for. Equal in order to what [`Running::poll_fds`] gives.
pub(crate) const POLLED: usize = 4;

impl Running {
    /// Lets a waiting process go on these terms.
    pub(crate) fn start(waiting: Waiting, terms: &Terms, left: &Left) -> Result<Running, Errno> {
        let Waiting { pid, for_what, mut pipes, .. } = waiting;
        if terms.stdin == StepStdin::Empty {
            pipes.stdin = None;
        }
        let watched = || (terms.ends == Ends::Over).then(|| ExitWatch::begin(pid).ok()).flatten();
        let exit = match for_what {
            WaitsFor::Terms(go) => {
                let exit = watched();
                rustix::io::write(&go, &terms.to_bytes())?;
                exit
            }
            WaitsFor::Us(stopped) => {
                stopped.let_go(terms, left.limits_tasks())?;
                watched()
            }
        };
        Ok(Running { exit, ..Running::attend(pid, pipes) })
    }

    /// Ends a waiting process that was never let go, by the same road as any other.
    pub(crate) fn never_started(waiting: Waiting) -> Running {
        let Waiting { pid, pipes, .. } = waiting;
        Running::attend(pid, pipes)
    }

    fn attend(pid: Pid, pipes: Pipes) -> Running {
        let Pipes { stdin, stdout, stderr, exec } = pipes;
        Running {
            pid,
            stdin,
            stdout: Some(stdout),
            stderr: Some(stderr),
            exec: Some(exec),
            input: Input::None,
            exit: None,
        }
    }

    /// What to wait for, each with the events that matter.
    pub(crate) fn poll_fds(&self) -> [Option<PollFd<'_>>; POLLED] {
        let input = match self.input {
            Input::Pending { .. } => watched(&self.stdin, PollFlags::OUT),
            Input::None => None,
        };
        [
            watched(&self.stdout, PollFlags::IN),
            watched(&self.stderr, PollFlags::IN),
            watched(&self.exec, PollFlags::IN),
            input,
        ]
    }

    /// Passes on what has come. Descriptors are unblocking, so asking one that has nothing costs only the asking.
    pub(crate) fn pass_on(&mut self, stream: &mut Stream, chunk: &mut [u8], pending: &[u8]) -> Result<(), Gone> {
        self.exec_result(stream)?;
        pass_output(&mut self.stdout, stream, chunk, |bytes| Report::Stdout(bytes))?;
        pass_output(&mut self.stderr, stream, chunk, |bytes| Report::Stderr(bytes))?;
        self.pass_input(stream, pending)
    }

    /// Takes the next bytes for standard input; false when the last have not been taken yet.
    pub(crate) fn give_input(&mut self, bytes: &[u8], pending: &mut [u8]) -> bool {
        match self.input {
            Input::Pending { .. } => false,
            Input::None => {
                pending[..bytes.len()].copy_from_slice(bytes);
                self.input = Input::Pending { from: 0, to: bytes.len() };
                true
            }
        }
    }

    /// There is no more standard input.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Kills the step's program; its end is noticed as any other.
    pub(crate) fn kill(&self) {
        let _ = kill_process(self.pid, Signal::KILL);
    }

    /// Takes leave of children that have ended. When the step's program is among them, or sure to be, the step is over.
    pub(crate) fn reap(&mut self) -> Option<Ended> {
        let mut ended = None;
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            match end_of(status) {
                Some(end) if pid == self.pid => ended = Some(Ended::Gone(end)),
                Some(_) => {}
                None => {
                    if self.exit.as_mut().is_some_and(|exit| exit.is_leaving(pid, status)) {
                        return Some(Ended::Over);
                    }
                }
            }
        }
        ended
    }

    /// Ends everything the step has started, and passes on what is left in its pipes.
    pub(crate) fn finish(mut self, ended: Ended, stream: &mut Stream, chunk: &mut [u8]) -> Result<(), Gone> {
        let end = match ended {
            Ended::Gone(end) => {
                if !Layer::KillingEveryone.is_left_out() {
                    kill_everyone();
                }
                end
            }
            Ended::Over => {
                // Whoever has been signalled does nothing more. Their going is awaited at the end of the step that follows.
                if !Layer::KillingEveryone.is_left_out() {
                    let _ = kill_process_group(Pid::INIT, Signal::KILL);
                }
                End::Exited(0)
            }
        };
        self.exec_result(stream)?;
        drain(self.stdout, stream, chunk, |bytes| Report::Stdout(bytes))?;
        drain(self.stderr, stream, chunk, |bytes| Report::Stderr(bytes))?;
        let told = stream.send(&Report::Ended(end));
        // After that, since whoever is let go may have the CPU first.
        if let Some(exit) = self.exit {
            exit.let_go();
        }
        told
    }

    fn exec_result(&mut self, stream: &mut Stream) -> Result<(), Gone> {
        let Some(exec) = &self.exec else {
            return Ok(());
        };
        let mut errno = [0; 4];
        match rustix::io::read(exec, &mut errno) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Ok(4) => stream.send(&Report::Refused { what: Refusal::Exec, errno: i32::from_ne_bytes(errno) })?,
            _ => stream.send(&Report::Started)?,
        }
        self.exec = None;
        Ok(())
    }

    fn pass_input(&mut self, stream: &mut Stream, pending: &[u8]) -> Result<(), Gone> {
        let Input::Pending { from, to } = self.input else {
            return Ok(());
        };
        // A program that is gone or has closed its input reads no more: what is left of it is taken as read.
        let written = match &self.stdin {
            None => to - from,
            Some(stdin) => match rustix::io::write(stdin, &pending[from..to]) {
                Ok(written) => written,
                Err(Errno::AGAIN | Errno::INTR) => 0,
                Err(_) => to - from,
            },
        };
        self.input = Input::Pending { from: from + written, to };
        if from + written == to {
            self.input = Input::None;
            stream.send(&Report::StdinTaken)?;
        }
        Ok(())
    }
}

fn watched(fd: &Option<OwnedFd>, events: PollFlags) -> Option<PollFd<'_>> {
    fd.as_ref().map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), events))
}

/// Passes on one chunk, and forgets the stream when it is at its end.
fn pass_output(
    fd: &mut Option<OwnedFd>,
    stream: &mut Stream,
    chunk: &mut [u8],
    report: impl for<'b> Fn(&'b [u8]) -> Report<'b>,
) -> Result<(), Gone> {
    let Some(open) = fd else {
        return Ok(());
    };
    match rustix::io::read(&*open, &mut chunk[..CHUNK]) {
        Ok(0) => *fd = None,
        Ok(read) => stream.send(&report(&chunk[..read]))?,
        Err(Errno::AGAIN | Errno::INTR) => {}
        Err(_) => *fd = None,
    }
    Ok(())
}

/// Passes on all that is left in a pipe that nobody writes to any more.
///
/// That nobody writes does not mean that it is closed: descriptors which a job has sent over a socket and never taken out
/// live until the kernel collects them. An empty pipe is at its end.
fn drain(
    fd: Option<OwnedFd>,
    stream: &mut Stream,
    chunk: &mut [u8],
    report: impl for<'b> Fn(&'b [u8]) -> Report<'b>,
) -> Result<(), Gone> {
    let Some(fd) = fd else {
        return Ok(());
    };
    loop {
        match rustix::io::read(&fd, &mut chunk[..CHUNK]) {
            Ok(0) => return Ok(()),
            Ok(read) => stream.send(&report(&chunk[..read]))?,
            Err(Errno::INTR) => {}
            Err(_) => return Ok(()),
        }
    }
}

/// Kills every other process of the cell and waits until the last is gone.
///
/// In a jail PID 1's `kill(-1)` reaches all of its PID namespace at once, in a fence all of the agent's Landlock domain,
/// whatever session or state they are in; a process that is being forked meanwhile is not finished by the kernel once its
/// parent has been signalled. From any other process the same call would reach far beyond the cell: the agent refuses to
/// start as one.
pub(crate) fn kill_everyone() {
    loop {
        let _ = kill_process_group(Pid::INIT, Signal::KILL);
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => exit_watch::let_die(pid, status),
            Ok(None) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// How a child has ended, if it has.
fn end_of(status: WaitStatus) -> Option<End> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Some(End::Exited(code as u8)),
        (None, Some(signal)) => Some(End::Signaled(signal as u8)),
        (None, None) => None,
    }
}
