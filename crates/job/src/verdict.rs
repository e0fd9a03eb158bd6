//! What is said of a program when its job has ended.
//!
//! A verdict is about the program, a fault is about us: nothing in here stands for something that Firebox failed
//! to do. Such things are errors of the crates that failed, and never borrow the program's exit code.

use std::fmt;

/// The number of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal(pub u8);

/// How a job ended. The order is the order of precedence: the first that applies is the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The client took it back.
    Cancelled,
    /// The kernel killed for memory, by the host's count.
    MemoryLimit,
    /// More tasks than allowed, where nothing refused them: elsewhere `fork` fails, and the program goes on.
    TasksLimit,
    /// The step failed and its disk was full, by the host's count.
    DiskLimit,
    /// More CPU time than allowed.
    CpuLimit,
    /// More wall time than allowed.
    Timeout,
    /// The program was killed by a signal that was not ours.
    Signaled(Signal),
    /// A build step broke down rather than refuse the code; what it would have exited with.
    CompilerCrash(i32),
    /// A build step refused the code, with this exit code.
    CompileError(i32),
    /// The program ended with this exit code, which is not 0.
    RuntimeError(i32),
    /// The program ended with 0.
    Ok,
}

impl Verdict {
    /// The word for it.
    pub fn status(self) -> Status {
        match self {
            Verdict::Cancelled => Status::Cancelled,
            Verdict::MemoryLimit => Status::MemoryLimit,
            Verdict::TasksLimit => Status::TasksLimit,
            Verdict::DiskLimit => Status::DiskLimit,
            Verdict::CpuLimit => Status::CpuLimit,
            Verdict::Timeout => Status::Timeout,
            Verdict::Signaled(_) => Status::Signaled,
            Verdict::CompilerCrash(_) => Status::CompilerCrash,
            Verdict::CompileError(_) => Status::CompileError,
            Verdict::RuntimeError(_) => Status::RuntimeError,
            Verdict::Ok => Status::Ok,
        }
    }

    /// What a shell would have seen.
    pub fn exit_code(self) -> i32 {
        match self {
            Verdict::Cancelled => 130,
            Verdict::MemoryLimit | Verdict::TasksLimit => 137,
            Verdict::DiskLimit => 153,
            Verdict::CpuLimit => 152,
            Verdict::Timeout => 124,
            Verdict::Signaled(Signal(number)) => 128 + i32::from(number),
            Verdict::CompilerCrash(code) | Verdict::CompileError(code) | Verdict::RuntimeError(code) => code,
            Verdict::Ok => 0,
        }
    }

    /// The signal that ended the program; none when it was ours.
    pub fn signal(self) -> Option<Signal> {
        match self {
            Verdict::Signaled(signal) => Some(signal),
            _ => None,
        }
    }
}

/// The word for a [`Verdict`], as clients read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// See [`Verdict::Cancelled`].
    Cancelled,
    /// See [`Verdict::MemoryLimit`].
    MemoryLimit,
    /// See [`Verdict::TasksLimit`].
    TasksLimit,
    /// See [`Verdict::DiskLimit`].
    DiskLimit,
    /// See [`Verdict::CpuLimit`].
    CpuLimit,
    /// See [`Verdict::Timeout`].
    Timeout,
    /// See [`Verdict::Signaled`].
    Signaled,
    /// See [`Verdict::CompilerCrash`].
    CompilerCrash,
    /// See [`Verdict::CompileError`].
    CompileError,
    /// See [`Verdict::RuntimeError`].
    RuntimeError,
    /// See [`Verdict::Ok`].
    Ok,
}

impl Status {
    /// All of them, in the order of precedence.
    pub const ALL: [Status; 11] = [
        Status::Cancelled,
        Status::MemoryLimit,
        Status::TasksLimit,
        Status::DiskLimit,
        Status::CpuLimit,
        Status::Timeout,
        Status::Signaled,
        Status::CompilerCrash,
        Status::CompileError,
        Status::RuntimeError,
        Status::Ok,
    ];

    /// The word itself.
    pub fn name(self) -> &'static str {
        match self {
            Status::Cancelled => "cancelled",
            Status::MemoryLimit => "memory_limit",
            Status::TasksLimit => "tasks_limit",
            Status::DiskLimit => "disk_limit",
            Status::CpuLimit => "cpu_limit",
            Status::Timeout => "timeout",
            Status::Signaled => "signaled",
            Status::CompilerCrash => "compiler_crash",
            Status::CompileError => "compile_error",
            Status::RuntimeError => "runtime_error",
            Status::Ok => "ok",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
