//! What an honest agent says and awaits, move by move. A double leaves it at some place and does something else.

use std::time::Duration;

use firebox_wire::{End, Order, Report, VERSION};

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
    Content,
    FileEnd,
    Step,
    Go,
    Freeze,
    Stdin,
    StdinEnd,
    Kill,
}

impl From<Order<'_>> for Told {
    fn from(order: Order<'_>) -> Told {
        match order {
            Order::File(_) => Told::File,
            Order::Content(_) => Told::Content,
            Order::FileEnd => Told::FileEnd,
            Order::Step(_) => Told::Step,
            Order::Go(_) => Told::Go,
            Order::Freeze => Told::Freeze,
            Order::Stdin(_) => Told::Stdin,
            Order::StdinEnd => Told::StdinEnd,
            Order::Kill => Told::Kill,
        }
    }
}

fn say(report: Report<'_>) -> Move {
    Move::Say(frame(&report))
}

/// Up to the moment when the program that was built runs.
fn until_it_runs() -> Vec<Move> {
    vec![
        say(Report::Ready { version: VERSION }),
        Move::Await(Told::FileEnd),
        say(Report::Stored),
        Move::Await(Told::Step),
        say(Report::Prepared),
        Move::Await(Told::Go),
        say(Report::Started),
        say(Report::Stderr(b"a warning")),
        say(Report::Ended(End::Exited(0))),
        Move::Await(Told::Step),
        say(Report::Prepared),
        Move::Await(Told::Go),
        say(Report::Started),
    ]
}

/// A program that is built, reads its input, answers and ends.
pub(super) fn to_the_end() -> Vec<Move> {
    let mut moves = until_it_runs();
    moves.extend([
        Move::Await(Told::Stdin),
        say(Report::StdinTaken),
        Move::Await(Told::StdinEnd),
        say(Report::Stdout(b"an answer")),
        say(Report::Ended(End::Exited(0))),
    ]);
    moves
}

/// A program that is built, runs for too long and is ended.
pub(super) fn to_the_kill() -> Vec<Move> {
    let mut moves = until_it_runs();
    moves.extend([
        say(Report::Stdout(b"half an answer")),
        Move::Await(Told::Kill),
        say(Report::Ended(End::Signaled(9))),
    ]);
    moves
}

/// Every play, by its name.
pub(super) fn all() -> [(&'static str, Vec<Move>); 2] {
    [("to the end", to_the_end()), ("to the kill", to_the_kill())]
}
