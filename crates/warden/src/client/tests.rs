//! A warden in the wrong hands: whatever it answers, the engine gets an error or a cell, and keeps no descriptor.

use std::io::{PipeReader, Read};
use std::num::NonZeroU32;

use firebox_wire::warden::{MESSAGE_BYTES, Stage};
use rustix::io::IoSlice;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};

use super::*;

/// What a hostile warden answers: some bytes, and so many descriptors.
type Answer = (Vec<u8>, usize);

/// The writing end of a pipe, to be handed out, and what tells whether all of its copies are closed.
struct Traced {
    copies: OwnedFd,
    end: PipeReader,
}

impl Traced {
    fn new() -> Traced {
        let (end, copies) = io::pipe().unwrap();
        Traced { copies: copies.into(), end }
    }

    /// Fails when somebody still holds a copy: reading would then wait.
    fn assert_closed(self, what: &str) {
        let Traced { copies, mut end } = self;
        drop(copies);
        rustix::io::ioctl_fionbio(&end, true).unwrap();
        assert_eq!(end.read(&mut [0]).ok(), Some(0), "a descriptor is still open after {what}");
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
    drop(wardens);
    assert!(matches!(cells(ours).make(0), Err(CellError::WardenGone { .. })));
}

#[test]
fn a_cell_comes_with_two_descriptors_or_not_at_all() {
    let made = bytes(&Made::Cell { number: 1 });
    for (answer, fds, is_cell) in nonsense()
        .into_iter()
        .flat_map(|answer| [0, 1, 2, 3, 64].map(|fds| (answer.clone(), fds, false)))
        .chain([0, 1, 2, 3, 4, 5, 8, 64].map(|fds| (made.clone(), fds, fds == 2)))
    {
        let traced = Traced::new();
        let (ours, _wardens) = warden(&[(made.clone(), 0), (answer.clone(), fds)], &traced.copies);
        let jail = cells(ours);
        assert_eq!(jail.make(0).is_ok(), is_cell, "{answer:?} with {fds} descriptors");
        drop(jail);
        traced.assert_closed(&format!("a cell with {fds} descriptors"));
    }
}

#[test]
fn an_answer_about_a_cell_that_was_not_asked_for_is_an_error() {
    let measured = firebox_wire::warden::Measured {
        cpu_ns: u64::MAX,
        past: Some(firebox_wire::warden::Past::Memory),
        memory_peak: None,
        oom_kills: u64::MAX,
        disk_full: true,
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
            assert_eq!(ask(&|mut host| host.measure().is_ok()), is_it(&measured), "measure: {what}");
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
