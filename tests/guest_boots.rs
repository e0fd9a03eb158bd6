//! The guest that firebox brings along, in a machine of firebox's: Debian's kernel begins with it, and from there on it goes all the way that the guest of
//! a job goes. Agent, guest, kernel and image are those that firebox uses.
//!
//! Where KVM emulates a guest's kernel these tests are skipped, and say so. The lab (`cargo xtask lab`) is where they always run.

#[path = "guest_boots/agent.rs"]
mod agent;
#[path = "guest_boots/beginning.rs"]
mod beginning;
#[path = "guest_boots/clones.rs"]
mod clones;
#[path = "../crates/vmm/tests/kit/debian.rs"]
mod debian;
#[path = "guest_boots/image.rs"]
mod image;
#[path = "guest_boots/machine.rs"]
mod machine;
#[path = "guest_boots/saved.rs"]
mod saved;

use std::time::{Duration, SystemTime};

use firebox_cell::{Mount, Supply, View};
use firebox_guest::{AGENT, BORN, CONTROL, FAILED, RENEWED, Renewal};
use firebox_image::Digest;
use firebox_wire::End;
use firebox_wire::warden::{CellReply, CellRequest, Held, StepLimits};

use agent::Agent;
use machine::{Guest, Parts, ask};

static LINKER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/firebox-linker"));

const LIMITS: StepLimits =
    StepLimits { memory: 64 << 20, tasks: 8, vcpus: 1, disk: 1 << 20, inodes: 100, wall_ms: 60_000 };

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// BusyBox, as a language's view would show it.
fn view() -> View {
    let mount = |outside: &str, inside: &str| Mount { outside: outside.into(), inside: inside.into() };
    View { mounts: vec![mount("/image/bin", "/bin")], is_image: true, steps: 1, ..View::default() }
}

#[test]
fn a_job_goes_all_the_way_through_it() {
    let Some(mut guest) = Guest::start("a_job_goes_all_the_way_through_it", Parts::usual()) else { return };
    guest.introduce(view());
    assert_eq!(guest.answer(), [BORN]);

    // Whoever calls may hang up, and another goes on where they were.
    let mut agent = Agent::new(guest.call(AGENT));
    agent.is_ready();
    drop(agent);
    let mut agent = Agent::new(guest.call(AGENT));
    let mut control = guest.call(CONTROL);
    let code = "/bin/busybox date +%s; id -u; echo $((6 * 7)) > /job/answer; cat /job/answer; exit 3";
    agent.prepare(&["/bin/sh", "-c", code]);
    let held = Held { memory: true, tasks: true, cpu: true, disk: true };
    assert_eq!(ask(&mut control, &CellRequest::Limit(LIMITS)), CellReply::Limited(held));
    let (said, end) = agent.go(LIMITS.tasks);
    let (date, said) = said.split_once('\n').expect("a line");
    assert_eq!((said, end), ("1000\n42\n", End::Exited(3)));
    // It has no clock of its own that goes on while it is off: KVM tells it what time it is.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_secs();
    assert!(now.abs_diff(date.parse().expect("seconds")) < 10, "it is {date} in there, and {now} out here");

    drop(control);
    let mut control = guest.call(CONTROL);
    let CellReply::Measured(measured) = ask(&mut control, &CellRequest::Measure) else { panic!("no measure") };
    assert!(0 < measured.cpu_ns && measured.memory_peak.is_some_and(|peak| 0 < peak), "{measured:?}");
    assert!(!measured.others && measured.oom_kills == 0, "{measured:?}");
    assert_eq!(ask(&mut control, &CellRequest::Remove), CellReply::Removed);
    assert_eq!(guest.last_words(), "");
}

/// As a clone is: it believes in what its host says of time, and takes the randomness.
#[test]
fn it_is_renewed_with_the_time_and_with_randomness() {
    const NAME: &str = "it_is_renewed_with_the_time_and_with_randomness";
    let Some(mut guest) = Guest::start(NAME, Parts::usual()) else { return };
    guest.introduce(view());
    assert_eq!(guest.answer(), [BORN]);
    let tomorrow = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later") + DAY;
    for _ in 0..2 {
        assert_eq!(guest.renew(&Renewal { time: tomorrow, randomness: [7; _] }), [RENEWED]);
    }
    let mut agent = Agent::new(guest.call(AGENT));
    let mut control = guest.call(CONTROL);
    agent.is_ready();
    agent.prepare(&["/bin/sh", "-c", "/bin/busybox date +%s"]);
    assert!(matches!(ask(&mut control, &CellRequest::Limit(LIMITS)), CellReply::Limited(_)));
    let (date, _) = agent.go(LIMITS.tasks);
    let date: u64 = date.trim().parse().expect("seconds");
    assert!(date.abs_diff(tomorrow.as_secs()) < 30, "it is {date} in there, and {} was said", tomorrow.as_secs());
    let never = Renewal { time: Duration::from_secs(u64::MAX), randomness: [7; _] };
    assert_eq!(guest.renew(&never).first(), Some(&FAILED));
    assert_eq!(ask(&mut control, &CellRequest::Remove), CellReply::Removed);
    assert_eq!(guest.last_words(), "");
}

#[test]
fn what_goes_past_its_memory_is_killed_in_it() {
    let Some(mut guest) = Guest::start("what_goes_past_its_memory_is_killed_in_it", Parts::usual()) else { return };
    guest.introduce(view());
    assert_eq!(guest.answer(), [BORN]);
    let mut agent = Agent::new(guest.call(AGENT));
    let mut control = guest.call(CONTROL);
    agent.is_ready();
    agent.prepare(&["/bin/sh", "-c", "a=x; while :; do a=$a$a; done"]);
    let limits = StepLimits { memory: 16 << 20, ..LIMITS };
    assert!(matches!(ask(&mut control, &CellRequest::Limit(limits)), CellReply::Limited(_)));
    let (_, end) = agent.go(LIMITS.tasks);
    assert_eq!(end, End::Signaled(9));
    let CellReply::Measured(measured) = ask(&mut control, &CellRequest::Measure) else { panic!("no measure") };
    assert_eq!(measured.oom_kills, 1, "{measured:?}");
    assert_eq!(ask(&mut control, &CellRequest::Remove), CellReply::Removed);
    guest.last_words();
}

/// As large as it gets: what firebox supplies the cells of compilers with.
#[test]
fn a_large_introduction_comes_whole() {
    let Some(mut guest) = Guest::start("a_large_introduction_comes_whole", Parts::usual()) else { return };
    let supplies = vec![Supply::new("bin/ld", LINKER)];
    guest.introduce(View { supplies, ..view() });
    assert_eq!(guest.answer(), [BORN]);
    let mut agent = Agent::new(guest.call(AGENT));
    let mut control = guest.call(CONTROL);
    agent.is_ready();
    agent.prepare(&["/bin/sh", "-c", "sha256sum < /opt/firebox/bin/ld"]);
    assert!(matches!(ask(&mut control, &CellRequest::Limit(LIMITS)), CellReply::Limited(_)));
    let (said, end) = agent.go(LIMITS.tasks);
    let expected = format!("{}  -\n", Digest::of(LINKER).hex());
    assert_eq!((said, end), (expected, End::Exited(0)));
    assert_eq!(ask(&mut control, &CellRequest::Remove), CellReply::Removed);
    assert_eq!(guest.last_words(), "");
}

#[test]
fn half_an_introduction_ends_it() {
    let Some(mut guest) = Guest::start("half_an_introduction_ends_it", Parts::usual()) else { return };
    guest.say(&[1, 0, 0x42]);
    guest.hang_up();
    let why = "cannot understand the host: it breaks off: failed to fill whole buffer";
    assert_eq!(guest.last_words(), format!("firebox: {why}"));
}

#[test]
fn what_it_cannot_show_is_told_to_the_host_and_ends_it() {
    const NAME: &str = "what_it_cannot_show_is_told_to_the_host_and_ends_it";
    let Some(mut guest) = Guest::start(NAME, Parts { disk: None, ..Parts::usual() }) else { return };
    guest.introduce(view());
    let answer = guest.answer();
    let (first, why) = answer.split_first().expect("an answer");
    let why = String::from_utf8_lossy(why);
    assert_eq!(*first, FAILED);
    assert!(why.contains("cannot show /image/bin to a cell: No such file or directory"), "{why}");
    assert_eq!(guest.last_words(), format!("firebox: {why}"));
}

#[test]
fn a_host_that_does_not_answer_the_phone_ends_it() {
    const NAME: &str = "a_host_that_does_not_answer_the_phone_ends_it";
    let Some(guest) = Guest::start(NAME, Parts { has_door: false, ..Parts::usual() }) else { return };
    let words = guest.last_words();
    assert_eq!(words, "firebox: cannot call the host: Connection reset by peer (os error 104)");
}

#[test]
fn a_module_that_is_missing_or_none_ends_it() {
    const NAME: &str = "a_module_that_is_missing_or_none_ends_it";
    for (file, content, why) in [
        ("modules/order", "nowhere.ko\n", "cannot load nowhere.ko: No such file or directory (os error 2)"),
        ("modules/virtio.ko", "no module", "cannot load virtio.ko: Exec format error (os error 8)"),
    ] {
        let instead = vec![(file, content)];
        let Some(guest) = Guest::start(NAME, Parts { instead, ..Parts::usual() }) else { return };
        assert_eq!(guest.last_words(), format!("firebox: cannot load the kernel's modules: {why}"));
    }
}

#[test]
fn a_disk_without_an_image_ends_it() {
    const NAME: &str = "a_disk_without_an_image_ends_it";
    let Some(guest) = Guest::start(NAME, Parts { disk: Some(image::blank()), ..Parts::usual() }) else { return };
    let words = guest.last_words();
    assert_eq!(words, "firebox: cannot mount /dev/vda, the image: Invalid argument (os error 22)");
}
