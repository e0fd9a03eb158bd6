//! What a fence does not stop. Each of these is a sentence in SECURITY.md; a test that fails here may well be good news,
//! and wants the page changed.

mod kit;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kit::{Around, Fenced, HostInventory, Outcome, job};

/// A Python program in an ordinary user's fence, whose lines begin with `shown` or not.
fn run(test: &str, code: &str, flags: &[&str]) -> Option<(HostInventory, Outcome)> {
    run_beside(test, &Around::default(), code, flags)
}

fn run_beside(test: &str, around: &Around<'_>, code: &str, flags: &[&str]) -> Option<(HostInventory, Outcome)> {
    if !kit::is_root(test) {
        return None;
    }
    let host = HostInventory::take();
    let code = format!("import ctypes, fcntl, mmap, os, signal, socket, sys, time\n{code}");
    Some((host, Fenced::by_a_user().outcome_with(around, job("python", &code).args(flags))))
}

/// All of these lines, and none that says otherwise.
fn check(ran: Option<(HostInventory, Outcome)>, shown: &[&str]) {
    let Some((host, outcome)) = ran else { return };
    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
    assert_eq!(outcome.stdout().lines().collect::<Vec<_>>(), shown, "{outcome}");
    host.assert_nothing_left();
}

#[test]
fn a_job_learns_of_files_by_their_names() {
    let place = kit::temp_dir();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    fs::write(place.path().join("file"), "12345").expect("write");
    std::os::unix::fs::symlink("where it leads", place.path().join("link")).expect("link");
    let place = place.path().display();
    let code = format!(
        "print(os.stat('{place}/file').st_size)\nprint(os.path.exists('{place}/none'))\nprint(os.readlink('{place}/link'))\n\
         os.chdir('{place}')\nprint(os.fstat(os.open('file', os.O_PATH)).st_size)"
    );
    check(run("a_job_learns_of_files_by_their_names", &code, &[]), &["5", "False", "where it leads", "5"]);
}

#[test]
fn a_job_knows_the_hosts_name_the_users_id_and_who_runs() {
    let around = Around { before: "sleep 100 & set -- \"$@\" -- $!;", after: "kill $!; wait", through: "" };
    let code = "print(os.uname().nodename)\nprint(os.getuid())\nother = int(sys.argv[1])\n\
        print(os.path.exists(f'/proc/{other}'), os.path.exists('/proc/4194303'))\nprint(os.stat(f'/proc/{other}').st_uid)\n\
        print(os.getpriority(os.PRIO_PROCESS, other), os.pidfd_open(other) > 2)";
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let ran = run_beside("a_job_knows_the_hosts_name", &around, code, &[]);
    check(ran, &[&name, "65534", "True False", "0", "0 True"]);
}

#[test]
fn a_job_locks_files_of_the_toolchain_and_sets_their_times_to_now_where_they_are_the_users() {
    if !kit::is_root("a_job_locks_files_of_the_toolchain") {
        return;
    }
    let host = HostInventory::take();
    // The times only of a device, which belong to whoever may write to it.
    let code = "import fcntl, os\nfcntl.flock(open('/usr/bin/env'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n\
        os.utime(os.open('/dev/null', os.O_RDWR))\nprint('both')";
    let outcome = Fenced::by_a_user().run("python", code, &[]);
    assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "both\n"), "{outcome}");
    host.assert_nothing_left();
}

#[test]
fn memory_that_nobody_has_mapped_is_not_seen() {
    // Twice the limit: in shared memory that is mapped a piece at a time, and on its way through sockets.
    let code = "size, piece = 96 << 20, 4 << 20\n\
        libc = ctypes.CDLL(None)\nlibc.mmap.restype = ctypes.c_void_p\n\
        whole = libc.mmap(None, ctypes.c_size_t(size), 3, 0x21, -1, 0)\n\
        for at in range(0, size - piece, piece):\n  ctypes.memset(whole + at, 1, piece)\n\
        \x20 libc.munmap(ctypes.c_void_p(whole + at), ctypes.c_size_t(piece))\n\
        kept = []\nfor _ in range(200):\n  one, other = socket.socketpair()\n  one.setblocking(False)\n  kept += [one, other]\n\
        \x20 try:\n    while True: one.send(bytes(65536))\n  except BlockingIOError: pass\n\
        time.sleep(0.3)\nprint('held')";
    check(run("memory_that_nobody_has_mapped_is_not_seen", code, &["--memory", "48M"]), &["held"]);
}

#[test]
fn files_without_a_name_are_not_seen() {
    let code = "kept = []\nfor number in range(6):\n  kept.append(open('file', 'wb', buffering=0))\n  os.unlink('file')\n\
        \x20 for _ in range(4): kept[-1].write(bytes(1 << 20))\n\
        time.sleep(0.3)\nprint(sum(os.fstat(file.fileno()).st_blocks * 512 for file in kept) >> 20)";
    check(run("files_without_a_name_are_not_seen", code, &["--disk", "8M"]), &["24"]);
}

#[test]
fn what_is_only_watched_can_be_overshot_for_a_moment() {
    let code = "print('before', flush=True)\nkept = bytearray(b'x') * (1 << 30)";
    let Some((host, outcome)) = run("what_is_only_watched_can_be_overshot", code, &["--memory", "32M"]) else { return };
    assert_eq!((outcome.verdict(), outcome.stdout()), (("memory_limit", "run", 137, None), "before\n"), "{outcome}");
    let peak = outcome.json()["usage"]["memory_peak_bytes"].as_u64().unwrap_or(0);
    assert!(32 << 20 < peak && peak < 1 << 30, "{peak}\n{outcome}");
    host.assert_nothing_left();
}

#[test]
fn cpu_time_of_processes_that_nobody_waited_for_is_not_seen() {
    let code = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nuntil = time.monotonic() + 3\n\
        while time.monotonic() < until:\n  if os.fork() == 0:\n    began = time.monotonic()\n\
        \x20   while time.monotonic() < began + 0.05: pass\n    os._exit(0)\n\
        \x20 try: os.wait()\n  except ChildProcessError: pass\nprint('burnt')";
    check(run("cpu_time_of_processes_that_nobody_waited_for", code, &["--cpu-time", "1500ms"]), &["burnt"]);
}
