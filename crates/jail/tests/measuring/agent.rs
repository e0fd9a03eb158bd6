//! The test's own program as the agent of a cell: it has a process work before its step begins, and then go on.
//!
//! What it is told, and what it answers, are single bytes on its stream.

use std::fs::File;
use std::hint::black_box;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use firebox_warden::{Forked, exit, fork};
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Signal, WaitOptions, getpid, kill_process, pidfd_getfd, pidfd_open,
    set_child_subreaper, waitpid,
};
use rustix::time::{ClockId, clock_gettime};

/// What the program is called when it is an agent.
pub(crate) const NAME: &str = "agent";

/// Has a process stand in the place of a step, which works and then waits. Answered when it waits.
pub(crate) const STAND: u8 = b's';
/// Lets that process work again, and end. Answered when it has ended.
pub(crate) const GO: u8 = b'g';
/// The same, but it leaves a process behind that has no parent any more.
pub(crate) const GO_AND_LEAVE_ONE: u8 = b'l';
/// Ends the process that was left behind, and takes leave of it.
pub(crate) const END: u8 = b'e';
/// Done.
pub(crate) const DONE: u8 = b'.';

/// What the process has used before its step begins, and what in it.
pub(crate) const BEFORE: Duration = Duration::from_millis(400);
pub(crate) const IN_STEP: Duration = Duration::from_millis(60);
/// What it has had of memory before, and given back.
pub(crate) const MEMORY_BEFORE: usize = 48 << 20;

/// The stream, and after it in a jail the doors of the steps.
const STREAM: i32 = 3;

/// A step's process that stands and waits.
struct Standing {
    pid: Pid,
    word: PipeWriter,
    says: PipeReader,
}

pub(crate) fn live(argument: &str) -> ! {
    // In a jail it is that anyway.
    set_child_subreaper(Some(getpid())).expect("whoever loses its parent");
    let number = |digit: Option<&str>| digit.and_then(|digit| digit.parse().ok()).unwrap_or(0);
    let mut told = argument.split('x');
    let (doors_per_step, steps_with_doors): (i32, i32) = (number(told.next()), number(told.next()));
    let mut stream = File::from(inherited(STREAM));
    let (mut standing, mut left, mut begun) = (None, None, 0);
    loop {
        let mut word = [0];
        if stream.read_exact(&mut word).is_err() {
            exit(0);
        }
        match word[0] {
            STAND => {
                // A step after these is brought into its group, and has no way in.
                let doors = if begun < steps_with_doors { doors_per_step } else { 0 };
                let first = STREAM + 1 + begun * doors_per_step;
                begun += 1;
                standing = Some(stand((first..first + doors).map(inherited).collect()));
            }
            END => {
                let left = left.take().expect("a process that was left");
                kill_process(left, Signal::KILL).expect("a process of ours");
                waitpid(Some(left), WaitOptions::empty()).expect("a child of ours");
            }
            go => left = go_on(standing.take().expect("a process that stands"), go),
        }
        stream.write_all(&[DONE]).expect("a stream");
    }
}

fn stand(doors: Vec<OwnedFd>) -> Standing {
    let (mut hears, word) = std::io::pipe().expect("a pipe");
    let (mut stands, mut says) = std::io::pipe().expect("a pipe");
    match fork().expect("a process") {
        Forked::Child => {
            drop((word, stands));
            for door in &doors {
                rustix::io::write(door, b"0").expect("a way in");
            }
            work(BEFORE);
            drop(black_box(vec![1_u8; MEMORY_BEFORE]));
            says.write_all(&[DONE]).expect("a pipe");
            let mut go = [0];
            hears.read_exact(&mut go).expect("a pipe");
            work(IN_STEP);
            if go == [GO_AND_LEAVE_ONE] {
                leave_one(&mut says);
            }
            exit(0)
        }
        Forked::Parent(pid) => {
            drop(says);
            stands.read_exact(&mut [0]).expect("it stands");
            Standing { pid, word, says: stands }
        }
    }
}

/// Lets it go, and waits until it has ended. Whom it has left behind is the agent's child then.
fn go_on(standing: Standing, go: u8) -> Option<Pid> {
    let Standing { pid, mut word, mut says } = standing;
    word.write_all(&[go]).expect("a pipe");
    waitpid(Some(pid), WaitOptions::empty()).expect("a child of ours");
    let mut left = [0; 4];
    says.read_exact(&mut left).ok().and_then(|()| Pid::from_raw(i32::from_ne_bytes(left)))
}

fn leave_one(says: &mut PipeWriter) {
    match fork().expect("a process") {
        Forked::Child => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        Forked::Parent(pid) => says.write_all(&pid.as_raw_nonzero().get().to_ne_bytes()).expect("a pipe"),
    }
}

fn work(most: Duration) {
    let spent = || clock_gettime(ClockId::ProcessCPUTime);
    let began = Duration::try_from(spent()).expect("a time");
    while Duration::try_from(spent()).expect("a time") - began < most {
        black_box((0..10_000).fold(0_u64, |sum, n| sum ^ n));
    }
}

fn inherited(number: i32) -> OwnedFd {
    let this = pidfd_open(getpid(), PidfdFlags::empty()).expect("this process");
    pidfd_getfd(&this, number, PidfdGetfdFlags::empty()).expect("a descriptor from the warden")
}
