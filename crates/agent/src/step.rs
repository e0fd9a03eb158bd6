//! The process of a step: made beforehand, waiting, and then the program itself.
//!
//! ```text
//! agent --fork--> child: own control group, own session, own descriptors
//!        Fresh:   waits on the go pipe; its terms come --> limits, exec
//!        Ahead:   exec under our eyes, stopped before it looks at the job; limits, let go      (see `ahead`)
//!        Thawed:  becomes what its image says, waits on the go pipe; its terms come --> limits, on  (see `thaw`)
//! ```
//!
//! Where the child has no door to the step's control group, the host moves it there while it waits. Nothing of the job
//! runs before it is let go.

use core::ffi::CStr;

use firebox_confine::{ConfineError, Filter, Layer};
use firebox_wire::{Ends, Halt, MOST_STRINGS, Start, StepOrder, StepStdin, Strings, Terms};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    DumpableBehavior, Pid, Resource, Rlimit, WaitId, WaitIdOptions, getrlimit, set_dumpable_behavior, setrlimit, waitid,
};

use crate::ahead::{Since, Stopped, Until};
use crate::confinement::Left;
use crate::doors::StepDoors;
use crate::one_cpu::OneCpu;
use crate::store;
use crate::sys::{self, Fork};
use crate::thaw;

/// A pointer to each string of a list, and null.
type Pointers = [*const u8; MOST_STRINGS + 1];

/// A process that stands and waits.
pub(crate) struct Waiting {
    pub(crate) pid: Pid,
    pub(crate) for_what: WaitsFor,
    pub(crate) pipes: Pipes,
    /// Whether it was made before there was a job for it.
    is_ahead: bool,
}

/// What a process waits for.
pub(crate) enum WaitsFor {
    /// Its terms, to be written here; closing it ends the child.
    Terms(OwnedFd),
    /// That we let it go: it was started ahead, and stands still.
    Us(Stopped),
}

/// Our ends of a child's pipes.
pub(crate) struct Pipes {
    /// None when the child's input is at its end from the start.
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    /// Says the error when exec failed; closes without a word when it did not.
    pub(crate) exec: OwnedFd,
}

/// The child's ends.
pub(crate) struct ChildEnds {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    exec: OwnedFd,
    go: OwnedFd,
}

impl ChildEnds {
    /// Where the child says that it stands, or what went wrong.
    pub(crate) fn words(&self) -> BorrowedFd<'_> {
        self.exec.as_fd()
    }

    /// Where it hears that it may go.
    pub(crate) fn go(&self) -> BorrowedFd<'_> {
        self.go.as_fd()
    }
}

/// Why there is no process for a step.
pub(crate) enum NoProcess {
    /// It could not be made.
    Fork(Errno),
    /// It could not be started ahead or thawed.
    Ahead(Errno),
}

impl From<Errno> for NoProcess {
    fn from(errno: Errno) -> NoProcess {
        NoProcess::Fork(errno)
    }
}

impl Waiting {
    /// Forks the child. The order's strings need to live only until this returns: the child has its own copy.
    /// When this returns, the child is in its control group, if there was a door to it.
    pub(crate) fn fork(
        order: &StepOrder<'_>,
        image: Option<OwnedFd>,
        doors: StepDoors,
        left: &Left,
    ) -> Result<Waiting, NoProcess> {
        let (stdin_out, stdin_in) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stdout_out, stdout_in) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr_out, stderr_in) = pipe_with(PipeFlags::CLOEXEC)?;
        let (exec_out, exec_in) = pipe_with(PipeFlags::CLOEXEC)?;
        let (go_out, go_in) = pipe_with(PipeFlags::CLOEXEC)?;
        match sys::fork()? {
            Fork::Child => {
                // Ours would keep the child's own pipes open in itself.
                drop((stdin_in, stdout_out, stderr_out, exec_out, go_in));
                let ends =
                    ChildEnds { stdin: stdin_out, stdout: stdout_in, stderr: stderr_in, exec: exec_in, go: go_out };
                become_program(order, image, doors, left, ends)
            }
            Fork::Parent(pid) => {
                // Its own end would keep us waiting for a child that died.
                drop(exec_in);
                stands(&exec_out).map_err(|errno| match order.start {
                    Start::Fresh => NoProcess::Fork(errno),
                    Start::Ahead(_) | Start::Thawed | Start::ThawedAhead(_) => NoProcess::Ahead(errno),
                })?;
                let for_what = match order.start {
                    Start::Fresh | Start::Thawed => WaitsFor::Terms(go_in),
                    Start::Ahead(halt) => WaitsFor::Us(
                        start_ahead(pid, go_in, Until { halt, renewed: order.renewed }, left)
                            .map_err(NoProcess::Ahead)?,
                    ),
                    Start::ThawedAhead(halt) => {
                        WaitsFor::Us(go_on_ahead(pid, go_in, halt, left).map_err(NoProcess::Ahead)?)
                    }
                };
                let pipes = Pipes {
                    stdin: Some(unblocking(stdin_in)?),
                    stdout: unblocking(stdout_out)?,
                    stderr: unblocking(stderr_out)?,
                    exec: unblocking(exec_out)?,
                };
                Ok(Waiting { pid, for_what, pipes, is_ahead: !matches!(order.start, Start::Fresh) })
            }
        }
    }
}

impl Waiting {
    /// Whether it was made ahead of its job, and has ended. It is not taken leave of by that.
    pub(crate) fn has_ended_ahead(&self) -> bool {
        let only_look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.is_ahead && matches!(waitid(WaitId::Pid(self.pid), only_look), Ok(Some(_)))
    }
}

/// Has a child that stands execute its program, as far as to where it is stopped. On our CPU until then, but for a fence, in which we may not say
/// where others are.
fn start_ahead(pid: Pid, go: OwnedFd, until: Until, left: &Left) -> Result<Stopped, Errno> {
    sys::seize(pid)?;
    let shared = if left.apart.is_none() { OneCpu::share(pid) } else { None };
    let brought = rustix::io::write(&go, &[STANDS])
        .and_then(|_| Stopped::bring(pid, Since::Executing, until, left.work_path(), shared.as_ref()));
    match (shared, brought) {
        (None, brought) => brought,
        (Some(shared), Ok(stopped)) => shared.part(stopped.threads()).map(|()| stopped),
        // It is ended next, with all its threads.
        (Some(shared), Err(errno)) => shared.part(core::iter::once(pid)).and(Err(errno)),
    }
}

/// Lets a child that was thawed and stands go on, as far as to where it is stopped again.
fn go_on_ahead(pid: Pid, go: OwnedFd, halt: Halt, left: &Left) -> Result<Stopped, Errno> {
    /// None at all: it is held to its own when it is let go.
    const UNLIMITED: Terms =
        Terms { stdin: StepStdin::Frames, file_bytes: u64::MAX, tasks: u32::MAX, ends: Ends::Gone };
    sys::seize(pid)?;
    sys::interrupt(pid)?;
    rustix::io::write(&go, &UNLIMITED.to_bytes())?;
    Stopped::bring(pid, Since::Running, Until { halt, renewed: 0 }, left.work_path(), None)
}

/// What a child says once it stands where it is to wait. An error is longer.
pub(crate) const STANDS: u8 = 1;

/// Waits for the child to say that it stands.
fn stands(exec: &OwnedFd) -> Result<(), Errno> {
    let mut word = [0; 4];
    loop {
        return match rustix::io::read(exec, &mut word) {
            Ok(1) => Ok(()),
            Ok(4) => Err(Errno::from_raw_os_error(i32::from_ne_bytes(word))),
            Ok(_) => Err(Errno::CHILD),
            Err(Errno::INTR) => continue,
            Err(errno) => Err(errno),
        };
    }
}

fn unblocking(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok(fd)
}

/// The child's life up to exec. Whatever fails is said on the exec pipe.
fn become_program(order: &StepOrder<'_>, image: Option<OwnedFd>, doors: StepDoors, left: &Left, ends: ChildEnds) -> ! {
    let ready = prepare(order, doors, left, &ends).and_then(|()| match order.start {
        Start::Thawed | Start::ThawedAhead(_) => {
            Err(image.map_or(Errno::BADF, |image| thaw::become_image(&image, &ends)))
        }
        Start::Ahead(_) => start_under_eyes(&ends),
        Start::Fresh => start_on_terms(left, &ends),
    });
    let errno = match ready {
        Ok(Go::On(_)) => start(order),
        Ok(Go::Never) => sys::exit(0),
        Err(errno) => errno,
    };
    let _ = rustix::io::write(&ends.exec, &errno.raw_os_error().to_ne_bytes());
    sys::exit(127)
}

/// Whether the child was let go, or left alone.
pub(crate) enum Go<T = ()> {
    On(T),
    Never,
}

/// What comes first however a step starts.
fn prepare(order: &StepOrder<'_>, doors: StepDoors, left: &Left, ends: &ChildEnds) -> Result<(), Errno> {
    doors.enter()?;
    if left.apart.is_some() {
        // Before the host counts what there was before this step.
        make_executable(left, program(order)?)?;
    }
    stand_apart(left)?;
    rustix::stdio::dup2_stdin(&ends.stdin)?;
    rustix::stdio::dup2_stdout(&ends.stdout)?;
    rustix::stdio::dup2_stderr(&ends.stderr)?;
    sys::unblock_signals()?;
    rustix::process::fchdir(left.work())
}

fn start_on_terms(left: &Left, ends: &ChildEnds) -> Result<Go, Errno> {
    rustix::io::write(&ends.exec, &[STANDS])?;
    Filter::STEP.install().map_err(ConfineError::errno)?;
    match wait_for_terms(ends.go())? {
        Go::Never => Ok(Go::Never),
        Go::On(terms) => limit_to(&terms, left.limits_tasks()).map(Go::On),
    }
}

/// The agent follows this process from its start on, and sets its limits.
fn start_under_eyes(ends: &ChildEnds) -> Result<Go, Errno> {
    // Else not even the agent could follow it. There is nobody in the cell yet who could use it.
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    rustix::io::write(&ends.exec, &[STANDS])?;
    let go = match read_all(ends.go(), &mut [0; 1])? {
        0 => Go::Never,
        _ => Go::On(()),
    };
    Filter::STEP.install().map_err(ConfineError::errno)?;
    Ok(go)
}

/// Waits to be told on what terms to go.
pub(crate) fn wait_for_terms(go: BorrowedFd<'_>) -> Result<Go<Terms>, Errno> {
    let mut bytes = [0; Terms::BYTES];
    match read_all(go, &mut bytes)? {
        0 => Ok(Go::Never),
        read => Terms::decode(&bytes[..read]).map(Go::On).map_err(|_| Errno::BADMSG),
    }
}

/// Reads once: what is written at once to a pipe comes at once.
fn read_all(pipe: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match rustix::io::read(pipe, &mut *buffer) {
            Err(Errno::INTR) => {}
            read => return read,
        }
    }
}

/// Leaves the agent's own circle: no controlling terminal, and a process group that belongs to nobody else.
fn stand_apart(left: &Left) -> Result<(), Errno> {
    match &left.apart {
        None => rustix::process::setsid().map(|_| ()),
        Some(domain) => {
            // In a fence the whole cell has one session, and a signal could reach the agent.
            rustix::process::setpgid(None, None)?;
            if Layer::StepsDomain.is_left_out() {
                return Ok(());
            }
            domain.enter().map_err(ConfineError::errno)
        }
    }
}

/// Holds this process to its terms.
pub(crate) fn limit_to(terms: &Terms, tasks: bool) -> Result<(), Errno> {
    limit(Resource::Fsize, terms.file_bytes)?;
    if tasks { limit(Resource::Nproc, terms.tasks.into()) } else { Ok(()) }
}

fn start(order: &StepOrder<'_>) -> Errno {
    let StepOrder { argv, env, start: _, renewed: _ } = order;
    let mut arguments = [core::ptr::null(); MOST_STRINGS + 1];
    let mut variables = [core::ptr::null(); MOST_STRINGS + 1];
    let (Some(arguments), Some(variables)) = (pointers(*argv, &mut arguments), pointers(*env, &mut variables)) else {
        return Errno::TOOBIG;
    };
    match program(order) {
        Ok(program) => sys::execute(program, arguments, variables),
        Err(errno) => errno,
    }
}

fn program<'o>(order: &StepOrder<'o>) -> Result<&'o CStr, Errno> {
    order.argv.iter().next().and_then(|path| CStr::from_bytes_with_nul(path).ok()).ok_or(Errno::INVAL)
}

/// Gives a build's result the right to be executed, which a linker in a fence cannot. Whatever else a step starts has it
/// already.
fn make_executable(left: &Left, program: &CStr) -> Result<(), Errno> {
    let name = program.to_bytes_with_nul();
    let name = name.iter().rposition(|byte| *byte == b'/').map_or(name, |slash| &name[slash + 1..]);
    let name = CStr::from_bytes_with_nul(name).map_err(|_| Errno::INVAL)?;
    store::make_executable(left.work(), name)
}

/// Sets a limit of the kernel's for good. Where less was inherited, less it stays.
fn limit(resource: Resource, most: u64) -> Result<(), Errno> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX).min(most);
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

/// A list as exec wants it: a pointer to each string, and null at the end.
fn pointers<'l>(strings: Strings<'_>, list: &'l mut Pointers) -> Option<&'l [*const u8]> {
    let count = strings.count() as usize;
    if count >= list.len() {
        return None;
    }
    for (slot, string) in list.iter_mut().zip(strings.iter()) {
        *slot = string.as_ptr();
    }
    Some(&list[..=count])
}
