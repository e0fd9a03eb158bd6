//! The monitor of a microVM while its job runs: how much memory it has of its own, and what becomes of the job when the machine ends in the middle of it, or
//! hangs: by its guest's kernel, its monitor, or those above. That is a fault of ours or ends at the job's limit of time, is never a hang, and leaves nothing.
//!
//! Where KVM emulates a guest's kernel these tests are skipped, and say so. The lab (`cargo xtask lab`) is where they always run.

#![expect(clippy::print_stdout, reason = "a test that was skipped says so")]

#[path = "microvm/bash.rs"]
mod bash;
#[path = "../crates/vmm/tests/kit/debian.rs"]
mod debian;
#[path = "monitors/entry.rs"]
mod entry;
#[path = "monitors/guest_memory.rs"]
mod guest_memory;
#[path = "microvm/home.rs"]
mod home;
mod kit;
#[path = "microvm/kvm.rs"]
mod kvm;
#[path = "../crates/microvm/tests/walls/memory.rs"]
mod memory;
#[path = "guest_boots/saved.rs"]
mod saved;

use std::os::unix::fs::chown;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use debian::Debian;
use entry::beginning_with;
use firebox_vmm::unpack;
use guest_memory::{GuestMemory, KERNEL_TEXT, KERNEL_WHOLE};
use home::Home;
use kit::{
    Finished, HostInventory, Lasting, Lineage, Member, OrdinaryUser, Role, Started, family, firebox, leaving_nothing,
    monitor_of, show_to_everybody, temp_dir,
};
use rustix::process::Signal;

/// How Firebox tells a failure of its own.
const FAULT: i32 = 125;
/// A job past its time, as `timeout` tells it.
const TIMEOUT: i32 = 124;
/// SIGKILL as a shell tells it.
const KILLED: i32 = 137;
/// How soon what has ended is told, on a machine that is emulated.
const MOMENT: Duration = Duration::from_secs(20);
/// The limit of each job's run.
const RUN_TIME: Duration = Duration::from_secs(5);

/// See [`Home::complete`]. None where no kernel runs either, which is said. One for all tests, made in this host's turn, as all that starts firebox.
fn complete_home(test: &str) -> Option<&'static Home> {
    if !kvm::runs_kernels(test) {
        return None;
    }
    static MADE: OnceLock<(Lasting, Option<Home>)> = OnceLock::new();
    let make = || {
        let place = Lasting::make();
        let home = leaving_nothing(|| Home::in_directory(place.path()).complete(test));
        if let Some(home) = &home {
            leaving_nothing(|| {
                home.succeeds(&["snapshot", "create", "--lang", "bash", "--mem", "128", "--vcpus", "1"])
            });
        }
        (place, home)
    };
    MADE.get_or_init(make).1.as_ref()
}

/// Where a machine begins: at its kernel's entry, or where another was frozen. What becomes of it does not depend on that, and the second takes a fifth of the time.
#[derive(Clone, Copy)]
enum Begins {
    Boot,
    Snapshot,
}

/// A job that runs in the middle of its work.
fn working(home: &Home, begins: Begins) -> (Started, Member) {
    let call = firebox().word_for_word().env("FIREBOX_HOME", home.path()).within(Duration::from_secs(240));
    let code = "echo begun; while :; do :; done";
    let limits = ["--memory", "128M", "--run-time", &format!("{}s", RUN_TIME.as_secs())];
    let begins = match begins {
        Begins::Boot => "--boot",
        Begins::Snapshot => "--snapshot",
    };
    let call = call.args(["run", "--isolation", "microvm", begins, "--lang", "bash", "--code", code]).args(limits);
    let call = call.start();
    call.wait_for_stdout("begun");
    let monitor = monitor_of(call.pid());
    (call, monitor)
}

/// What comes of a job whose machine this happens to, if that is soon enough; and nothing is left of it but what only the next start of Firebox can remove.
#[track_caller]
fn after(home: &Home, begins: Begins, soon: Duration, happens: impl FnOnce(&Started, &Member)) -> Finished {
    let host = HostInventory::take();
    let (call, monitor) = working(home, begins);
    happens(&call, &monitor);
    let since = Instant::now();
    let (finished, guard) = call.wait_keeping_guard();
    assert!(since.elapsed() < soon, "only after {:?}\n{finished}", since.elapsed());
    if let Err(left) = guard.wait_until_empty(Instant::now() + MOMENT) {
        panic!("still there {MOMENT:?} later: {left:#?}\n{finished}");
    }
    drop(guard);
    host.assert_only_cgroups_left_within(MOMENT);
    let next = firebox().word_for_word().args(["run", "--lang", "bash", "--code", "echo hello"]).run();
    assert_eq!((next.code(), next.stdout()), (0, "hello\n".to_owned()), "{next}");
    host.assert_nothing_left();
    finished
}

/// Firecracker's promise, with Debian's kernel, a disk and a wire.
#[test]
fn a_monitors_own_memory_is_five_mib_at_most() {
    const NAME: &str = "a_monitors_own_memory_is_five_mib_at_most";
    let Some(home) = complete_home(NAME) else { return };
    let ended = after(home, Begins::Boot, MOMENT, |_, monitor| {
        let own = GuestMemory::of(monitor.pid).monitors_own_kib();
        println!("a monitor's own memory in the middle of a job: {own} KiB");
        assert!((1..=5 << 10).contains(&own), "{own} KiB");
        assert!(monitor.kill());
    });
    is_our_fault(&ended, "its monitor was ended");
}

#[track_caller]
fn is_our_fault(finished: &Finished, words: &str) {
    assert_eq!(finished.code(), FAULT, "{finished}");
    assert!(finished.stderr().contains(words), "{words:?} is not said\n{finished}");
}

#[track_caller]
fn is_past_its_time(finished: &Finished) {
    assert_eq!(finished.code(), TIMEOUT, "{finished}");
    assert!(finished.stderr().contains("the run took longer than 5 s"), "{finished}");
}

/// A store of one's own and a `/dev/kvm` that one may open is all that it takes. What an ordinary user's jail can only watch, a guest enforces.
#[test]
fn who_is_not_root_has_machines_too() {
    const NAME: &str = "who_is_not_root_has_machines_too";
    let Some(debian) = Debian::find(NAME).filter(|_| kvm::runs_kernels(NAME)) else { return };
    let (place, user) = (temp_dir(), OrdinaryUser::find());
    chown(place.path(), Some(user.uid), Some(user.uid)).expect("chown");
    show_to_everybody(place.path());
    let call = |words: &[&str]| {
        let call = firebox().word_for_word().by_ordinary_user().env("FIREBOX_HOME", place.path().join("home"));
        leaving_nothing(|| call.within(Duration::from_secs(240)).args(words.iter().copied()).run())
    };
    let archive = format!("docker-archive:{}", bash::archive_in(place.path()).display());
    let (image, modules) = (debian.image().display().to_string(), debian.folder().display().to_string());
    for words in [
        &["rootfs", "from-docker", "--image", &archive, "--name", "bash", "--size", "200"][..],
        &["kernel", "fetch", "--from", &image, "--modules", &modules, "--name", "debian"],
    ] {
        let done = call(words);
        assert_eq!(done.code(), 0, "{done}");
    }
    let run = ["run", "--isolation", "microvm", "--lang", "bash", "--memory", "64M", "--json", "--code"];
    let ran = call(&[&run[..], &["a=x; while :; do a=$a$a; done"]].concat());
    if ran.stderr().contains("may not open it") {
        return println!("skipped: {NAME}: /dev/kvm is not that user's to open");
    }
    let response: serde_json::Value =
        serde_json::from_str(&ran.stdout()).unwrap_or_else(|error| panic!("{error}: {ran}"));
    assert_eq!((&response["isolation"], &response["status"]), (&"microvm".into(), &"memory_limit".into()), "{ran}");
    assert_eq!(response["enforcement"]["memory"], "enforced", "{ran}");
}

#[test]
fn a_monitor_that_is_killed_or_stopped_ends_its_job() {
    const NAME: &str = "a_monitor_that_is_killed_or_stopped_ends_its_job";
    let Some(home) = complete_home(NAME) else { return };
    let killed = after(home, Begins::Boot, MOMENT, |_, monitor| assert!(monitor.kill()));
    is_our_fault(&killed, "its monitor was ended");
    let stopped = after(home, Begins::Snapshot, RUN_TIME + MOMENT, |_, monitor| assert!(monitor.signal(Signal::STOP)));
    is_past_its_time(&stopped);
}

/// Nobody is left who would end the job, but the warden.
#[test]
fn an_engine_that_is_stopped_does_not_keep_its_machine() {
    const NAME: &str = "an_engine_that_is_stopped_does_not_keep_its_machine";
    let Some(home) = complete_home(NAME) else { return };
    let ended = after(home, Begins::Snapshot, MOMENT, |call, monitor| {
        call.signal(Signal::STOP);
        let until = Instant::now() + RUN_TIME + 2 * MOMENT;
        while monitor.parent().is_some() {
            assert!(Instant::now() < until, "its monitor is still there");
            std::thread::sleep(Duration::from_millis(50));
        }
        call.signal(Signal::CONT);
    });
    assert!([FAULT, TIMEOUT].contains(&ended.code()), "{ended}");
}

#[test]
fn a_guest_whose_kernel_breaks_down_ends_its_job() {
    const NAME: &str = "a_guest_whose_kernel_breaks_down_ends_its_job";
    let Some(home) = complete_home(NAME) else { return };
    let fill = |place, with| move |_: &Started, monitor: &Member| GuestMemory::of(monitor.pid).fill(place, with);
    const NOTHING: &[u8] = &[0];
    const HALT: &[u8] = &[0xF4];
    const SPIN: &[u8] = &[0xEB, 0xFE];
    is_our_fault(&after(home, Begins::Snapshot, MOMENT, fill(KERNEL_WHOLE, NOTHING)), "triple fault");
    is_our_fault(&after(home, Begins::Snapshot, MOMENT, fill(KERNEL_TEXT, HALT)), "nothing that could wake it");
    let spun = after(home, Begins::Snapshot, RUN_TIME + MOMENT, fill(KERNEL_TEXT, SPIN));
    is_past_its_time(&spun);
}

#[test]
fn a_kernel_that_does_not_come_up_is_told_at_once_with_how_it_ended() {
    const NAME: &str = "a_kernel_that_does_not_come_up_is_told_at_once_with_how_it_ended";
    let Some(debian) = Debian::find(NAME).filter(|_| kvm::runs_kernels(NAME)) else { return };
    let (place, kernel) = (temp_dir(), unpack(&debian.kernel).expect("it is a kernel"));
    let home = Home::in_directory(place.path());
    leaving_nothing(|| home.take_in_bash());
    for (name, code, words) in [
        ("halts", [0xFA, 0xF4, 0xF4, 0xF4], "the guest stopped, with nothing that could wake it"), // cli; hlt
        ("resets", [0xB0, 0xFE, 0xE6, 0x64], "the guest reset itself"), // mov al, 0xFE; out 0x64, al
        ("faults", [0x0F, 0x0B, 0x0F, 0x0B], "triple fault"),           // ud2
    ] {
        let host = HostInventory::take();
        home.keep_kernel(name, &beginning_with(&kernel, &code), debian.folder());
        let begun = Instant::now();
        let output =
            home.firebox(&["run", "--isolation", "microvm", "--kernel", name, "--lang", "bash", "--code", ":"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(begun.elapsed() < MOMENT, "only after {:?}: {said}", begun.elapsed());
        assert_eq!(output.status.code(), Some(FAULT), "{said}");
        assert!(said.contains(words), "{words:?} is not said: {said}");
        host.assert_nothing_left();
    }
}

#[test]
fn whoever_above_it_is_killed_takes_the_machine_along() {
    const NAME: &str = "whoever_above_it_is_killed_takes_the_machine_along";
    let Some(home) = complete_home(NAME) else { return };
    for (role, code) in [(Role::Engine, KILLED), (Role::Warden, FAULT)] {
        let kill = |call: &Started, _: &Member| {
            let family = family(call.pid(), Lineage::MicroVm);
            assert!(family.iter().find(|member| member.role == role).is_some_and(Member::kill), "there is no {role:?}");
        };
        assert_eq!(after(home, Begins::Snapshot, MOMENT, kill).code(), code, "{role:?}");
    }
}
