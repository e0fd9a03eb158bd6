//! Any one of Firebox's processes may be killed at any moment, while others are busy, and nothing is left.
//!
//! Several callers at once start jobs and kill one process of each; others start jobs that nobody kills, and none of
//! those may notice. A failure names its seed; `TEST_SEED` in the environment draws from the same again.

#![allow(clippy::print_stdout, reason = "a test of chance says what it has tried")]

mod kit;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kit::{
    Allowance, Dice, Finished, Firebox, Guard, HostInventory, Lineage, NOBODY, Ordinary, Role, Running, family,
    firebox, job,
};

/// Who starts jobs and kills, and who starts jobs and sees to it that they end well.
const KILLERS: usize = 4;
const NEIGHBOURS: usize = 2;
/// How long Firebox and the kernel may take to end what a killed process leaves.
const MOMENT: Duration = Duration::from_secs(2);
/// SIGKILL as a shell tells it.
const KILLED: i32 = 137;
/// How Firebox tells a failure of its own.
const FAULT: i32 = 125;

/// A job, by its language and code.
type Kind = (&'static str, &'static str);

const FORKING: Kind = (
    "bash",
    "for i in 1 2 3; do (setsid sleep 100 &); (trap '' TERM HUP INT; exec sleep 100) & done; sleep 0.02; echo made",
);
const SLEEPING: Kind = ("bash", "sleep 0.2; echo slept");
const FLOODING: Kind = ("bash", "head -c 3000000 /dev/zero | tr '\\0' x");
const WRITING: Kind =
    ("bash", "cd \"${TMPDIR:-/tmp}\"; for i in 1 2 3 4; do head -c 4M /dev/zero > $i; done; cat ? | wc -c");
const IN_C: Kind = ("c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); }");
const IN_RUST: Kind = ("rust", "fn main() { println!(\"hello\"); }");

/// How a job ends that is left alone.
struct Proper {
    stdout: Vec<u8>,
    wall: Duration,
}

/// What the threads of a test share.
struct Scene<'a> {
    kinds: &'a [Kind],
    lineage: Lineage,
    call: &'a (dyn Fn(Firebox) -> Firebox + Sync),
    seed: u64,
    over: AtomicBool,
    /// Guards with control groups in them, which wait for the next start.
    kept: Mutex<Vec<Guard>>,
    /// How many of each were killed, in time to be noticed.
    hit: Mutex<BTreeMap<Role, usize>>,
}

#[test]
fn any_process_killed_at_any_moment_leaves_nothing_and_disturbs_nobody() {
    check(&[FORKING, SLEEPING, FLOODING, WRITING, IN_C, IN_RUST], Lineage::Jail, 600, &|call| call);
}

#[test]
fn an_ordinary_users_processes_leave_nothing_either() {
    if !kit::is_root("an_ordinary_users_processes_leave_nothing_either") {
        return;
    }
    let user = Ordinary::new(NOBODY);
    check(&[FORKING, SLEEPING, FLOODING, WRITING, IN_C], Lineage::Jail, 200, &|call| user.call(call));
}

#[test]
fn in_a_fence_they_leave_nothing_either() {
    if !kit::is_root("in_a_fence_they_leave_nothing_either") {
        return;
    }
    let user = Ordinary::new(NOBODY);
    let fenced = |call: Firebox| user.call(call.args(["--isolation", "fence"]));
    check(&[FORKING, SLEEPING, FLOODING, WRITING, IN_C], Lineage::Fence, 400, &fenced);
}

fn check(kinds: &[Kind], lineage: Lineage, rounds: usize, call: &(dyn Fn(Firebox) -> Firebox + Sync)) {
    let host = HostInventory::take();
    let (seed, over) = (Dice::seed(), AtomicBool::new(false));
    let scene = Scene { kinds, lineage, call, seed, over, kept: Mutex::default(), hit: Mutex::default() };
    let busy = [spinner(), spinner()];

    thread::scope(|threads| {
        let scene = &scene;
        let neighbour = |number| threads.spawn(move || scene.neighbour(number));
        let neighbours: Vec<_> = (0..NEIGHBOURS).map(neighbour).collect();
        let killer = |number| threads.spawn(move || scene.killer(number, rounds / KILLERS));
        let killers: Vec<_> = (0..KILLERS).map(killer).collect();
        let killers: Vec<_> = killers.into_iter().map(|killer| killer.join()).collect();
        scene.over.store(true, Ordering::Relaxed);
        let neighbours: Vec<_> = neighbours.into_iter().map(|neighbour| neighbour.join()).collect();
        let fine = killers.iter().chain(&neighbours).all(Result::is_ok);
        assert!(fine, "see above; TEST_SEED={seed} draws the same again");
    });
    busy.into_iter().for_each(Running::end);

    let hit = scene.hit.into_inner().expect("nobody panicked");
    println!("of {rounds} calls, killed in time to be noticed: {hit:?}; TEST_SEED={seed} draws the same again");
    for role in lineage.roles() {
        assert!(hit.contains_key(role), "no {role:?} was hit, which is too much of chance: {hit:?}");
    }
    // The one start that may still find something to sweep up.
    let next = call(job("bash", "echo hello")).outcome();
    assert_eq!((next.verdict(), next.stdout()), (("ok", "run", 0, None), "hello\n"), "{next}");
    host.assert_nothing_left();
    drop(scene.kept);
}

/// A program that keeps a CPU busy.
fn spinner() -> Running {
    let guard = Guard::new(Allowance { wall: Duration::from_secs(200), ..Allowance::CONTROL });
    let mut command = guard.command("sh");
    command.args(["-c", "while :; do :; done"]);
    Running::start(guard, command, None)
}

impl Scene<'_> {
    fn start(&self, (language, code): Kind) -> kit::Started {
        let call = firebox().args(["run", "--lang", language, "--code", code, "--output", "8M"]);
        (self.call)(call).start()
    }

    /// How each kind of job ends and how long it takes, with all that goes on beside it.
    fn try_out(&self) -> Vec<Proper> {
        let one = |kind: &Kind| {
            let call = self.start(*kind).wait();
            assert_eq!(call.code(), 0, "{call}");
            Proper { stdout: call.stdout, wall: call.wall }
        };
        self.kinds.iter().map(one).collect()
    }

    /// Starts jobs until the killers are done. Whatever they do, each of these ends as if nobody else were there.
    fn neighbour(&self, number: usize) {
        let proper = self.try_out();
        let kinds = self.kinds.iter().zip(&proper).cycle().skip(number * 2);
        for (kind, proper) in kinds.take_while(|_| !self.over.load(Ordering::Relaxed)) {
            let call = self.start(*kind).wait();
            assert!(is_proper(&call, proper), "a neighbour noticed\n{call}");
        }
    }

    /// Starts jobs and kills one process of each.
    fn killer(&self, number: usize, rounds: usize) {
        let mut dice = Dice::new(self.seed, number as u64);
        let jobs: Vec<(Kind, Proper)> = self.kinds.iter().copied().zip(self.try_out()).collect();
        for _ in 0..rounds {
            let (kind, proper) = dice.one_of(&jobs);
            self.kill_one(&mut dice, *kind, proper);
        }
    }

    fn kill_one(&self, dice: &mut Dice, kind: Kind, proper: &Proper) {
        let moment = dice.up_to(proper.wall.mul_f64(1.3));
        let call = self.start(kind);
        let victim = if call.ends_by(Instant::now() + moment) { None } else { draw(dice, call.pid(), self.lineage) };
        let since = Instant::now();
        let (call, guard) = call.wait_keeping_guard();
        let told = format!("{victim:?} was killed after {moment:?}, seed {}\n{call}", self.seed);

        // Where a process of a step was killed, the others may go on; else all is to be over at once.
        let ended = if matches!(victim, None | Some(Role::Step)) { Instant::now() } else { since };
        if let Err(left) = guard.wait_until_empty(ended + MOMENT) {
            panic!("still there {MOMENT:?} later: {left:#?}\n{told}");
        }
        let undisturbed = is_proper(&call, proper);
        match victim {
            // Too late is never wrong.
            _ if undisturbed => {}
            None => panic!("nobody touched it\n{told}"),
            Some(Role::Engine) => assert_eq!(call.code(), KILLED, "{told}"),
            Some(Role::Warden | Role::Keeper | Role::Agent | Role::Monitor) => assert_eq!(call.code(), FAULT, "{told}"),
            // A verdict about the program, unless it was not the program yet but the agent's copy of itself.
            Some(Role::Step) if call.stderr().contains("could not make a process") => {}
            Some(Role::Step) => assert_ne!(call.code(), FAULT, "{told}"),
        }
        if let Some(role) = victim.filter(|_| !undisturbed) {
            *self.hit.lock().expect("nobody panicked").entry(role).or_default() += 1;
        }
        if !guard.contents().is_empty() {
            self.kept.lock().expect("nobody panicked").push(guard);
        }
    }
}

fn is_proper(call: &Finished, proper: &Proper) -> bool {
    call.code() == 0 && call.stdout == proper.stdout
}

/// Kills one of the processes that there are at this moment; the warden as likely as the many of a step together.
fn draw(dice: &mut Dice, engine: rustix::process::Pid, lineage: Lineage) -> Option<Role> {
    let family = family(engine, lineage);
    let mut roles: Vec<Role> = family.iter().map(|member| member.role).collect();
    roles.dedup();
    let role = *dice.one_of(&roles);
    let members: Vec<_> = family.iter().filter(|member| member.role == role).collect();
    dice.one_of(&members).kill().then_some(role)
}
