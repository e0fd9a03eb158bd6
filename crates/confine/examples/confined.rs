//! Confines itself as a job would be, then becomes a command or makes one system call. The tests attack through it.
//!
//! ```text
//! confined WORK exec COMMAND [ARGUMENT...]    everything is readable and executable, only WORK and /dev/shm are writable
//! confined WORK call NUMBER [ARGUMENT...]     one system call; `pointer` stands for the address of zeroes
//! confined WORK call-i386 NUMBER              one system call by the 32-bit door
//! confined WORK report                        what was enforced
//! confined WORK time                          what each layer takes
//! confined WORK unconfined VERB ...           the first three without confinement: the control, which shows that an
//!                                             attack is one. Only for what does the host no harm
//! ```

#![expect(clippy::print_stdout, reason = "a program for the terminal and for tests")]

use std::env;
use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

use firebox_confine::{
    Access, Confined, Confinement, Files, Filter, Landlock, Rlimits, Rule, drop_capabilities, forbid_dumps,
    forbid_new_privileges,
};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (work, side, verb, rest) = match arguments.as_slice() {
        [work, "unconfined", verb, rest @ ..] => (work, Side::Unconfined, verb, rest),
        [work, verb, rest @ ..] => (work, Side::Confined, verb, rest),
        _ => return Err("usage: confined WORK [unconfined] exec|call|call-i386|report|time ...".into()),
    };
    match (*verb, rest) {
        ("exec", [command, rest @ ..]) => {
            side.enter(work)?;
            Err(Command::new(command).args(rest).current_dir(work).exec().into())
        }
        ("call", [number, rest @ ..]) => {
            let (number, rest) = (number.parse()?, rest.iter().map(|it| argument(it)).collect::<Result<Vec<_>, _>>()?);
            side.enter(work)?;
            println!("{}", sys::call(number, &rest));
            Ok(())
        }
        ("call-i386", [number]) => {
            let number = number.parse()?;
            side.enter(work)?;
            println!("{}", sys::call_i386(number));
            Ok(())
        }
        ("report", []) if side == Side::Confined => {
            println!("{:?}", confine(work)?);
            Ok(())
        }
        ("time", []) if side == Side::Confined => time(work),
        _ => Err(format!("no verb `{verb}` with these arguments").into()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Confined,
    Unconfined,
}

impl Side {
    fn enter(self, work: &str) -> Result<(), Box<dyn Error>> {
        match self {
            Side::Confined => confine(work).map(drop),
            Side::Unconfined => Ok(()),
        }
    }
}

fn confine(work: &str) -> Result<Confined, Box<dyn Error>> {
    let (all, devices, shared, work) = (path("/")?, path("/dev")?, path("/dev/shm")?, path(work)?);
    let rules = [
        Rule::new(&all, Access::ReadExecute),
        Rule::new(&devices, Access::ReadWrite),
        Rule::new(&shared, Access::Full),
        Rule::new(&work, Access::Full),
    ];
    Ok(Confinement {
        rlimits: Rlimits { locked_bytes: Some(1 << 16), ..Rlimits::default() },
        files: Files::Only(&rules),
        filter: Filter::JOB,
    }
    .enter()?)
}

fn path(path: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

fn argument(word: &str) -> Result<usize, Box<dyn Error>> {
    static ZEROES: [u64; 64] = [0; 64];
    match word.strip_prefix("0x") {
        Some(digits) => Ok(usize::from_str_radix(digits, 16)?),
        None if word == "pointer" => Ok(ZEROES.as_ptr().addr()),
        None => Ok(word.parse()?),
    }
}

fn time(work: &str) -> Result<(), Box<dyn Error>> {
    let (all, work) = (path("/")?, path(work)?);
    let rules = [Rule::new(&all, Access::ReadExecute), Rule::new(&work, Access::Full)];
    let begin = Instant::now();
    Rlimits::default().apply()?;
    let limited = begin.elapsed();
    forbid_new_privileges()?;
    drop_capabilities()?;
    let dropped = begin.elapsed();
    Landlock::restrict(&rules)?;
    let locked = begin.elapsed();
    forbid_dumps()?;
    Filter::JOB.install()?;
    let filtered = begin.elapsed();
    println!(
        "rlimits {:?}, privileges {:?}, Landlock {:?}, seccomp {:?}, all {filtered:?}",
        limited,
        dropped - limited,
        locked - dropped,
        filtered - locked
    );
    Ok(())
}

mod sys {
    //! System calls by number, which is how an attacker makes them.

    #![expect(unsafe_code, reason = "calls that no library would make")]

    use syscalls::raw::syscall6;

    /// One call; the tests pass only such as the filter refuses, or that are harmless on zeroes.
    pub(crate) fn call(number: usize, arguments: &[usize]) -> String {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        let [a, b, c, d, e, f] = all;
        // SAFETY: not sound for every call, and not meant to be: this process has nothing left to do but to print the
        // answer, and those who run it choose calls that are refused or write no memory of ours. One that makes a second
        // process has it print an answer of its own.
        let answer = unsafe { syscall6(number, a, b, c, d, e, f) };
        describe(answer.cast_signed() as i64)
    }

    /// One call without arguments, as a 32-bit program makes it.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn call_i386(number: u32) -> String {
        let answer: u32;
        // SAFETY: the interrupt reads its number from `eax` and gives its answer there, declared so; it preserves the
        // other registers but r8 to r11, declared clobbered. The calls that the tests pass touch no memory.
        unsafe {
            std::arch::asm!(
                "int 0x80",
                inlateout("eax") number => answer,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            )
        };
        describe(i64::from(answer.cast_signed()))
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn call_i386(_number: u32) -> String {
        "no such door".to_owned()
    }

    fn describe(answer: i64) -> String {
        if (-4095..0).contains(&answer) { format!("errno {}", -answer) } else { "done".to_owned() }
    }
}
