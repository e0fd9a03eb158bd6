//! What is in `packaging/`: the systemd unit and the container recipe do what their pages say, as far as a machine can show it
//! that systemd does not run on.

mod kit;

use std::path::Path;
use std::process::{Command, Output};

use kit::{HostInventory, Podman, Secret, Service, firebox, repository};
use serde_json::{Value, json};

const UNIT: &str = "packaging/systemd/firebox.service";
const DROP_IN: &str = "packaging/systemd/ordinary-user.conf";
const SOCKET: &str = "packaging/systemd/firebox.socket";
const MICROVMS: &str = "packaging/systemd/microvms.conf";
/// Of a language, which stands behind the stroke.
const SNAPSHOT: &str = "packaging/systemd/firebox-snapshot@";
const JAIL_FLAGS: &str = "packaging/container/jail.flags";
const CONTAINERFILE: &str = "packaging/container/Containerfile";
/// Where a container's service keeps what outlives it.
const STATE: &str = "/var/lib/firebox";
/// What `systemd-analyze security` says of the unit, in tenths: it is not to grow by accident. A firebox makes namespaces and
/// listens, which is most of it.
const EXPOSURE: &str = "--threshold=55";

const HELLOS: [(&str, &str); 5] = [
    ("rust", "fn main() { println!(\"hello\"); }"),
    ("python", "print('hello')"),
    ("javascript", "console.log('hello')"),
    ("bash", "echo hello"),
    ("c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); }"),
];

fn text(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The value of a line of the unit that stands there once.
fn said(unit: &str, name: &str) -> String {
    said_after(unit, &format!("{name}="))
}

/// What stands behind these words, which one line begins with.
fn said_after(text: &str, name: &str) -> String {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    let (Some(value), None) = (lines.next(), lines.next()) else { panic!("`{name}` does not stand there once") };
    value.to_owned()
}

fn systemd_analyze(words: &[&str], unit: &Path) -> Option<Output> {
    if !Path::new("/usr/bin/systemd-analyze").is_file() {
        kit::skip("the unit", "`systemd-analyze` is not installed (Debian's package is `systemd`)");
        return None;
    }
    Some(Command::new("/usr/bin/systemd-analyze").args(words).arg(unit).output().expect("it runs"))
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit_alone_and_with_the_drop_in() {
    let directory = kit::temp_dir();
    let unit = directory.path().join("firebox.service");
    // It is looked for where it is to be installed.
    let there = format!("{} serve", env!("CARGO_BIN_EXE_firebox"));
    std::fs::write(&unit, text(UNIT).replace("/usr/bin/firebox serve", &there)).expect("it is written");
    for with_drop_in in [false, true] {
        if with_drop_in {
            let drop_ins = directory.path().join("firebox.service.d");
            std::fs::create_dir(&drop_ins).expect("a directory");
            std::fs::copy(repository(DROP_IN), drop_ins.join("ordinary-user.conf")).expect("it is copied");
        }
        let Some(verified) = systemd_analyze(&["verify", "--man=no"], &unit) else { return };
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && !said.contains("firebox"), "{said}");
        let Some(rated) = systemd_analyze(&["security", "--offline=yes", EXPOSURE], &unit) else { return };
        assert!(rated.status.success(), "{}", String::from_utf8_lossy(&rated.stdout));
    }
    // That it finds anything at all.
    std::fs::write(&unit, text(UNIT).replace("WatchdogSec=30s", "WatchdogSec=soon")).expect("it is written");
    let Some(wrong) = systemd_analyze(&["verify", "--man=no"], &unit) else { return };
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("ignoring: soon"), "{wrong:?}");
}

#[test]
fn systemd_finds_nothing_wrong_with_what_makes_snapshots_every_day_for_a_service_with_microvms() {
    let directory = kit::temp_dir();
    let place = |name: &str| directory.path().join(name);
    let there = |unit: String| unit.replace("/usr/bin/firebox", env!("CARGO_BIN_EXE_firebox"));
    std::fs::create_dir(place("firebox.service.d")).expect("a directory");
    let service = there(text(&format!("{SNAPSHOT}.service")));
    for (name, content) in [
        ("firebox.service", there(text(UNIT))),
        ("firebox.service.d/microvms.conf", text(MICROVMS)),
        ("firebox.socket", text(SOCKET)),
        ("firebox-snapshot@python.service", service.clone()),
        ("firebox-snapshot@python.timer", text(&format!("{SNAPSHOT}.timer"))),
    ] {
        std::fs::write(place(name), content).expect("it is written");
    }
    for unit in
        ["firebox.service", "firebox.socket", "firebox-snapshot@python.service", "firebox-snapshot@python.timer"]
    {
        let Some(verified) = systemd_analyze(&["verify", "--man=no"], &place(unit)) else { return };
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && !said.contains("firebox"), "{unit}: {said}");
    }
    // Both look for snapshots in one place, and what is called there is a command.
    let [home, home_of_service] = [&service, &text(MICROVMS)].map(|unit| said_after(unit, "Environment=FIREBOX_HOME="));
    assert_eq!(home, home_of_service);
    // What one leaves to firebox, the other does, too.
    for line in service.lines().skip_while(|line| !line.starts_with("CapabilityBoundingSet=")) {
        assert!([UNIT, MICROVMS].iter().any(|unit| text(unit).lines().any(|other| other == line)), "{line}");
    }
    assert!(service.contains("\nSystemCallFilter=~@clock"), "{service}");
    let command =
        said_after(&text(&format!("{SNAPSHOT}.service")), "ExecStart=/usr/bin/firebox ").replace("%i", "bosh");
    let called = firebox().args(command.split_whitespace()).run();
    assert!(called.code() == 2 && called.stderr().contains("bash"), "{called}");
}

#[test]
fn the_rights_that_the_unit_leaves_are_enough_for_jobs_in_every_language() {
    if !kit::is_root("the_rights_that_the_unit_leaves") {
        return;
    }
    let host = HostInventory::take();
    let unit = text(UNIT);
    let capabilities: Vec<String> = said(&unit, "CapabilityBoundingSet")
        .split(' ')
        .map(|name| format!("+{}", name.replace("CAP_", "").to_lowercase()))
        .collect();
    let (descriptors, mask) = (said(&unit, "LimitNOFILE"), said(&unit, "UMask"));
    assert_eq!((said(&unit, "NoNewPrivileges"), said(&unit, "ProtectSystem")), ("yes".into(), "strict".into()));
    assert_eq!(
        (said(&unit, "StateDirectory"), said(&unit, "Environment")),
        ("firebox".into(), "FIREBOX_STATE=%S/firebox".into())
    );
    // What the unit names as written to stays so; a machine may be configured to grant fewer descriptors, which is no matter here.
    let script = format!(
        "mkdir -p /run/firebox && mount --make-rprivate / && mount --bind /run/firebox /run/firebox && mount --bind /tmp /tmp \
         && mount -o remount,bind,ro / && if touch /usr/is-it-to-be-read; then exit 99; fi; \
         ulimit -n {descriptors} || :; umask {mask}; \
         exec setpriv --bounding-set=-all,{} --no-new-privs -- \"$@\"",
        capabilities.join(",")
    );
    let unshare = kit::tool("unshare").into_os_string();
    let wrapper = [unshare].into_iter().chain(["--mount", "/bin/sh", "-c", &script, "sh"].map(Into::into));
    let call = firebox().through(wrapper).args(["serve", "--listen", "127.0.0.1:0"]).start();
    let service = Service::of(call);
    for (lang, code) in HELLOS {
        let answer = service.execute(&json!({"lang": lang, "code": code, "timeout": 60})).answer();
        let outcome = answer.json();
        assert_eq!(
            (&outcome["stdout"], &outcome["isolation"]),
            (&"hello\n".into(), &"jail".into()),
            "{lang}: {answer:?}"
        );
    }
    assert_eq!(service.get("/health").answer().code, 200);
    service.stop();
    host.assert_nothing_left();
}

#[test]
fn the_published_flags_give_a_container_a_jail_and_its_jobs_nothing_of_the_container() {
    let host = HostInventory::take();
    let Some(podman) = Podman::new("the_published_flags") else {
        host.assert_nothing_left();
        return;
    };
    let flags = text(JAIL_FLAGS);
    let flags: Vec<&str> = flags.lines().collect();
    assert!(!flags.iter().any(|flag| flag.contains("privileged=") || flag.contains("cap-add")), "{flags:?}");
    // Without them it is a fence, so it is they that make the difference.
    let plain = podman.firebox(&["--user=65534:65534"], &["--json", "--lang", "bash", "--code", "true"]);
    let plain: Value = serde_json::from_slice(&plain.stdout).unwrap_or_else(|_| panic!("no outcome\n{plain}"));
    for (lang, code) in HELLOS.into_iter().filter(|(lang, _)| ["bash", "python", "c"].contains(lang)) {
        let call = podman.firebox(&flags, &["--json", "--lang", lang, "--code", code]);
        let outcome: Value = serde_json::from_slice(&call.stdout).unwrap_or_else(|_| panic!("no outcome\n{call}"));
        assert_eq!((&outcome["stdout"], &outcome["isolation"]), (&"hello\n".into(), &"jail".into()), "{call}");
    }
    assert_eq!(plain["isolation"], "fence", "a plain container has changed: see packaging/container/README.md");
    // What is unmasked for the service is not there for a job.
    let secret = Secret::new();
    let path = secret.path().display().to_string();
    let code = format!(
        "cat {path} /proc/kcore /proc/keys; echo x > /proc/sys/kernel/core_pattern; ls /proc/1/root/; echo over"
    );
    let call = podman.firebox(&flags, &["--lang", "bash", "--code", &code]);
    assert!(call.stdout().ends_with("over\n") && !call.stdout().contains(&secret.word), "{call}");
    for name in ["/proc/keys", "/proc/sys/kernel/core_pattern"] {
        assert!(call.stderr().contains(name), "{name} could be used\n{call}");
    }
    // The service itself, with what the image has for it: a place that is this user's, and a word of the environment.
    let image = text(CONTAINERFILE);
    assert_eq!((said_after(&image, "VOLUME "), said_after(&image, "USER ")), (STATE.into(), "65534:65534".into()));
    let state = kit::temp_dir();
    let volume = state.path().join("volume");
    let make = said_after(&image, "RUN install ").replace(STATE, &volume.display().to_string());
    let made = Command::new("install").args(make.split(' ')).status().expect("there is `install`");
    assert!(made.success(), "{make}");
    let (environment, volume) =
        (format!("--env={}", said_after(&image, "ENV ")), format!("--volume={}:{STATE}", volume.display()));
    // Podman gives a root that it makes this way to the container's user, who could make any place there; an image's is root's.
    let sealed = ["--read-only", "--read-only-tmpfs=false", environment.as_str(), volume.as_str()];
    let flags: Vec<&str> = flags.into_iter().chain(sealed).collect();
    let program = podman.program().display().to_string();
    let script = format!(
        "{program} serve --listen 127.0.0.1:8080 --languages bash & \
         until curl --silent --fail localhost:8080/health; do kill -0 $! || exit 9; sleep 0.1; done; \
         curl --silent localhost:8080/v1/execute -H 'content-type: application/json' \
           -d '{{\"lang\": \"bash\", \"code\": \"echo served\"}}'; \
         curl --silent localhost:8080/v1/jobs -H 'content-type: application/json' \
           -d '{{\"lang\": \"bash\", \"code\": \"echo kept\"}}'; kill $!; wait $!"
    );
    let served = podman.run(&flags, &["sh", "-c", &script]);
    assert_eq!(served.code(), 0, "{served}");
    assert!(
        served.stdout().contains(r#""stdout":"served\n""#) && served.stdout().contains(r#""isolation":"jail""#),
        "{served}"
    );
    assert!(served.stdout().contains(r#""status":"queued""#), "no job outlives its connection\n{served}");
    // Another container with the same volume has what the last one kept.
    let created = podman.run(&flags, &[program.as_str(), "keys", "create", "ci"]);
    let listed = podman.run(&flags, &[program.as_str(), "keys", "list"]);
    assert!(created.stdout().starts_with("fbx_") && listed.stdout().contains(" ci "), "{created}\n{listed}");
    drop((podman, state));
    host.assert_nothing_left();
}

#[test]
fn the_published_profile_lets_nothing_be_called_that_could_change_the_host() {
    let profile: Value = serde_json::from_str(&text("packaging/container/seccomp.json")).expect("it is JSON");
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let rules = profile["syscalls"].as_array().expect("a list");
    assert_eq!((rules.len(), &rules[0]["action"]), (1, &"SCMP_ACT_ALLOW".into()));
    let names = rules[0]["names"].as_array().expect("a list");
    for name in [
        "add_key",
        "bpf",
        "clock_settime",
        "delete_module",
        "finit_module",
        "init_module",
        "io_uring_setup",
        "ioperm",
        "iopl",
        "kexec_file_load",
        "kexec_load",
        "keyctl",
        "open_by_handle_at",
        "perf_event_open",
        "process_vm_readv",
        "process_vm_writev",
        "quotactl",
        "reboot",
        "request_key",
        "settimeofday",
        "swapon",
        "syslog",
        "userfaultfd",
    ] {
        assert!(!names.contains(&name.into()), "{name} is allowed");
    }
    assert!(names.is_sorted_by_key(|name| name.as_str()), "the list is not in order");
}
