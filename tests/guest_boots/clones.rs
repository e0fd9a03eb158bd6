//! A guest that is frozen when a job's first process stands and waits, and clones of it that go on from there.

use std::time::{Duration, SystemTime};

use firebox_guest::{AGENT, BORN, CONTROL, RENEWED, Renewal};
use firebox_wire::End;
use firebox_wire::warden::{CellReply, CellRequest};

use crate::agent::Agent;
use crate::machine::{Frozen, Guest, Parts, ask};
use crate::{LIMITS, view};

/// For a guest to hear that who has called it has hung up.
const MOMENT: Duration = Duration::from_secs(1);
/// So long a snapshot lies there. A clock that nobody has set is late by that.
const LONG: Duration = Duration::from_secs(8);

/// What the time is, what is drawn by chance, and whether somebody was here before.
const CODE: &str = "/bin/busybox date +%s; /bin/busybox od -An -tx1 -N16 /dev/urandom; [ -e /job/mine ] && echo taken; \
    echo mine > /job/mine; cat /job/mine";

/// Frozen with the job's first process made, and nobody connected.
fn frozen(test: &str) -> Option<Frozen> {
    let mut guest = Guest::start(test, Parts::usual())?;
    guest.introduce(view());
    assert_eq!(guest.answer(), [BORN]);
    let mut agent = Agent::new(guest.call(AGENT));
    agent.is_ready();
    agent.prepare(&["/bin/sh", "-c", CODE]);
    drop(agent);
    std::thread::sleep(MOMENT);
    Some(guest.freeze())
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later")
}

fn renew(clone: &Guest, chance: u8) {
    assert_eq!(clone.renew(&Renewal { time: now(), randomness: [chance; _] }), [RENEWED]);
}

/// What the job says, and that it was done.
fn run(clone: Guest) -> String {
    let (mut agent, mut control) = (Agent::new(clone.call(AGENT)), clone.call(CONTROL));
    assert!(matches!(ask(&mut control, &CellRequest::Limit(LIMITS)), CellReply::Limited(_)));
    let (said, end) = agent.go(LIMITS.tasks);
    assert_eq!(end, End::Exited(0), "{said}");
    assert_eq!(ask(&mut control, &CellRequest::Remove), CellReply::Removed);
    assert_eq!(clone.last_words(), "");
    said
}

#[test]
fn clones_have_the_time_and_draw_their_own_and_know_nothing_of_each_other() {
    const NAME: &str = "clones_have_the_time_and_draw_their_own_and_know_nothing_of_each_other";
    let Some(frozen) = frozen(NAME) else { return };
    std::thread::sleep(LONG);
    let before = now();
    // Two live at the same time, and one comes later.
    let (first, second) = (frozen.clone(), frozen.clone());
    renew(&first, 1);
    renew(&second, 2);
    let mut said = vec![run(first), run(second)];
    let third = frozen.clone();
    renew(&third, 3);
    said.push(run(third));
    let after = now();

    let mut drawn = Vec::new();
    for said in &said {
        let [date, chance, mine] = said.lines().collect::<Vec<_>>()[..] else { panic!("somebody was here: {said}") };
        let date = date.parse().expect("seconds");
        assert!(
            (before.as_secs()..=after.as_secs()).contains(&date),
            "it is {date} in there, and {before:?} to {after:?} here"
        );
        assert_eq!(mine, "mine");
        drawn.push(chance.to_owned());
    }
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), said.len(), "two have drawn the same: {said:?}");
}
