//! `firebox doctor`: what it says of this host is what jobs meet on it.

mod kit;

use kit::{Finished, HostInventory, NOBODY, Ordinary, firebox};
use serde_json::Value;

fn diagnosis(call: &Finished) -> Value {
    serde_json::from_slice(&call.stdout).unwrap_or_else(|error| panic!("no JSON on stdout ({error})\n{call}"))
}

/// How a safeguard stands in a kind of cell.
fn state<'d>(diagnosis: &'d Value, kind: &str, safeguard: &str) -> &'d str {
    let of = |list: &'d Value, key: &str, wanted: &str| {
        list.as_array().into_iter().flatten().find(|entry| entry[key] == wanted).unwrap_or(&Value::Null)
    };
    let state = &of(&of(&diagnosis["kinds"], "kind", kind)["safeguards"], "name", safeguard)["state"];
    state.as_str().unwrap_or_else(|| panic!("nothing is said of {safeguard} in a {kind}: {diagnosis}"))
}

fn check(diagnosis: &Value, kind: &str, expected: &str, safeguards: &[&str]) {
    for safeguard in safeguards {
        assert_eq!(state(diagnosis, kind, safeguard), expected, "{safeguard} in a {kind}: {diagnosis}");
    }
}

/// What a jail holds, whoever asks for it.
const HELD: [&str; 9] =
    ["files", "names", "inodes", "processes", "network", "ipc", "host_name", "system_calls", "privileges"];

#[test]
fn root_is_told_that_a_jail_enforces_everything() {
    if !kit::is_root("root_is_told_that_a_jail_enforces_everything") {
        return;
    }
    let host = HostInventory::take();
    let call = firebox().args(["doctor", "--json"]).run();
    let diagnosis = diagnosis(&call);
    assert_eq!((call.code(), &diagnosis["default"]), (0, &Value::from("jail")), "{call}");
    check(&diagnosis, "jail", "enforced", &HELD);
    check(&diagnosis, "jail", "enforced", &["own_user", "memory", "tasks", "cpu", "disk"]);
    host.assert_nothing_left();
}

#[test]
fn an_ordinary_user_is_told_what_is_only_watched_and_what_to_change() {
    let host = HostInventory::take();
    let call = Ordinary::new(NOBODY).call(firebox().args(["doctor", "--json"])).run();
    let diagnosis = diagnosis(&call);
    assert_eq!((call.code(), &diagnosis["default"]), (0, &Value::from("jail")), "{call}");
    check(&diagnosis, "jail", "enforced", &HELD);
    check(&diagnosis, "jail", "enforced", &["tasks", "disk"]);
    check(&diagnosis, "jail", "watched", &["memory", "cpu"]);
    check(&diagnosis, "jail", "missing", &["own_user"]);
    host.assert_nothing_left();
}

#[test]
fn what_a_fence_does_and_does_not_is_told_apart() {
    let host = HostInventory::take();
    let call = Ordinary::new(NOBODY).call(firebox().args(["doctor", "--json"])).run();
    let diagnosis = diagnosis(&call);
    let held = ["files", "processes", "network", "ipc", "system_calls", "privileges", "landlock"];
    check(&diagnosis, "fence", "enforced", &held);
    check(&diagnosis, "fence", "watched", &["memory", "tasks", "cpu", "disk"]);
    check(&diagnosis, "fence", "missing", &["names", "inodes", "host_name", "own_user"]);
    host.assert_nothing_left();
}

#[test]
fn what_kvm_is_worth_is_told_to_whoever_may_use_it_and_to_whoever_may_not() {
    let why = |call: &Finished| {
        let kind = diagnosis(call)["kinds"][0].clone();
        let why = kind["why"].as_str().unwrap_or_default().to_owned();
        let is_fast = why.contains("runs guests well");
        assert_eq!((&kind["kind"], &kind["available"]), (&Value::from("microvm"), &Value::from(is_fast)), "{call}");
        why
    };
    let ours = why(&firebox().args(["doctor", "--json"]).run());
    match std::fs::File::options().read(true).write(true).open("/dev/kvm") {
        Ok(_) => assert!(ours.contains("ns for an instruction of a kernel"), "{ours}"),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            assert!(ours.contains("may not"), "{ours}")
        }
        Err(_) => assert!(ours.contains("no /dev/kvm"), "{ours}"),
    }
    let theirs = why(&Ordinary::new(NOBODY).call(firebox().args(["doctor", "--json"])).run());
    let mode = std::fs::metadata("/dev/kvm").map(|kvm| std::os::unix::fs::PermissionsExt::mode(&kvm.permissions()));
    match mode {
        Ok(mode) if mode & 0o006 == 0 => assert!(theirs.contains("may not open it"), "{theirs}"),
        Ok(_) => assert!(theirs.contains("ns for an instruction of a kernel"), "{theirs}"),
        Err(_) => assert!(theirs.contains("no /dev/kvm"), "{theirs}"),
    }
}

#[test]
fn the_table_has_a_line_for_each_safeguard_and_says_where_jobs_run() {
    let host = HostInventory::take();
    let call = firebox().arg("doctor").run();
    let said = call.stdout();
    assert!(said.lines().next().is_some_and(|head| head.split_whitespace().eq(["microvm", "jail", "fence"])), "{call}");
    assert!(said.contains("memory is bounded") && said.contains("\nJobs run in a "), "{call}");
    assert!(said.contains("\nControl groups on this host: version "), "{call}");
    let of_microvms = [("microvm: not to be had here", "to change that: "), ("microvm: not tried", "to have one: ")];
    assert!(of_microvms.iter().any(|(what, todo)| said.contains(what) && said.contains(todo)), "{call}");
    host.assert_nothing_left();
}
