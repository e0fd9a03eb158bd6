//! A warden in the wrong hands: whatever it answers, the engine gets an error or a cell, and keeps no descriptor.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use firebox_job::ByteSize;
use firebox_wire::warden::{Failure, Held, MESSAGE_BYTES, Stage};
use rustix::io::IoSlice;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};

use super::*;

/// What a hostile warden answers: some bytes, and so many descriptors.
type Answer = (Vec<u8>, usize);

/// A socket to be handed out, and what tells whether all of its copies are closed.
struct Traced {
    copies: OwnedFd,
    end: OwnedFd,
}

impl Traced {
    fn new() -> Traced {
        let (end, copies) = pair();
        Traced { copies, end }
    }

    /// One on which a cell is said to have been born.
    fn born() -> Traced {
        let traced = Traced::new();
        channel::send(traced.end.as_fd(), &CellReply::Born, &[], Patience::Never).unwrap();
        traced
    }

    /// Fails when somebody still holds a copy: reading would then wait.
    fn assert_closed(self, what: &str) {
        let Traced { copies, end } = self;
        drop(copies);
        let read = channel::receive_bytes(end.as_fd(), Patience::Never);
        // The latter when something was left unread on it.
        let closed = matches!(read, Ok(None) | Err(Errno::CONNRESET));
        assert!(closed, "a descriptor is still open after {what}");
    }
}

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

fn answer(socket: &OwnedFd, (bytes, fds): &Answer, handed: &OwnedFd) {
    let fds = vec![handed.as_fd(); *fds];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(fds.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL).unwrap();
}

/// A warden that has answered all this already and will say no more. Its end is to be kept while it is asked.
fn warden(answers: &[Answer], handed: &OwnedFd) -> (OwnedFd, OwnedFd) {
    let (ours, wardens) = pair();
    for one in answers {
        answer(&wardens, one, handed);
    }
    rustix::net::shutdown(&wardens, rustix::net::Shutdown::Write).unwrap();
    (ours, wardens)
}

fn cells(socket: OwnedFd) -> Cells {
    // Not a child of ours, so nobody is waited for.
    Cells::new(Tether::new(socket, rustix::process::getpid()), CellKind::Jail, Ground::Own)
}

fn bytes(message: &impl Message) -> Vec<u8> {
    message.encode().to_vec()
}

/// What is no answer to anything.
fn nonsense() -> Vec<Vec<u8>> {
    let failure = Failure { stage: Stage::Mount, errno: i32::MIN };
    let mut odd_stage = bytes(&Made::Failed(failure));
    odd_stage[1] = 0;
    let made = bytes(&Made::Cell { number: 1 });
    let (short, long) = (made[..MESSAGE_BYTES - 1].to_vec(), [made.as_slice(), &[0]].concat());
    vec![vec![], vec![2], vec![0; MESSAGE_BYTES], vec![255; MESSAGE_BYTES], vec![2; 4096], short, long, odd_stage]
}

#[test]
fn a_warden_that_does_not_greet_as_it_should_makes_no_cell() {
    let failed = bytes(&Made::Failed(Failure { stage: Stage::Root, errno: 1 }));
    let others = [failed, bytes(&Make { view: 0 }), bytes(&CellReply::Removed)];
    for greeting in nonsense().into_iter().chain(others) {
        for fds in [0, 1, 2, 3, 64] {
            let traced = Traced::new();
            let (ours, _wardens) = warden(&[(greeting.clone(), fds)], &traced.copies);
            let jail = cells(ours);
            assert!(jail.make(0).is_err(), "{greeting:?} with {fds} descriptors");
            drop(jail);
            traced.assert_closed(&format!("a greeting with {fds}"));
        }
    }
    let (ours, wardens) = pair();
    let jail = cells(ours);
    // What it has said does not make it live longer.
    channel::send(wardens.as_fd(), &Made::Cell { number: 1 }, &[], Patience::Never).unwrap();
    assert!(!jail.is_gone());
    drop(wardens);
    assert!(jail.is_gone());
    assert!(matches!(jail.make(0), Err(CellError::WardenGone { .. })));
}

#[test]
fn a_cell_comes_with_two_descriptors_or_not_at_all() {
    let made = bytes(&Made::Cell { number: 1 });
    for (answer, fds, is_cell) in nonsense()
        .into_iter()
        .flat_map(|answer| [0, 1, 2, 3, 64].map(|fds| (answer.clone(), fds, false)))
        .chain([0, 1, 2, 3, 4, 5, 8, 64].map(|fds| (made.clone(), fds, fds == 2)))
    {
        let traced = Traced::born();
        let (ours, _wardens) = warden(&[(made.clone(), 0), (answer.clone(), fds)], &traced.copies);
        let jail = cells(ours);
        assert_eq!(jail.make(0).is_ok(), is_cell, "{answer:?} with {fds} descriptors");
        drop(jail);
        traced.assert_closed(&format!("a cell with {fds} descriptors"));
    }
}

#[test]
fn a_cell_is_none_before_it_is_said_to_be_born() {
    let failed = bytes(&CellReply::Failed(Failure { stage: Stage::Root, errno: 1 }));
    let said = [failed, bytes(&CellReply::Removed), bytes(&Made::Cell { number: 1 })];
    let born = bytes(&CellReply::Born);
    for (said, fds, is_cell) in nonsense()
        .into_iter()
        .chain(said)
        .flat_map(|said| [(said.clone(), 0, false), (said, 1, false)])
        .chain([(born.clone(), 0, true), (born.clone(), 1, false), (born, 64, false)])
    {
        let traced = Traced::new();
        answer(&traced.end, &(said.clone(), fds), &traced.copies);
        rustix::net::shutdown(&traced.end, rustix::net::Shutdown::Write).unwrap();
        let made = bytes(&Made::Cell { number: 1 });
        let (ours, _wardens) = warden(&[(made.clone(), 0), (made, 2)], &traced.copies);
        let jail = cells(ours);
        assert_eq!(jail.make(0).is_ok(), is_cell, "{said:?} with {fds} descriptors");
    }
}

#[test]
fn two_births_at_once_are_never_taken_for_each_other() {
    let (ours, wardens) = pair();
    channel::send(wardens.as_fd(), &Made::Cell { number: 0 }, &[], Patience::Never).unwrap();
    let jail = cells(ours);
    let jail = &Cells { ground: Ground::Host("/".into()), ..jail };
    std::thread::scope(|scope| {
        let ask = |view| jail.make(view).map(|cell| cell.layout.work().to_owned());
        let (first, second) = (scope.spawn(move || ask(1)), scope.spawn(move || ask(2)));
        // Each is told its number at once, though none of them is born.
        let mut sockets = std::collections::BTreeMap::new();
        for _ in 0..2 {
            let (Make { view, .. }, _) = hear::<Make>(wardens.as_fd()).unwrap();
            let (socket, theirs) = pair();
            let made = Made::Cell { number: view.into() };
            channel::send(wardens.as_fd(), &made, &[theirs.as_fd(), theirs.as_fd()], Patience::Never).unwrap();
            sockets.insert(view, socket);
        }
        let fails = CellReply::Failed(Failure { stage: Stage::Proc, errno: 1 });
        channel::send(sockets[&2].as_fd(), &fails, &[], Patience::Never).unwrap();
        assert!(matches!(second.join().unwrap(), Err(CellError::Refused { doing, .. }) if doing == Stage::Proc.text()));
        channel::send(sockets[&1].as_fd(), &CellReply::Born, &[], Patience::Never).unwrap();
        assert_eq!(first.join().unwrap().unwrap(), std::path::Path::new("/1/job"));
    });
}

#[test]
fn an_answer_about_a_cell_that_was_not_asked_for_is_an_error() {
    let measured = firebox_wire::warden::Measured {
        cpu_ns: u64::MAX,
        past: Some(firebox_wire::warden::Past::Memory),
        memory_peak: None,
        oom_kills: u64::MAX,
        starved: true,
        disk_full: true,
        others: true,
    };
    let (limited, measured, removed) = (
        bytes(&CellReply::Limited(Held { memory: true, tasks: true, cpu: true, disk: true })),
        bytes(&CellReply::Measured(measured)),
        bytes(&CellReply::Removed),
    );
    let failed = bytes(&CellReply::Failed(Failure { stage: Stage::Limits, errno: i32::MAX }));
    let answers = [limited.clone(), measured.clone(), removed.clone(), failed];
    for answer in nonsense().into_iter().chain(answers) {
        for fds in [0, 1, 2, 3, 64] {
            let traced = Traced::new();
            let ask = |ask: &dyn Fn(Box<WardensCell>) -> bool| {
                let (socket, _wardens) = warden(&[(answer.clone(), fds)], &traced.copies);
                ask(Box::new(WardensCell { socket, kind: CellKind::Jail }))
            };
            let what = format!("{answer:?} with {fds} descriptors");
            let is_it = |expected: &Vec<u8>| fds == 0 && answer == *expected;
            assert_eq!(ask(&|mut host| host.limit(&LIMITS).is_ok()), is_it(&limited), "limit: {what}");
            assert_eq!(ask(&|mut host| host.measure(Instant::now()).is_ok()), is_it(&measured), "measure: {what}");
            assert_eq!(ask(&|host| host.remove().is_ok()), is_it(&removed), "remove: {what}");
            traced.assert_closed(&what);
        }
    }
}

const LIMITS: StepLimits = StepLimits {
    memory: ByteSize::mib(1),
    tasks: NonZeroU32::MIN,
    vcpus: NonZeroU32::MIN,
    disk: ByteSize::mib(1),
    inodes: 1,
    most: Duration::MAX,
};
