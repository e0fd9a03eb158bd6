//! A step that runs: its streams, and its end.

use firebox_confine::Layer;
use firebox_wire::{End, MAX_PAYLOAD, Refusal, Report, StepStdin, Terms};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, wait};

use crate::confinement::Left;
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
        let Waiting { pid, for_what, mut pipes } = waiting;
        if terms.stdin == StepStdin::Empty {
            pipes.stdin = None;
        }
        match for_what {
            WaitsFor::Terms(go) => rustix::io::write(&go, &terms.to_bytes()).map(drop)?,
            WaitsFor::Us(stopped) => stopped.let_go(terms, left.limits_tasks())?,
        }
        Ok(Running::attend(pid, pipes))
    }

    /// Ends a waiting process that was never let go, by the same road as any other.
    pub(crate) fn never_started(waiting: Waiting) -> Running {
        let Waiting { pid, for_what: _, pipes } = waiting;
        Running::attend(pid, pipes)
    }

    fn attend(pid: Pid, pipes: Pipes) -> Running {
        let Pipes { stdin, stdout, stderr, exec } = pipes;
        Running { pid, stdin, stdout: Some(stdout), stderr: Some(stderr), exec: Some(exec), input: Input::None }
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

    /// Takes leave of children that have ended. When the step's program is among them, the step is over.
    pub(crate) fn reap(&self) -> Option<End> {
        let mut end = None;
        while let Ok(Some((pid, how))) = wait_for_one(WaitOptions::NOHANG) {
            if pid == self.pid {
                end = Some(how);
            }
        }
        end
    }

    /// Ends everything the step has started, and passes on what is left in its pipes.
    pub(crate) fn finish(mut self, end: End, stream: &mut Stream, chunk: &mut [u8]) -> Result<(), Gone> {
        if !Layer::KillingEveryone.is_left_out() {
            kill_everyone();
        }
        self.exec_result(stream)?;
        drain(self.stdout, stream, chunk, |bytes| Report::Stdout(bytes))?;
        drain(self.stderr, stream, chunk, |bytes| Report::Stderr(bytes))?;
        stream.send(&Report::Ended(end))
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
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Takes leave of one child that has ended.
fn wait_for_one(options: WaitOptions) -> Result<Option<(Pid, End)>, Errno> {
    let Some((pid, status)) = wait(options)? else {
        return Ok(None);
    };
    let end = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Exited(code as u8),
        (None, signal) => End::Signaled(signal.unwrap_or(0) as u8),
    };
    Ok(Some((pid, end)))
}
