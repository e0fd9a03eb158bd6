//! The process of a step: made beforehand, waiting, and then the program itself.
//!
//! ```text
//! agent --fork--> child: own control group, own session, own descriptors, waits on the go pipe
//!                 child: one byte came --> work directory, limits, exec
//! ```
//!
//! Where the child has no door to the step's control group, the host moves it there while it waits. Nothing of the job
//! runs before exec.

use core::ffi::CStr;

use firebox_confine::{ConfineError, Layer};
use firebox_wire::{MOST_STRINGS, StepOrder, StepStdin, Strings};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};

use crate::confinement::Left;
use crate::doors::StepDoors;
use crate::store;
use crate::sys::{self, Fork};

/// A pointer to each string of a list, and null.
type Pointers = [*const u8; MOST_STRINGS + 1];

/// A process that stands and waits.
pub(crate) struct Waiting {
    pub(crate) pid: Pid,
    /// A byte lets the child go; closing it ends the child.
    pub(crate) go: OwnedFd,
    pub(crate) pipes: Pipes,
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
struct ChildEnds {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    exec: OwnedFd,
    go: OwnedFd,
}

impl Waiting {
    /// Forks the child. The order's strings need to live only until this returns: the child has its own copy.
    /// When this returns, the child is in its control group, if there was a door to it.
    pub(crate) fn fork(order: &StepOrder<'_>, doors: StepDoors, left: &Left) -> Result<Waiting, Errno> {
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
                become_program(order, doors, left, ends)
            }
            Fork::Parent(pid) => {
                // Its own end would keep us waiting for a child that died.
                drop(exec_in);
                stands(&exec_out)?;
                let stdin = match order.stdin {
                    StepStdin::Empty => None,
                    StepStdin::Frames => Some(unblocking(stdin_in)?),
                };
                let pipes = Pipes {
                    stdin,
                    stdout: unblocking(stdout_out)?,
                    stderr: unblocking(stderr_out)?,
                    exec: unblocking(exec_out)?,
                };
                Ok(Waiting { pid, go: go_in, pipes })
            }
        }
    }
}

/// What a child says once it stands where it is to wait. An error is longer.
const STANDS: u8 = 1;

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
fn become_program(order: &StepOrder<'_>, doors: StepDoors, left: &Left, ends: ChildEnds) -> ! {
    let errno = match prepare(order, doors, left, &ends) {
        Ok(Go::Yes) => start(order, left),
        Ok(Go::Never) => sys::exit(0),
        Err(errno) => errno,
    };
    let _ = rustix::io::write(&ends.exec, &errno.raw_os_error().to_ne_bytes());
    sys::exit(127)
}

/// Whether the child was let go, or left alone.
enum Go {
    Yes,
    Never,
}

fn prepare(order: &StepOrder<'_>, doors: StepDoors, left: &Left, ends: &ChildEnds) -> Result<Go, Errno> {
    doors.enter()?;
    if left.apart.is_some() {
        // Before the host counts what there was before this step.
        make_executable(left, program(order)?)?;
    }
    rustix::io::write(&ends.exec, &[STANDS])?;
    stand_apart(left)?;
    rustix::stdio::dup2_stdin(&ends.stdin)?;
    rustix::stdio::dup2_stdout(&ends.stdout)?;
    rustix::stdio::dup2_stderr(&ends.stderr)?;
    sys::unblock_signals()?;
    loop {
        match rustix::io::read(ends.go.as_fd(), &mut [0; 1]) {
            Ok(0) => return Ok(Go::Never),
            Ok(_) => return Ok(Go::Yes),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
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

fn start(order: &StepOrder<'_>, left: &Left) -> Errno {
    let StepOrder { argv, env, stdin: _, file_bytes, tasks } = order;
    let mut arguments = [core::ptr::null(); MOST_STRINGS + 1];
    let mut variables = [core::ptr::null(); MOST_STRINGS + 1];
    let (Some(arguments), Some(variables)) = (pointers(*argv, &mut arguments), pointers(*env, &mut variables)) else {
        return Errno::TOOBIG;
    };
    let program = match program(order) {
        Ok(program) => program,
        Err(errno) => return errno,
    };
    let ready = limit(Resource::Fsize, *file_bytes).and_then(|()| match left.apart {
        None if Layer::Tasks.is_left_out() => Ok(()),
        None => limit(Resource::Nproc, (*tasks).into()),
        // The kernel counts all that the user runs on the host: the host knows how many that are, and has set it.
        Some(_) => Ok(()),
    });
    if let Err(errno) = ready.and_then(|()| rustix::process::fchdir(left.work())) {
        return errno;
    }
    sys::execute(program, arguments, variables)
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
