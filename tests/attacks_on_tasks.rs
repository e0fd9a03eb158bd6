//! Attacks with processes and threads: making too many, stopping them, leaving them behind. Each succeeds outside, under
//! a guard of its own.

mod kit;

use std::process::Stdio;
use std::time::{Duration, Instant};

use kit::Expectation::{HeldBy, HeldOrEnded};
use kit::{
    Allowance, Attack, Control, Finished, Guard, OrdinaryUser, Setting, attacks, bare, leaving_nothing, skip,
    start_outside, tool,
};

/// What takes the place of control groups where an ordinary user starts the jail.
const PER_USER: &str = "a limit of the cell's own user";
/// And the fence: the user's other tasks count too, so that it is somewhat more or less.
const OF_THE_USER: &str = "a limit of the user's tasks, watching";

#[test]
fn processes_and_threads_are_refused_at_the_task_limit() {
    Attack {
        name: "two hundred processes, two hundred threads",
        layer: "control group: tasks",
        source: "tasks.py",
        limits: &["--tasks", "16"],
        succeeds_outside: &["200 processes", "200 threads"],
        user_jail: HeldBy(PER_USER),
        // The kernel counts all that the user runs. Where others of the user's end meanwhile, there is room for more, until the next look.
        fence: HeldOrEnded(OF_THE_USER, "tasks_limit"),
        ..Attack::PLAIN
    }
    .check();
}

/// The tasks that a bomb may have.
const GRANTED: usize = 32;

#[test]
fn a_fork_bomb_ends_with_its_job() {
    let guard = Guard::new(Allowance::CONTROL);
    let bounded = guard.bounds_tasks();
    if bounded {
        leaving_nothing(|| check_that_the_bomb_grows_outside(guard, 3 * GRANTED));
    } else {
        skip("a fork bomb outside, and its count inside", "no control group can be made that bounds its tasks");
    }
    Attack {
        name: "fork bomb",
        layer: "control group: tasks",
        user_jail: HeldBy(PER_USER),
        fence: HeldBy(OF_THE_USER),
        ..Attack::PLAIN
    }
    .check_by(|setting| check_bomb(setting, bounded));
}

/// In a machine nobody but the program itself can count, and without a process more.
const COUNTING: &str = "most=0
while :; do
    processes=(/proc/[0-9]*)
    # The agent is none of the program's. Who is still there now was there when the last one was found: so many there were at once.
    count=-1
    for process in \"${processes[@]}\"; do [[ ! -d $process ]] || count=$((count + 1)); done
    if ((most < count)); then most=$count; echo $most; fi
done
";

fn check_bomb(setting: Setting, bounded: bool) {
    // A machine may be an emulated one.
    let time = if setting == Setting::MicroVm { "10s" } else { "3s" };
    let limits = ["--run-time", time, "--tasks", &GRANTED.to_string()];
    // The first process ends at once and leaves the bomb behind, unless a fork of its own is already refused.
    let left = setting.attack("bomb.sh").args(limits).outcome();
    let mut ends = vec![("timeout", "run", 124, None)];
    if let Setting::Fence = setting {
        // The kernel counts all that the user runs, and others of the user's may end meanwhile: then there is room for more
        // than was granted, until the next look.
        ends.push(("tasks_limit", "run", 137, None));
    }
    assert!(left.verdict() == ("ok", "run", 0, None) || ends.contains(&left.verdict()), "{left}");
    assert_eq!(left.stdout(), "before the bomb\n", "{left}");

    // One that stays gives the bomb all of its time.
    let staying = if setting == Setting::MicroVm { COUNTING } else { "exec sleep 30\n" };
    let bomb = std::fs::read_to_string(attacks("bomb.sh")).expect("the attack is a text") + staying;
    let inside = setting.job("bash", &bomb).args(limits).start();
    let processes = || inside.contents().iter().filter(|line| line.ends_with("bash main.sh ")).count();
    let seen = (bounded && setting != Setting::MicroVm).then(|| most_at_once(processes));
    let inside = inside.outcome();
    let (first, counted) = inside.stdout().split_once('\n').unwrap_or_else(|| panic!("it says nothing\n{inside}"));
    let counted = counted.lines().last().map(|most| most.parse().expect("a number"));
    if let Some(most) = seen.or(counted) {
        assert!(GRANTED / 2 < most, "the bomb did not go off in the {setting}: {most} processes\n{inside}");
        assert!(most <= GRANTED, "the bomb came to {most} processes\n{inside}");
    }
    assert!(ends.contains(&inside.verdict()), "{inside}");
    assert_eq!(first, "before the bomb", "{inside}");
    assert_eq!(counted.is_some(), setting == Setting::MicroVm, "{inside}");
    assert!(inside.call.wall < setting.patience(Duration::from_secs(20)), "the bomb held us up\n{inside}");
}

/// Lets the bomb go off where only the guard bounds it, until there are more than `enough` processes.
fn check_that_the_bomb_grows_outside(guard: Guard, enough: usize) {
    let mut bomb = guard.command(tool("bash"));
    let mut bomb = bomb.arg(attacks("bomb.sh")).stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("bash");
    let until = Instant::now() + Duration::from_secs(60);
    let mut grown = 0;
    while grown <= enough && Instant::now() < until {
        grown = guard.contents().len();
        std::thread::yield_now();
    }
    guard.kill();
    bomb.wait().expect("a child can be waited for");
    assert!(enough < grown, "not even outside: {grown} processes");
    assert!(guard.contents().is_empty(), "left of the control: {:#?}", guard.contents());
}

/// Counts again and again, from when there is something to count until there is nothing any more.
fn most_at_once(count: impl Fn() -> usize) -> usize {
    let until = Instant::now() + Duration::from_secs(30);
    let mut most = 0;
    loop {
        let now = count();
        if now == 0 && 0 < most {
            return most;
        }
        assert!(Instant::now() < until, "after 30 s there are {now}, and were {most}");
        most = most.max(now);
        std::thread::yield_now();
    }
}

/// The tricks of `outlive.c`, as they can be read off a process.
const TRICKS: [&str; 15] = [
    "double-fork",
    "own-session",
    "own-group",
    "vfork",
    "vfork-held",
    "clone-parent",
    "subreaper",
    "stopped",
    "deaf",
    "children-ignored",
    "chain",
    "closed",
    "holds-output",
    // Its command line goes with its first thread, and the quick one is rarely met.
    "",
    "",
];

#[test]
fn nothing_outlives_its_job_by_any_trick() {
    let outside = leaving_nothing(|| bare("outlive.c", &[], Control::Bare));
    for trick in TRICKS {
        let found = outside.left.iter().any(|process| process.contains(&format!(": {trick} trick")));
        assert!(trick.is_empty() || found, "{trick} leaves nothing even outside: {:#?}\n{outside}", outside.left);
    }
    Attack {
        name: "descendants that outlive the program, by fifteen tricks",
        layer: "PID namespace",
        fence: HeldBy("Landlock, subreaper"),
        ..Attack::PLAIN
    }
    .check_by(|setting| {
        let inside = setting.attack("outlive.c").outcome();
        assert_eq!((inside.verdict(), inside.stdout()), (("ok", "run", 0, None), "made\n"), "{inside}");
        assert!(inside.call.wall < setting.patience(Duration::from_secs(9)), "it was waited for\n{inside}");
    });
}

#[test]
fn a_job_that_stops_itself_and_everybody_ends_in_time() {
    leaving_nothing(|| {
        let outside = start_outside("stops.c", &[], Control::OwnNamespaces);
        outside.wait_for_stdout("before the signals");
        // The program and its three children; the shell is process 1 there and cannot be stopped.
        let until = Instant::now() + Duration::from_secs(10);
        while stopped(&outside.pids()) < 4 {
            assert!(Instant::now() < until, "not even outside: {:#?}", outside.contents());
            std::thread::yield_now();
        }
        outside.end();
    });
    Attack {
        name: "SIGSTOP to its parent, to everyone, and to itself",
        layer: "PID namespace, clock of the engine",
        fence: HeldBy("Landlock, clock of the engine"),
        ..Attack::PLAIN
    }
    .check_by(|setting| {
        let inside = setting.attack("stops.c").args(["--run-time", "1s"]).contained().outcome();
        assert_eq!(inside.verdict(), ("timeout", "run", 124, None), "{inside}");
        assert_eq!(inside.stdout(), "before the signals\n", "{inside}");
        assert!(inside.call.wall < setting.patience(Duration::from_secs(9)), "it was waited for\n{inside}");
    });
}

fn stopped(pids: &[u32]) -> usize {
    let state = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    pids.iter().filter(|pid| state(pid).rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"))).count()
}

#[test]
fn signals_to_everyone_reach_nobody_outside_and_not_the_agent() {
    let killed = leaving_nothing(signalled_outside);
    let said = killed.stdout();
    assert!(said.contains("killed") && !said.contains("the parent lives"), "not even outside\n{killed}");

    Attack {
        name: "SIGKILL and SIGSTOP to the host, the agent and everyone",
        layer: "PID namespace",
        fence: HeldBy("Landlock"),
        microvm: HeldBy("PID namespace, the machine"),
        ..Attack::PLAIN
    }
    .check_by(|setting| {
        // The bystander is outside of the cell, and in a PID namespace of the test's own, should the cell fail.
        let bystander = match setting {
            Setting::RootJail | Setting::MicroVm => bystander(""),
            Setting::UserJail | Setting::Fence => bystander(&as_ordinary_user()),
        };
        let script = format!("{bystander} \"$@\" -- $!; code=$?; grep State: /proc/$!/status >&2; exit $code");
        let inside = setting.attack("signals.py").contained_with(&script).outcome();
        assert_eq!(inside.verdict(), ("ok", "run", 0, None), "{inside}");
        assert!(inside.stdout().ends_with("after the signals\n"), "{inside}");
        let said = inside.call.stderr();
        assert!(said.contains("State:\tS (sleeping)\n"), "the bystander does not just sleep\n{inside}");
    });
}

/// Somebody of the same user, whose number is a high one, so that it is nobody's in a jail.
fn bystander(through: &str) -> String {
    format!("echo 3000 > /proc/sys/kernel/ns_last_pid; {through} sleep 1000 &")
}

/// Words of a shell.
fn as_ordinary_user() -> String {
    let words = OrdinaryUser::find().words(&[]);
    words.iter().map(|word| format!("'{}' ", word.to_string_lossy())).collect()
}

/// In a PID namespace of its own: the shell is the parent, and a background process the bystander.
fn signalled_outside() -> Finished {
    let guard = Guard::new(Allowance::CONTROL);
    let mut command = guard.command(tool("unshare"));
    // Of the signals that it is sent, any may be the first that it meets.
    let bystander = bystander("");
    let script = format!(
        "{bystander} sh -c '\"$@\"; echo the parent lives' sh \"$1\" \"$2\" $!; wait $!; case $? in 137 | 143) echo killed ;; esac"
    );
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", &script, "sh"]);
    command.arg(tool("python3")).arg(attacks("signals.py"));
    kit::Running::start(guard, command, None).wait()
}
