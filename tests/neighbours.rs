//! Several Firebox processes at once, of the same user and of different ones: they meet in nothing.

mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;

use kit::{
    Control, HostInventory, Lineage, Member, NOBODY, Ordinary, Process, Role, Started, UIDS, attacks, bare, family,
    firebox, words,
};
use rustix::process::Signal;

/// Another ordinary user, whom no host knows by name.
const STRANGER: u32 = 61234;

/// Who starts Firebox.
#[derive(Clone, Copy)]
enum Caller<'a> {
    Root,
    User(&'a Ordinary),
}

impl Caller<'_> {
    fn start(self, code: &str, args: &[&str]) -> Started {
        let call = firebox().args(["run", "--lang", "python", "--code", code]).program_args(args.iter().copied());
        match self {
            Caller::Root => call.start(),
            Caller::User(user) => user.call(call).start(),
        }
    }
}

/// Things of which each call has its own, by what they are: who has one.
#[derive(Default)]
struct Owners(BTreeMap<(String, String), usize>);

impl Owners {
    fn add(&mut self, call: usize, what: &str, which: impl ToString) {
        let thing = (what.to_owned(), which.to_string());
        if let Some(other) = self.0.insert(thing.clone(), call) {
            assert_eq!(other, call, "these two calls share {thing:?}");
        }
    }
}

#[test]
fn cells_of_firebox_processes_that_live_at_once_share_no_id_group_namespace_or_file_system() {
    if !kit::is_root("cells_of_firebox_processes_that_live_at_once_share_no_id_group_namespace_or_file_system") {
        return;
    }
    let host = HostInventory::take();
    let (nobody, stranger) = (Ordinary::new(NOBODY), Ordinary::new(STRANGER));
    let (nobody, stranger) = (Caller::User(&nobody), Caller::User(&stranger));
    let root = Caller::Root;
    let callers = [root, nobody, root, stranger, root, nobody, root, stranger, root, nobody, root, stranger];
    let code = "import time\nopen('/tmp/mine', 'w')\nprint('made', flush=True)\ntime.sleep(1000)";
    let calls: Vec<(Caller<'_>, Started)> = callers.map(|caller| (caller, caller.start(code, &[]))).into();

    let mut owners = Owners::default();
    // What everybody else on this host has.
    for kind in ["net", "pid", "mnt", "ipc", "uts", "user"] {
        owners.add(usize::MAX, "namespace", namespace(std::process::id(), kind));
    }
    for (number, (caller, call)) in calls.iter().enumerate() {
        call.wait_for_stdout("made");
        let family = family(call.pid(), Lineage::Jail);
        look_at_ids(&mut owners, number, *caller, &family);
        for member in family.iter().filter(|member| matches!(member.role, Role::Agent | Role::Step)) {
            look_at_places(&mut owners, number, member.pid);
        }
    }

    for (_, call) in &calls {
        call.signal(Signal::INT);
    }
    for (_, call) in calls {
        assert_eq!(call.wait().code(), 130);
    }
    host.assert_nothing_left();
}

/// Root's engines and cells have a uid each that nobody else has; those of others have their user's.
fn look_at_ids(owners: &mut Owners, call: usize, caller: Caller<'_>, family: &[Member]) {
    let (mut seen, mut engine) = (BTreeSet::new(), None);
    for member in family {
        seen.insert(member.role);
        let uid = Process::read(member.pid).unwrap_or_else(|| panic!("{member:?} is gone")).uid;
        match (caller, member.role) {
            (Caller::User(user), _) => assert_eq!(uid, user.uid, "{member:?}"),
            (Caller::Root, Role::Warden) => assert_eq!(uid, 0, "{member:?}"),
            (Caller::Root, role) => {
                assert!(UIDS.contains(&uid), "{member:?} has uid {uid}");
                owners.add(call, "uid", uid);
                if role == Role::Engine { engine = Some(uid) } else { assert_ne!(engine, Some(uid), "{member:?}") }
            }
        }
    }
    let all = BTreeSet::from([Role::Engine, Role::Warden, Role::Agent, Role::Step]);
    assert_eq!(seen, all, "the processes of one call");
}

/// Control groups, namespaces, and the file systems that a process of a cell sees.
fn look_at_places(owners: &mut Owners, call: usize, pid: u32) {
    for kind in ["net", "pid", "mnt", "ipc", "uts", "user"] {
        owners.add(call, "namespace", namespace(pid, kind));
    }
    // The tests' guards keep the groups of different calls apart, so this compares the names alone: in one place, they
    // would meet.
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it lives");
    for name in groups.split(['/', '\n']).filter(|part| part.starts_with("firebox-")) {
        owners.add(call, "name of a control group", name);
    }
    for place in ["job", "tmp", "dev/shm", "", "dev", "usr/lib"] {
        let seen = fs::metadata(format!("/proc/{pid}/root/{place}"));
        let seen = seen.unwrap_or_else(|error| panic!("/{place} of {pid} cannot be looked at: {error}"));
        owners.add(call, "file system", seen.dev());
    }
}

fn namespace(pid: u32, kind: &str) -> String {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("root may look at namespaces");
    link.display().to_string()
}

/// What a device of the host gives away. An ordinary user can make none, so such a user's cells see the host's: two of
/// them meet there, and each can watch whoever on the host uses it.
fn is_shown_by_a_device(what: &str, one: Caller<'_>, other: Caller<'_>) -> bool {
    match what {
        "a lock on a device" => matches!((one, other), (Caller::User(_), Caller::User(_))),
        "watching a device" => matches!(other, Caller::User(_)),
        _ => false,
    }
}

#[test]
fn two_jobs_that_know_the_same_names_do_not_meet() {
    if !kit::is_root("two_jobs_that_know_the_same_names_do_not_meet") {
        return;
    }
    let host = HostInventory::take();
    let code = fs::read_to_string(attacks("meeting.py")).expect("an attack");
    let name = format!("meeting{}", std::process::id());
    let directory = kit::temp_dir();

    // Outside, they meet at every one of them.
    let mut args: Vec<OsString> = words(["both"]);
    args.extend([directory.path().into(), OsString::from(&name)]);
    let call = bare("meeting.py", &args, Control::OwnNamespaces);
    let outside = call.stdout();
    let met: Vec<&str> = outside.lines().filter_map(|line| line.strip_prefix("ESCAPED: ")).collect();
    assert!(met.len() == 14 && met.len() == outside.lines().count(), "not even outside:\n{call}");

    let (nobody, stranger) = (Ordinary::new(NOBODY), Ordinary::new(STRANGER));
    let (root, nobody, stranger) = (Caller::Root, Caller::User(&nobody), Caller::User(&stranger));
    for (one, other) in [(root, root), (root, nobody), (nobody, root), (nobody, nobody), (nobody, stranger)] {
        let holds = one.start(&code, &["hold", "/tmp", &name]);
        holds.wait_for_stdout("held");
        let looks = other.start(&code, &["look", "/tmp", &name]).wait();
        let said = looks.stdout();
        for what in &met {
            let blocked = said.contains(&format!("blocked: {what}: "));
            assert!(blocked || is_shown_by_a_device(what, one, other), "two jobs met: {what}\n{looks}");
        }
        holds.signal(Signal::INT);
        assert_eq!(holds.wait().code(), 130);
    }
    host.assert_nothing_left();
}
