//! Every frame at every place of every play, and what else an agent can do wrong. What must hold is said in `trial`.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use firebox_cell::{Measured, Past, StreamError};
use firebox_job::{Protection, Verdict};
use firebox_wire::{End, Report, VERSION};

use super::frames::{self, Said, frame};
use super::host::{Answers, Request};
use super::play::{self, Move, Play, Told};
use super::trial::{OUTPUT, TIMEOUT, Trial, Tried, try_all};
use crate::{RunError, Stdin};

/// Most trials wait for most of their time.
const AT_ONCE: usize = 48;
/// But not those in which both ends work as hard as they can.
const FLOODS_AT_ONCE: usize = 4;

/// A trial for every place of every play, made of what comes before it and what would come after it.
fn at_every_place(what: &str, moves: impl Fn(&[Move], &[Move]) -> Option<Vec<Move>>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for Play { name, moves: honest, is_kept } in play::all() {
        for place in 0..=honest.len() {
            let (before, after) = honest.split_at(place);
            if let Some(moves) = moves(before, after) {
                trials.push(Trial { is_kept, ..Trial::new(format!("{what} at {place} on the way {name}"), moves) });
            }
        }
    }
    trials
}

/// Something else between what comes before and what comes after.
fn between(before: &[Move], other: Move, after: &[Move]) -> Option<Vec<Move>> {
    Some([before, &[other], after].concat())
}

/// Something else instead of the next word, where there is one.
fn instead(before: &[Move], other: Move, after: &[Move]) -> Option<Vec<Move>> {
    match after.split_first() {
        Some((Move::Say(_), rest)) => between(before, other, rest),
        _ => None,
    }
}

fn for_each(all: Vec<Said>, trials: impl Fn(&str, Vec<u8>) -> Vec<Trial>) -> Vec<Trial> {
    all.into_iter().flat_map(|Said { name, bytes }| trials(&name, bytes)).collect()
}

fn outcome_of(tried: &Tried) -> Option<Verdict> {
    tried.result.as_ref()?.as_ref().ok().map(|outcome| outcome.verdict)
}

#[test]
fn an_honest_agent_comes_to_the_end_and_a_killed_step_to_a_timeout() {
    let to_the_end = Trial::new("to the end", play::to_the_end()).take();
    assert_eq!(outcome_of(&to_the_end), Some(Verdict::Ok), "{}", to_the_end.said());
    let to_the_kill = Trial::new("to the kill", play::to_the_kill()).take();
    assert_eq!(outcome_of(&to_the_kill), Some(Verdict::Timeout), "{}", to_the_kill.said());
    let is_kept = true;
    let from_the_store = Trial { is_kept, ..Trial::new("from the store", play::from_the_store()) }.take();
    assert_eq!(outcome_of(&from_the_store), Some(Verdict::Ok), "{}", from_the_store.said());
}

#[test]
fn no_report_too_many_or_too_early_does_harm() {
    let say = |name: &str, bytes: Vec<u8>| {
        at_every_place(name, |before, after| between(before, Move::Say(bytes.clone()), after))
    };
    try_all(&for_each(frames::whole(), say), AT_ONCE);
}

#[test]
fn no_report_in_anothers_place_does_harm() {
    let say = |name: &str, bytes: Vec<u8>| {
        at_every_place(name, |before, after| instead(before, Move::Say(bytes.clone()), after))
    };
    try_all(&for_each(frames::whole(), say), AT_ONCE);
}

#[test]
fn nothing_that_is_no_frame_does_harm() {
    let say = |name: &str, bytes: Vec<u8>| {
        at_every_place(name, |before, after| between(before, Move::Say(bytes.clone()), after))
    };
    try_all(&for_each(frames::malformed(), say), AT_ONCE);
}

#[test]
fn no_frame_that_is_cut_short_does_harm_whatever_follows_it() {
    let go_on = |name: &str, bytes: Vec<u8>| {
        at_every_place(name, |before, after| between(before, Move::Say(bytes.clone()), after))
    };
    let close = |name: &str, bytes: Vec<u8>| {
        at_every_place(&format!("{name} and no more"), |before, _| {
            between(before, Move::Say(bytes.clone()), &[Move::Close])
        })
    };
    try_all(&for_each(frames::cut_short(), go_on), AT_ONCE);
    try_all(&for_each(frames::cut_short(), close), AT_ONCE);
}

#[test]
fn an_agent_may_fall_silent_go_deaf_dawdle_or_leave_at_any_place() {
    let mut trials = Vec::new();
    for ending in [Move::Silence, Move::Deafness, Move::Dawdle, Move::Close] {
        trials.extend(at_every_place(&format!("{ending:?}"), |before, _| between(before, ending.clone(), &[])));
    }
    trials.extend(at_every_place("a pause", |before, after| {
        between(before, Move::Pause(Duration::from_millis(35)), after)
    }));
    trials.extend(at_every_place("a long pause", |before, after| {
        between(before, Move::Pause(Duration::from_secs(9)), after)
    }));
    try_all(&trials, AT_ONCE);
}

#[test]
fn an_agent_may_say_everything_a_byte_at_a_time_or_all_at_once() {
    let mut trials = Vec::new();
    for Play { name, moves: honest, is_kept } in play::all() {
        let of = |name, moves| Trial { is_kept, ..Trial::new(name, moves) };
        let trickled = honest.iter().map(|one| match one {
            Move::Say(bytes) => Move::Trickle(bytes.clone()),
            other => other.clone(),
        });
        trials.push(of(format!("a byte at a time, {name}"), trickled.collect()));
        let said = honest.iter().filter_map(|one| match one {
            Move::Say(bytes) => Some(bytes.clone()),
            _ => None,
        });
        let all: Vec<u8> = said.flatten().collect();
        trials.push(of(format!("all at once, {name}"), vec![Move::Say(all.clone())]));
        trials.push(of(format!("all at once and gone, {name}"), vec![Move::Say(all), Move::Close]));
    }
    try_all(&trials, AT_ONCE);
}

#[test]
fn no_flood_keeps_a_course_from_its_end() {
    let heard_something = |before: &[Move]| matches!(before.last(), None | Some(Move::Await(_)));
    let mut floods: Vec<Said> =
        frames::reports().iter().map(|report| Said { name: format!("{report:?}"), bytes: frame(report) }).collect();
    floods.push(Said {
        name: "the largest Stdout".to_owned(),
        bytes: frame(&Report::Stdout(&[b'x'; firebox_wire::MAX_PAYLOAD])),
    });
    let flood = |name: &str, bytes: Vec<u8>| {
        at_every_place(&format!("a flood of {name}"), |before, _| match heard_something(before) {
            true => between(before, Move::Flood(bytes.clone()), &[]),
            false => None,
        })
    };
    try_all(&for_each(floods, flood), FLOODS_AT_ONCE);
}

#[test]
fn an_agent_that_takes_its_time_for_each_of_many_files_is_given_up() {
    let ready = Move::Say(frame(&Report::Ready { version: VERSION }));
    let stored =
        [Move::Await(Told::FileEnd), Move::Pause(Duration::from_millis(15)), Move::Say(frame(&Report::Stored))];
    let mut slow = Trial::new("many files", [vec![ready.clone()], vec![stored; 400].concat()].concat());
    slow.files = 400;
    // More than a socket holds, so that every piece of it has to be waited for.
    let mut dawdling = Trial::new("a large file", vec![ready, Move::Dawdle]);
    dawdling.file_bytes = 4 << 20;

    try_all(&[slow.clone(), dawdling.clone()], 2);

    let slow = slow.take();
    assert!(matches!(slow.result, Some(Err(RunError::Silent { .. }))), "{}", slow.said());
    let dawdling = dawdling.take();
    let is_deaf = matches!(dawdling.result, Some(Err(RunError::Agent { source: StreamError::Deaf, .. })));
    assert!(is_deaf, "{}", dawdling.said());
}

/// Until the run has been let go, and from then on this.
fn once_it_runs(moves: &[Move]) -> Vec<Move> {
    let honest = play::to_the_kill();
    let go = |one: &Move| matches!(one, Move::Await(Told::Go));
    let last = honest.iter().rposition(go).expect("it is let go");
    [&honest[..=last], moves].concat()
}

/// A build that ends like this.
fn a_build_that(ends: End) -> Vec<Move> {
    let mut moves = play::until_it_is_built();
    moves.truncate(moves.len() - 2);
    moves.push(Move::Say(frame(&Report::Ended(ends))));
    moves
}

#[test]
fn what_the_host_measured_is_the_verdict_whatever_the_agent_says() {
    let none = Answers::INNOCENT;
    // The build step, which the same agent answers for, was innocent.
    let with = |measured| Answers { measured, since_step: 2, ..none };
    let killed = with(Measured { oom_kills: 1, ..none.measured });
    let starved = with(Measured { starved: true, ..none.measured });
    let full = with(Measured { disk_full: true, ..none.measured });
    let busy = with(Measured { cpu: Duration::from_secs(1), ..none.measured });
    let past = |limit| Answers { held: Protection::Watched, ..with(Measured { past: Some(limit), ..none.measured }) };
    let (large, many, filling) = (past(Past::Memory), past(Past::Tasks), past(Past::Disk));
    let ends = |end| vec![Move::Say(frame(&Report::Ended(end)))];
    for (answers, moves, expected) in [
        (killed, ends(End::Exited(0)), Some(Verdict::MemoryLimit)),
        (killed, vec![Move::Close], Some(Verdict::MemoryLimit)),
        (killed, vec![Move::Silence], Some(Verdict::MemoryLimit)),
        (starved, ends(End::Exited(0)), Some(Verdict::Ok)),
        (starved, vec![Move::Silence], Some(Verdict::MemoryLimit)),
        (full, ends(End::Exited(1)), Some(Verdict::DiskLimit)),
        (full, ends(End::Signaled(25)), Some(Verdict::DiskLimit)),
        (busy, vec![Move::Silence], Some(Verdict::CpuLimit)),
        (large, vec![Move::Silence], Some(Verdict::MemoryLimit)),
        (many, vec![Move::Silence], Some(Verdict::TasksLimit)),
        (filling, vec![Move::Silence], Some(Verdict::DiskLimit)),
        (none, vec![Move::Silence], Some(Verdict::Timeout)),
        (none, vec![Move::Deafness], Some(Verdict::Timeout)),
        (none, vec![Move::Close], None),
    ] {
        let mut trial = Trial::new("measured", once_it_runs(&moves));
        trial.answers = answers;
        let tried = trial.take();
        assert_eq!(outcome_of(&tried), expected, "{answers:?} and {moves:?}: {}", tried.said());
    }
}

#[test]
fn a_host_that_refuses_is_an_error_and_the_cell_goes_all_the_same() {
    let mut trials = Vec::new();
    for refuses in [Request::Limit, Request::Measure, Request::OrderRemoval, Request::Remove] {
        let mut trial = Trial::new(format!("{refuses:?} refused"), play::to_the_end());
        trial.answers.refuses = Some(refuses);
        let tried = trial.take();
        assert!(matches!(tried.result, Some(Err(RunError::Cell(_)))), "{refuses:?}: {}", tried.said());
        trials.push(trial);
    }
    try_all(&trials, 1);
}

#[test]
fn a_host_that_does_not_answer_is_waited_for_no_longer_than_its_step_may_take() {
    let mut trials = Vec::new();
    for (what, moves) in [
        ("is ended by us", vec![Move::Await(Told::Kill), Move::Say(frame(&Report::Ended(End::Signaled(9))))]),
        ("is silent as well", vec![Move::Silence]),
    ] {
        let mut trial = Trial::new(what, once_it_runs(&moves));
        // So much CPU time may be used that it has to be measured on the way.
        trial.answers = Answers { is_late: true, since_step: 2, ..Answers::INNOCENT };
        let tried = trial.take();
        assert_eq!(outcome_of(&tried), Some(Verdict::Timeout), "{what}: {}", tried.said());
        trials.push(trial);
    }
    try_all(&trials, 1);
}

#[test]
fn a_step_whose_cell_goes_before_it_is_measured_was_out_of_time() {
    let ended = [Move::Say(frame(&Report::Ended(End::Exited(0))))];
    let mut moves = once_it_runs(&ended);
    // While it is built, most of the job's time goes by. The rest is over before the host would have answered.
    moves.insert(play::until_it_runs().len(), Move::Pause(TIMEOUT * 3 / 5));
    let mut trial = Trial::new("ended by itself", moves);
    trial.answers = Answers { is_late: true, since_step: 2, ..Answers::INNOCENT };
    let tried = trial.take();
    assert_eq!(outcome_of(&tried), Some(Verdict::Timeout), "{}", tried.said());
}

#[test]
fn an_outcome_waits_for_the_end_of_a_cell_only_if_that_could_keep_something_alive() {
    let ended = || Move::Say(frame(&Report::Ended(End::Exited(1))));
    for (what, moves, waits) in [
        ("ended by itself", vec![ended()], false),
        ("ended by us", vec![Move::Await(Told::Kill), ended()], true),
        ("ended by us, and silent", vec![Move::Silence], true),
        ("has more to say than that it ended", vec![Move::Say(frame(&Report::Ended(End::Exited(0))).repeat(2))], true),
    ] {
        let tried = Trial::new(what, once_it_runs(&moves)).take();
        assert!(outcome_of(&tried).is_some(), "{what}: {}", tried.said());
        assert_eq!(tried.cell_went_first, waits, "{what}: {}", tried.said());
    }
    let mut lost = Trial::new("gone, with its memory", once_it_runs(&[Move::Close]));
    lost.answers.measured.oom_kills = 1;
    lost.answers.since_step = 2;
    assert!(lost.take().cell_went_first);
    let mut haunted = Trial::new("somebody but the agent is left, by the host's count", once_it_runs(&[ended()]));
    haunted.answers.measured.others = true;
    haunted.answers.since_step = 2;
    assert!(haunted.take().cell_went_first);
    let mut outlived =
        Trial::new("the compiler is still there when the program begins, and then not", once_it_runs(&[ended()]));
    outlived.answers.measured.others = true;
    outlived.answers.until_step = 1;
    assert!(!outlived.take().cell_went_first);
    let mut unbuilt = Trial::new("somebody is left of a build that failed", a_build_that(End::Exited(1)));
    unbuilt.answers.measured.others = true;
    assert!(unbuilt.take().cell_went_first);
}

#[test]
fn output_after_the_kill_is_kept_within_its_limit() {
    let flood = Move::Flood(frame(&Report::Stdout(&[b'x'; 1000])));
    let tried = Trial::new("after the kill", once_it_runs(&[Move::Await(Told::Kill), flood])).take();
    let Some(Ok(outcome)) = &tried.result else { panic!("{}", tried.said()) };
    assert_eq!((outcome.verdict, outcome.stdout.bytes().len() as u64), (Verdict::Timeout, OUTPUT));
    assert!(outcome.stdout.truncated().is_some(), "nothing was cut");
}

#[test]
fn an_agent_that_takes_input_it_was_not_given_gets_no_more_of_it_read() {
    let (read, mut write) = std::io::pipe().expect("a pipe");
    let written = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&written);
    let feeder = thread::spawn(move || {
        while let Ok(count) = write.write(&[b'x'; 4096]) {
            counted.fetch_add(count, Ordering::SeqCst);
        }
    });
    let taken = frame(&Report::StdinTaken).repeat(1000);

    let tried = Trial::new("input", once_it_runs(&[Move::Say(taken), Move::Silence])).take_with(Stdin::Fd(read.into()));

    feeder.join().expect("the pipe is closed when the course is over");
    // What the pipe holds, what is on its way, and what was asked for next.
    let most = (64 << 10) + 3 * crate::input::CHUNK;
    let written = written.load(Ordering::SeqCst);
    assert!(written <= most, "{written} bytes were read for an agent that had taken none; {}", tried.said());
    assert!(matches!(tried.result, Some(Err(RunError::OutOfTurn { .. }))), "{}", tried.said());
}
