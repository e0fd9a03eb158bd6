//! What an honest agent says and awaits, move by move. A double leaves it at some place and does something else.

use std::time::Duration;

use firebox_wire::{End, Growth, MadeFile, Order, Report, VERSION};

use super::frames::frame;

/// One move of a double.
#[derive(Debug, Clone)]
pub(super) enum Move {
    /// Takes in orders up to this one.
    Await(Told),
    /// Says this at once.
    Say(Vec<u8>),
    /// Says this a byte at a time.
    Trickle(Vec<u8>),
    /// Says this again and again, until nobody listens.
    Flood(Vec<u8>),
    /// Does nothing for a while.
    Pause(Duration),
    /// Takes orders in and says nothing, until the engine is gone.
    Silence,
    /// Takes nothing in and says nothing, until the course is over.
    Deafness,
    /// Takes in no more than a byte at a time, and says nothing.
    Dawdle,
    /// Closes its end.
    Close,
}

/// The kind of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    File,
    Program,
    Content,
    FileEnd,
    Step,
    Go,
    Freeze,
    Learn,
    Stdin,
    StdinEnd,
    Kill,
    Fetch,
}

impl From<Order<'_>> for Told {
    fn from(order: Order<'_>) -> Told {
        match order {
            Order::File(_) => Told::File,
            Order::Program(_) => Told::Program,
            Order::Content(_) => Told::Content,
            Order::FileEnd => Told::FileEnd,
            Order::Step(_) => Told::Step,
            Order::Go(_) => Told::Go,
            Order::Freeze(_) => Told::Freeze,
            Order::Learn(_) => Told::Learn,
            Order::Stdin(_) => Told::Stdin,
            Order::StdinEnd => Told::StdinEnd,
            Order::Kill => Told::Kill,
            Order::Fetch(_) => Told::Fetch,
        }
    }
}

pub(super) fn say(report: Report<'_>) -> Move {
    Move::Say(frame(&report))
}

/// What an honest agent says of what was built: that and nothing else.
pub(super) const MADE: MadeFile = MadeFile {
    bytes: CONTENT.len() as u64,
    is_executable: true,
    blocks: 1,
    since_stored: Growth { inodes: 1, blocks: 1 },
};

/// And what it hands out.
pub(super) const CONTENT: &[u8] = b"a program";

/// Up to the moment when the first step runs.
pub(super) fn until_it_runs() -> Vec<Move> {
    vec![
        say(Report::Ready { version: VERSION }),
        Move::Await(Told::FileEnd),
        say(Report::Stored),
        Move::Await(Told::Step),
        say(Report::Prepared),
        Move::Await(Told::Go),
        say(Report::Started),
    ]
}

/// Up to the moment when what was built is to be handed out.
pub(super) fn until_it_is_built() -> Vec<Move> {
    let built = vec![say(Report::Stderr(b"a warning")), say(Report::Ended(End::Exited(0))), Move::Await(Told::Fetch)];
    [until_it_runs(), built].concat()
}

/// From then on: it is handed out, and runs.
pub(super) fn handed_out(made: MadeFile, parts: &[&[u8]]) -> Vec<Move> {
    let mut moves = vec![say(Report::Made(made))];
    moves.extend(parts.iter().map(|part| say(Report::Content(part))));
    moves
}

pub(super) fn it_runs() -> Vec<Move> {
    vec![Move::Await(Told::Step), say(Report::Prepared), Move::Await(Told::Go), say(Report::Started)]
}

/// It reads its input, answers and ends.
pub(super) fn it_ends() -> Vec<Move> {
    vec![
        Move::Await(Told::Stdin),
        say(Report::StdinTaken),
        Move::Await(Told::StdinEnd),
        say(Report::Stdout(b"an answer")),
        say(Report::Ended(End::Exited(0))),
    ]
}

/// A program that is built, handed out, reads its input, answers and ends.
pub(super) fn to_the_end() -> Vec<Move> {
    [until_it_is_built(), handed_out(MADE, &[CONTENT]), it_runs(), it_ends()].concat()
}

/// A program that is built, handed out, runs for too long and is ended.
pub(super) fn to_the_kill() -> Vec<Move> {
    let too_long =
        vec![say(Report::Stdout(b"half an answer")), Move::Await(Told::Kill), say(Report::Ended(End::Signaled(9)))];
    [until_it_is_built(), handed_out(MADE, &[CONTENT]), it_runs(), too_long].concat()
}

/// A program that was built for an earlier job, is put into the cell, reads its input, answers and ends.
pub(super) fn from_the_store() -> Vec<Move> {
    let stored = vec![
        say(Report::Ready { version: VERSION }),
        Move::Await(Told::FileEnd),
        say(Report::Stored),
        Move::Await(Told::Program),
        Move::Await(Told::FileEnd),
        say(Report::Stored),
    ];
    [stored, it_runs(), it_ends()].concat()
}

/// What an agent does, and where.
pub(super) struct Play {
    pub(super) name: &'static str,
    pub(super) moves: Vec<Move>,
    /// Whether what it would build is kept already.
    pub(super) is_kept: bool,
}

/// Every play.
pub(super) fn all() -> [Play; 3] {
    [
        Play { name: "to the end", moves: to_the_end(), is_kept: false },
        Play { name: "to the kill", moves: to_the_kill(), is_kept: false },
        Play { name: "from the store", moves: from_the_store(), is_kept: true },
    ]
}
