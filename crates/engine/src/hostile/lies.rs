//! What an agent can say of a file that it is to hand out. Whatever it is, it goes under the key of its own job.

use std::time::Duration;

use firebox_job::Verdict;
use firebox_wire::{Growth, MadeFile, Refusal, Report};

use super::frames::frame;
use super::play::{self, CONTENT, MADE, Move};
use super::trial::{Trial, Tried};
use crate::RunError;

/// A trial that goes this way once what was built is to be handed out.
fn handing_out(moves: Vec<Move>) -> Tried {
    Trial::new("handing out", [play::until_it_is_built(), moves].concat()).take()
}

/// The same, and the program runs and ends.
fn handing_out_and_running(moves: Vec<Move>) -> Tried {
    handing_out([moves, play::it_runs(), play::it_ends()].concat())
}

fn ended_well(tried: &Tried) -> bool {
    matches!(&tried.result, Some(Ok(outcome)) if outcome.verdict == Verdict::Ok)
}

#[test]
fn what_an_honest_agent_hands_out_is_kept_as_it_is() {
    let parts: [&[&[u8]]; 2] = [&[CONTENT], &[b"a ", b"prog", b"ram"]];
    for parts in parts {
        let tried = handing_out_and_running(play::handed_out(MADE, parts));
        assert!(ended_well(&tried), "{}", tried.said());
        assert_eq!(tried.kept, Some(vec![CONTENT.to_vec()]));
    }
    let empty = MadeFile { bytes: 0, ..MADE };
    assert_eq!(handing_out_and_running(play::handed_out(empty, &[])).kept, Some(vec![Vec::new()]));
}

#[test]
fn what_is_too_large_missing_or_not_all_there_was_is_not_kept_and_runs_all_the_same() {
    let grown = |inodes, blocks| MadeFile { since_stored: Growth { inodes, blocks }, ..MADE };
    let too_large = |bytes| play::handed_out(MadeFile { bytes, ..MADE }, &[]);
    let refused = Report::Refused { what: Refusal::Fetch, errno: 2 };
    for (what, moves) in [
        ("one byte too many", too_large((16 << 20) + 1)),
        ("far too many bytes", too_large(u64::MAX)),
        ("no such file", vec![Move::Say(frame(&refused))]),
        ("another file besides", play::handed_out(grown(2, 1), &[CONTENT])),
        ("a file less", play::handed_out(grown(0, 1), &[CONTENT])),
        ("another file has grown", play::handed_out(grown(1, 2), &[CONTENT])),
        ("an odd number of files", play::handed_out(grown(i64::MIN, 1), &[CONTENT])),
        ("an odd number of blocks", play::handed_out(MadeFile { blocks: u64::MAX, ..grown(1, -1) }, &[CONTENT])),
    ] {
        let tried = handing_out_and_running(moves);
        assert!(ended_well(&tried), "{what}: {}", tried.said());
        assert_eq!(tried.kept, None, "{what}");
    }
}

#[test]
fn an_agent_that_hands_out_something_else_than_it_said_is_given_up_and_nothing_is_kept() {
    let of = |bytes| MadeFile { bytes, ..MADE };
    let output = Move::Say(frame(&Report::Stdout(b"x")));
    for (what, moves) in [
        ("a byte more than it said", play::handed_out(of(8), &[CONTENT])),
        ("nothing, for ever", [play::handed_out(of(8), &[]), vec![Move::Flood(frame(&Report::Content(b"")))]].concat()),
        ("nothing at once", play::handed_out(of(8), &[b""])),
        ("less than it said", play::handed_out(of(10), &[CONTENT])),
        ("less than it said, and gone", [play::handed_out(of(10), &[CONTENT]), vec![Move::Close]].concat()),
        ("output instead", [play::handed_out(of(9), &[]), vec![output.clone()]].concat()),
        ("output at once", vec![output]),
        ("that it is there, twice", [play::handed_out(of(9), &[]), play::handed_out(of(9), &[CONTENT])].concat()),
        ("that it cannot, halfway", {
            let refused = Move::Say(frame(&Report::Refused { what: Refusal::Fetch, errno: 5 }));
            [play::handed_out(of(9), &[b"a "]), vec![refused]].concat()
        }),
    ] {
        let tried = handing_out(moves);
        let is_told = matches!(
            tried.result,
            Some(Err(RunError::OutOfTurn { .. }
                | RunError::Silent { .. }
                | RunError::Agent { .. }
                | RunError::Refused { .. }))
        );
        assert!(is_told, "{what}: {}", tried.said());
        assert_eq!(tried.kept, None, "{what}");
    }
}

#[test]
fn a_file_that_comes_a_byte_at_a_time_is_not_waited_for_beyond_the_patience_for_one_answer() {
    let drop = [Move::Say(frame(&Report::Content(b"x"))), Move::Pause(Duration::from_millis(5))];
    let moves = [play::handed_out(MadeFile { bytes: 1 << 20, ..MADE }, &[]), vec![drop; 400].concat()].concat();
    let tried = handing_out(moves);
    assert!(matches!(tried.result, Some(Err(RunError::Silent { .. }))), "{}", tried.said());
    let flood = vec![Move::Flood(frame(&Report::Content(b"x")))];
    let tried = handing_out([play::handed_out(MadeFile { bytes: 16 << 20, ..MADE }, &[]), flood].concat());
    assert!(matches!(tried.result, Some(Err(RunError::Silent { .. }))), "{}", tried.said());
}

#[test]
fn what_was_kept_is_put_into_the_cell_and_what_was_said_is_said_again() {
    let trial = Trial { is_kept: true, ..Trial::new("from the store", play::from_the_store()) };
    let tried = trial.take();
    assert!(ended_well(&tried), "{}", tried.said());
    let Some(Ok(outcome)) = &tried.result else { panic!("{}", tried.said()) };
    assert!(outcome.steps[0].kept && !outcome.steps[1].kept, "{:?}", outcome.steps);
    assert_eq!(outcome.steps[0].stderr.bytes(), b"a warning");
    assert_eq!(tried.kept, Some(vec![CONTENT.to_vec()]));
}

#[test]
fn a_job_that_nobody_listens_to_is_cancelled_by_kept_words_as_it_is_by_new_ones() {
    for (is_kept, moves) in [(false, play::to_the_end()), (true, play::from_the_store())] {
        let tried = Trial { is_kept, is_heard: false, ..Trial::new("nobody listens", moves) }.take();
        let Some(Ok(outcome)) = &tried.result else { panic!("{}", tried.said()) };
        assert_eq!((outcome.verdict, outcome.step.as_str()), (Verdict::Cancelled, "compile"), "{is_kept}");
        assert_eq!((outcome.steps.len(), outcome.steps[0].exit_code), (1, 130), "{is_kept}");
    }
}
