//! What an engine in the wrong hands can tell a warden. After each of these, a well-behaved request is made.

use std::io::Read;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use firebox_wire::warden::{CellReply, CellRequest, Failure, MESSAGE_BYTES, Made, Make, Message, Stage, StepLimits};
use rustix::io::Errno;

use crate::engine::{Cell, Engine, LIMITS, has_answer, hear, is_answered, tell, tell_with};
use crate::views::nothing_is_made_through_the_links_of_a_view;

type Claim = (&'static str, fn(&Engine));

pub(crate) const CLAIMS: [Claim; 16] = [
    ("what_is_no_request_for_a_cell_is_refused", what_is_no_request_for_a_cell_is_refused),
    ("a_view_that_does_not_exist_is_refused", a_view_that_does_not_exist_is_refused),
    ("nothing_is_made_through_the_links_of_a_view", nothing_is_made_through_the_links_of_a_view),
    ("what_is_no_request_about_a_cell_is_refused", what_is_no_request_about_a_cell_is_refused),
    ("descriptors_that_come_along_are_closed", descriptors_that_come_along_are_closed),
    ("a_cell_is_measured_once_it_was_limited", a_cell_is_measured_once_it_was_limited),
    ("no_limit_is_too_odd_to_be_answered", no_limit_is_too_odd_to_be_answered),
    ("a_cell_that_begins_steps_without_end_is_still_removed", a_cell_that_begins_steps_without_end_is_still_removed),
    ("a_cell_is_removed_once", a_cell_is_removed_once),
    ("what_is_said_before_a_birth_is_answered_after_it", what_is_said_before_a_birth_is_answered_after_it),
    ("a_cell_that_is_let_go_before_its_birth_is_removed", a_cell_that_is_let_go_before_its_birth_is_removed),
    ("births_are_under_way_together_but_not_without_end", births_are_under_way_together_but_not_without_end),
    ("neither_jobs_nor_burials_wait_for_births_to_end", neither_jobs_nor_burials_wait_for_births_to_end),
    ("an_engine_that_never_reads_is_not_waited_for", an_engine_that_never_reads_is_not_waited_for),
    ("cells_beyond_what_the_warden_can_hold_are_refused", cells_beyond_what_the_warden_can_hold_are_refused),
    ("wherever_descriptors_run_out_nothing_of_a_cell_is_left", wherever_descriptors_run_out_nothing_of_a_cell_is_left),
];

/// Messages that are none: of every length but the right one, and of the right length with nothing right in them.
fn nonsense() -> Vec<Vec<u8>> {
    let lengths = (0..MESSAGE_BYTES).chain(MESSAGE_BYTES + 1..2 * MESSAGE_BYTES).chain([4096, 100_000]);
    let mut all: Vec<Vec<u8>> =
        lengths.flat_map(|length| [vec![0; length], vec![1; length], vec![6; length]]).collect();
    all.extend((0..=u8::MAX).filter(|kind| ![1, 4, 5, 6, 12].contains(kind)).map(|kind| {
        let mut message = vec![0; MESSAGE_BYTES];
        message[0] = kind;
        message
    }));
    all.extend((1..=u8::MAX).map(|byte| vec![byte; MESSAGE_BYTES]));
    all
}

fn what_is_no_request_for_a_cell_is_refused(engine: &Engine) {
    for message in nonsense() {
        tell(&engine.socket, &message, 0).expect("the warden listens");
        let (answer, fds) = hear(&engine.socket).expect("the warden answers");
        let refused = matches!(Made::decode(&answer), Ok(Made::Failed(Failure { stage: Stage::Message, .. })));
        assert!(refused && fds.is_empty(), "{message:?} is answered by {answer:?}");
    }
}

fn a_view_that_does_not_exist_is_refused(engine: &Engine) {
    for view in [1, 2, 255, 256, u16::MAX] {
        tell(&engine.socket, &Make { view }.encode(), 0).expect("the warden listens");
        let (answer, fds) = hear(&engine.socket).expect("the warden answers");
        let refused = matches!(Made::decode(&answer), Ok(Made::Failed(Failure { stage: Stage::View, .. })));
        assert!(refused && fds.is_empty(), "view {view} is answered by {answer:?}");
    }
}

fn what_is_no_request_about_a_cell_is_refused(engine: &Engine) {
    let Cell { socket, _stream } = engine.make();
    for message in nonsense() {
        tell(&socket, &message, 0).expect("the warden listens");
        let (answer, _) = hear(&socket).expect("the warden answers");
        let reply = CellReply::decode(&answer);
        let refused = matches!(reply, Ok(CellReply::Failed(Failure { stage: Stage::Message, .. })));
        assert!(refused, "{message:?} is answered by {reply:?}");
    }
}

fn descriptors_that_come_along_are_closed(engine: &Engine) {
    let cell = engine.make();
    for count in [1, 2, 3, 4, 5, 64, 253] {
        for (socket, message) in [
            (&engine.socket, [0; MESSAGE_BYTES]),
            (&engine.socket, Make { view: 9 }.encode()),
            (&cell.socket, [0; MESSAGE_BYTES]),
            (&cell.socket, CellRequest::Measure.encode()),
        ] {
            let (mut end, copies) = std::io::pipe().expect("a pipe");
            tell_with(socket, &message, &vec![copies.as_fd(); count]).expect("the warden listens");
            drop(copies);
            hear(socket).expect("the warden answers");
            rustix::io::ioctl_fionbio(&end, true).expect("a pipe that does not wait");
            assert_eq!(end.read(&mut [0]).ok(), Some(0), "the warden holds one of {count} descriptors");
        }
    }
    // Along with a request that is as it should be, they change nothing.
    tell(&engine.socket, &Make { view: 0 }.encode(), 253).expect("the warden listens");
    let (answer, fds) = hear(&engine.socket).expect("the warden answers");
    assert!(matches!((Made::decode(&answer), fds.len()), (Ok(Made::Cell { .. }), 2)), "{answer:?}");
}

fn a_cell_is_measured_once_it_was_limited(engine: &Engine) {
    let cell = engine.make();
    let early = cell.ask(&CellRequest::Measure);
    assert!(matches!(early, Some(CellReply::Failed(Failure { stage: Stage::Measure, .. }))), "{early:?}");
    assert!(matches!(cell.ask(&CellRequest::Limit(LIMITS)), Some(CellReply::Limited(_))));
    assert!(matches!(cell.ask(&CellRequest::Measure), Some(CellReply::Measured(_))));
}

fn no_limit_is_too_odd_to_be_answered(engine: &Engine) {
    let nothing = StepLimits { memory: 0, tasks: 0, vcpus: 0, disk: 0, inodes: 0, wall_ms: 0 };
    let all = StepLimits {
        memory: u64::MAX,
        tasks: u32::MAX,
        vcpus: u32::MAX,
        disk: u64::MAX,
        inodes: u32::MAX,
        wall_ms: u64::MAX,
    };
    let odd = [nothing, all].into_iter().flat_map(|odd| {
        let StepLimits { memory, tasks, vcpus, disk, inodes, wall_ms } = odd;
        [
            odd,
            StepLimits { memory, ..LIMITS },
            StepLimits { tasks, ..LIMITS },
            StepLimits { vcpus, ..LIMITS },
            StepLimits { disk, ..LIMITS },
            StepLimits { inodes, ..LIMITS },
            StepLimits { wall_ms, ..LIMITS },
            StepLimits { memory, disk, ..LIMITS },
        ]
    });
    for limits in odd {
        let cell = engine.make();
        let limited = cell.ask(&CellRequest::Limit(limits));
        assert!(matches!(limited, Some(CellReply::Limited(_) | CellReply::Failed(_))), "{limits:?}: {limited:?}");
        let measured = cell.ask(&CellRequest::Measure);
        assert!(matches!(measured, Some(CellReply::Measured(_) | CellReply::Failed(_))), "{limits:?}: {measured:?}");
        assert_eq!(cell.ask(&CellRequest::Remove), Some(CellReply::Removed), "{limits:?}");
    }
}

fn a_cell_that_begins_steps_without_end_is_still_removed(engine: &Engine) {
    let cell = engine.make();
    let mut refused = 0;
    for _ in 0..100 {
        match cell.ask(&CellRequest::Limit(LIMITS)) {
            Some(CellReply::Limited(_)) => {}
            Some(CellReply::Failed(_)) => refused += 1,
            other => panic!("a step is answered by {other:?}"),
        }
    }
    assert!(refused > 0, "one cell may use up every descriptor of the warden's and more");
    assert_eq!(cell.ask(&CellRequest::Remove), Some(CellReply::Removed));
}

fn a_cell_is_removed_once(engine: &Engine) {
    let cell = engine.make();
    for _ in 0..3 {
        tell(&cell.socket, &CellRequest::Remove.encode(), 0).expect("the warden listens");
    }
    let (answer, _) = hear(&cell.socket).expect("the warden answers");
    assert_eq!(CellReply::decode(&answer), Ok(CellReply::Removed));
    assert!(hear(&cell.socket).is_none(), "the cell is gone");
    // And without a word.
    drop(engine.make());
}

fn what_is_said_before_a_birth_is_answered_after_it(engine: &Engine) {
    let cells = [(); 3].map(|()| {
        let cell = engine.conceive();
        tell(&cell.socket, &CellRequest::Limit(LIMITS).encode(), 0).expect("the warden listens");
        tell(&cell.socket, &CellRequest::Remove.encode(), 0).expect("the warden listens");
        cell
    });
    for cell in cells {
        assert_eq!(cell.hear(), Some(CellReply::Born));
        let limited = cell.hear();
        assert!(matches!(limited, Some(CellReply::Limited(_))), "{limited:?}");
        assert_eq!(cell.hear(), Some(CellReply::Removed));
    }
}

fn a_cell_that_is_let_go_before_its_birth_is_removed(engine: &Engine) {
    for _ in 0..20 {
        let (cell, other) = (engine.conceive(), engine.conceive());
        drop(cell);
        assert_eq!(other.hear(), Some(CellReply::Born));
    }
    engine.assert_at_rest();
}

/// What an engine asks for that does not wait costs the host no more at once than what one asks for that does.
fn births_are_under_way_together_but_not_without_end(engine: &Engine) {
    const AT_MOST: usize = 4;
    let mut together = 0;
    for _ in 0..20 {
        const ASKED: usize = 7;
        for _ in 0..ASKED {
            tell(&engine.socket, &Make { view: 0 }.encode(), 0).expect("the warden listens");
        }
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            assert!(Instant::now() < until, "not all of them come to be born");
            let children = engine.children();
            let unborn = children.iter().filter(|name| !name.contains("agent")).count();
            assert!(unborn <= AT_MOST, "{unborn} births are under way at once: {children:?}");
            together = together.max(unborn);
            if children.len() == ASKED && unborn == 0 {
                break;
            }
        }
        let cells = [(); ASKED].map(|()| engine.hear_of_a_cell());
        cells.iter().for_each(|cell| assert_eq!(cell.hear(), Some(CellReply::Born)));
        drop(cells);
        engine.assert_at_rest();
    }
    assert!(together > 1, "a birth waits for the one before");
}

/// There is always one more birth that is asked for, and always a cell to be removed.
fn neither_jobs_nor_burials_wait_for_births_to_end(engine: &Engine) {
    let ask_for_one = || tell(&engine.socket, &Make { view: 0 }.encode(), 0).expect("the warden listens");
    let (job, removed) = (engine.make(), engine.make());
    assert!(matches!(job.ask(&CellRequest::Limit(LIMITS)), Some(CellReply::Limited(_))));
    (0..8).for_each(|_| ask_for_one());
    tell(&removed.socket, &CellRequest::Remove.encode(), 0).expect("the warden listens");
    let mut births = 0;
    while !is_answered(&removed.socket) {
        ask_for_one();
        drop(engine.hear_of_a_cell());
        assert!(matches!(job.ask(&CellRequest::Measure), Some(CellReply::Measured(_))));
        births += 1;
        assert!(births < 100, "a removal waits until nobody asks for a cell any more");
    }
    assert_eq!(removed.hear(), Some(CellReply::Removed));
    (0..8).for_each(|_| drop(engine.hear_of_a_cell()));
    drop(job);
    engine.assert_at_rest();
}

/// Says something until nobody is there any more, or the other end has so much to read that it cannot say more.
fn say_without_end(socket: &std::os::fd::OwnedFd, message: &[u8]) -> Errno {
    let mut patience = 0;
    loop {
        match tell(socket, message, 0) {
            Ok(()) => patience = 0,
            Err(Errno::AGAIN) if patience < 200 => {
                patience += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(errno) => return errno,
        }
    }
}

fn an_engine_that_never_reads_is_not_waited_for(engine: &Engine) {
    let (deaf, other) = (engine.make(), engine.make());
    let end = say_without_end(&deaf.socket, &CellRequest::Measure.encode());
    assert!(matches!(end, Errno::PIPE | Errno::CONNRESET), "its cell is ended, and not {end}");
    assert!(matches!(other.ask(&CellRequest::Limit(LIMITS)), Some(CellReply::Limited(_))), "others go on");

    for _ in 0..5000 {
        if tell(&engine.socket, &[0; MESSAGE_BYTES], 0).is_err() {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    assert!(matches!(other.ask(&CellRequest::Measure), Some(CellReply::Measured(_))), "others still go on");
    read_all(engine);
}

/// Takes in all answers there are, and lets go what came with them. How many cells that were.
fn read_all(engine: &Engine) -> usize {
    let mut cells = 0;
    while has_answer(&engine.socket) {
        cells += hear(&engine.socket).expect("the warden answers").1.len() / 2;
    }
    cells
}

fn cells_beyond_what_the_warden_can_hold_are_refused(engine: &Engine) {
    for _ in 0..60 {
        tell(&engine.socket, &Make { view: 0 }.encode(), 0).expect("the warden listens");
    }
    assert!(read_all(engine) > 0, "no cell came of sixty requests");
    engine.assert_at_rest();

    // The same, held on to until there can be no more.
    let mut held = Vec::new();
    let refused = loop {
        tell(&engine.socket, &Make { view: 0 }.encode(), 0).expect("the warden listens");
        let (answer, fds) = hear(&engine.socket).expect("the warden answers");
        match Made::decode(&answer) {
            Ok(Made::Cell { .. }) => held.push(fds),
            other => break other,
        }
        assert!(held.len() < 60, "the warden holds any number of cells");
    };
    assert!(matches!(refused, Ok(Made::Failed(_))), "{refused:?}");
    drop(held);
    engine.assert_at_rest();
}

fn wherever_descriptors_run_out_nothing_of_a_cell_is_left(engine: &Engine) {
    let mut refused = 0;
    for spare in 0.. {
        engine.leave_descriptors(spare);
        tell(&engine.socket, &Make { view: 0 }.encode(), 0).expect("the warden listens");
        let (answer, fds) = hear(&engine.socket).expect("the warden answers");
        drop(fds);
        engine.assert_at_rest();
        match Made::decode(&answer) {
            Ok(Made::Cell { .. }) => break,
            other => assert!(matches!(other, Ok(Made::Failed(_))), "with {spare} descriptors to spare: {other:?}"),
        }
        refused += 1;
    }
    engine.leave_all_descriptors();
    assert!(refused > 5, "a cell was made with {refused} descriptors");
}
