//! The fence from inside: the user's own files, sockets and processes are out of reach, with the same uid and on the same
//! host. That nothing outlives a job is in `fence_leftovers.rs`, what a fence does not stop in `fence_open.rs`.

mod kit;

use kit::{Allowance, Around, Fenced, Guard, HostInventory, Running, attacks, firebox, job};

/// What `fence_reach.py` can do outside, where nothing holds it.
const REACHED: [&str; 57] = [
    "read a file",
    "read it from its directory",
    "read it through a path descriptor",
    "list a directory",
    "write to a file",
    "make a file",
    "make a directory",
    "make a file in /dev/shm",
    "link a file",
    "link it through a path descriptor",
    "link it elsewhere",
    "rename a file",
    "remove a file",
    "change a file's length",
    "change a mode",
    "change a mode in its directory",
    "change a mode through a path descriptor",
    "change a mode by fchmodat2",
    "change an owner",
    "set times",
    "set times through a path descriptor",
    "set an attribute",
    "list attributes",
    "read an attribute",
    "execute a file",
    "write to a fifo",
    "watch a directory",
    "be told of a directory",
    "lease a file",
    "lock a file",
    "connect to a socket file",
    "send to a socket file",
    "send to a socket file from a pair",
    "connect to an abstract socket",
    "send to an abstract socket from a pair",
    "connect by TCP",
    "send by UDP",
    "ask the kernel by netlink",
    "make shared memory",
    "make a message queue",
    "its environment",
    "its command line",
    "its working directory",
    "its descriptors",
    "the list of processes",
    "one of its descriptors",
    "step it back in the schedule",
    "move it to a CPU",
    "change its policy",
    "change its limits",
    "own a descriptor for it",
    "ask whether it can be signalled",
    "let it go on",
    "signal its process group",
    "signal its thread",
    "queue a signal",
    "kill it",
];

/// What the user has beside the job; `$1` to `$4` are then what `fence_reach.py` is to be told.
fn neighbour(fenced: &Fenced, place: &std::path::Path) -> String {
    let (place, script) =
        (place.display(), std::fs::read_to_string(attacks("fence_neighbour.py")).expect("it is there"));
    std::fs::write(format!("{place}/neighbour.py"), script).expect("write");
    let start = fenced.words(&format!("python3 {place}/neighbour.py {place}/its"));
    format!(
        "mkdir {place}/its; chown 65534:65534 {place}/its; ({start}) & \
         until [ -e {place}/its/ports ]; do sleep 0.02; done; read -r tcp udp pid <{place}/its/ports;"
    )
}

#[test]
fn what_the_same_user_has_on_the_host_is_out_of_reach() {
    if !kit::is_root("what_the_same_user_has_on_the_host_is_out_of_reach") {
        return;
    }
    let host = HostInventory::take();
    let fenced = Fenced::by_a_user();
    let attack = std::fs::read_to_string(attacks("fence_reach.py")).expect("it is there");

    // Outside, in a PID namespace, that user can do all of it.
    let outside = kit::temp_dir();
    let before = neighbour(&fenced, outside.path());
    std::fs::write(outside.path().join("attack.py"), &attack).expect("write");
    open(outside.path());
    let place = outside.path().display().to_string();
    let go = fenced.words(&format!("python3 {place}/attack.py {place}/its $tcp $udp $pid"));
    let script = format!("{before} cd {place}/its; ({go}); wait; exit 0");
    let guard = Guard::new(Allowance::CONTROL);
    let mut command = guard.command(kit::tool("unshare"));
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "/bin/sh", "-c", &script]);
    let outside = Running::start(guard, command, None).wait();
    for what in REACHED {
        let line = format!("ESCAPED: {what}");
        assert!(outside.stdout().lines().any(|l| l == line), "it does not even succeed outside: {what}\n{outside}");
    }

    // In a fence, none of it, and the neighbour does not notice.
    let place = kit::temp_dir();
    open(place.path());
    let before = neighbour(&fenced, place.path());
    let its = place.path().join("its").display().to_string();
    // The numbers are known only in there.
    let before = format!("{before} set -- \"$@\" -- {its} $tcp $udp $pid;");
    let look = format!("find {its} -printf '%P %m %s %T@ %n\\n' | sort");
    let before = format!("{before} before=$({look});");
    let after = format!(
        "[ \"$before\" = \"$({look})\" ] && echo files unchanged >&2; \
         grep State: /proc/$pid/status >&2; kill -9 $pid; wait"
    );
    let around = Around { before: &before, after: &after, through: "" };
    let inside = fenced.outcome_with(&around, job("python", &attack).args(["--run-time", "30s"]));
    let said = inside.stdout();
    let escaped: Vec<&str> = said.lines().filter(|line| line.starts_with("ESCAPED")).collect();
    assert!(escaped.is_empty(), "{escaped:#?}\n{inside}");
    for what in REACHED {
        let line = format!("blocked: {what}:");
        assert!(said.lines().any(|l| l.starts_with(&line)), "it never came to try {what:?}\n{inside}");
    }
    let seen = inside.call.stderr();
    assert!(seen.contains("files unchanged") && seen.contains("S (sleeping)"), "the neighbour noticed\n{inside}");
    host.assert_nothing_left();
}

fn open(directory: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).expect("chmod");
}

/// What a job opens of the host is not its own: whoever owns it, a job changes neither its mode nor keeps anybody from it.
#[test]
fn toolchains_and_devices_keep_their_modes_whoever_owns_them() {
    if !kit::is_root("toolchains_and_devices_keep_their_modes") {
        return;
    }
    let host = HostInventory::take();
    let code = "
import ctypes, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
def attempt(what, action):
    try:
        action()
        print('done:', what)
    except OSError as error:
        print('refused:', what, error.strerror)
null, python, directory = os.open('/dev/null', os.O_RDWR), os.open('/usr/bin/python3', os.O_RDONLY), os.open('/usr/bin', os.O_RDONLY)
for what, file in (('null', null), ('python', python), ('directory', directory)):
    attempt('mode of ' + what, lambda: os.fchmod(file, 0o755))
    attempt('owner of ' + what, lambda: os.fchown(file, os.getuid(), os.getgid()))
    attempt('time of ' + what, lambda: os.utime(file, (1, 1)))
    attempt('attribute of ' + what, lambda: os.setxattr(file, 'user.x', b'x'))
attempt('lease', lambda: fcntl.fcntl(python, fcntl.F_SETLEASE, fcntl.F_RDLCK))
attempt('notice', lambda: fcntl.fcntl(directory, fcntl.F_NOTIFY, fcntl.DN_ACCESS))
attempt('write', lambda: os.close(os.open('/usr/bin/python3', os.O_RDWR)))
attempt('make', lambda: os.mkdir('/usr/bin/made'))
";
    let modes = || ["/dev/null", "/usr/bin/python3", "/usr/bin"].map(metadata);
    let before = modes();
    // To root's fence all of these belong.
    let outcome = Fenced::by_root().run("python", code, &[]);
    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
    assert_eq!((outcome.stdout().lines().count(), outcome.stdout().contains("done")), (16, false), "{outcome}");
    assert_eq!(before, modes());
    host.assert_nothing_left();
}

fn metadata(path: &str) -> (u32, u32, i64) {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).expect("it is there");
    (metadata.mode(), metadata.uid(), metadata.mtime())
}

/// The job against its own agent, keeper, warden and engine, who all have its uid: it dies of none of it, and so do they.
#[test]
fn nobody_of_fireboxs_own_can_be_signalled_traced_or_slowed() {
    if !kit::is_root("nobody_of_fireboxs_own_can_be_signalled") {
        return;
    }
    let host = HostInventory::take();
    let code = "
import ctypes, fcntl, os, resource, signal, time
tried = 0
def attempt(what, action):
    global tried
    tried += 1
    try:
        action()
        print('done:', what)
    except OSError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    if libc.syscall(*[ctypes.c_long(word) for word in words]) < 0:
        raise OSError(ctypes.get_errno(), '')
others = [pid for pid in range(1, 30) if pid != os.getpid()]
for pid in others:
    for number in (0, signal.SIGCONT, signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        attempt(f'signal {number} to {pid}', lambda: os.kill(pid, number))
        if pid not in (1, os.getsid(0)):
            attempt(f'signal {number} to group {pid}', lambda: os.killpg(pid, number))
    attempt(f'thread {pid}', lambda: call(234, pid, pid, 9))
    attempt(f'trace {pid}', lambda: call(101, 16, pid, 0, 0))
    attempt(f'priority of {pid}', lambda: os.setpriority(os.PRIO_PROCESS, pid, 5))
    attempt(f'limits of {pid}', lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 3)))
    attempt(f'own {pid}', lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, pid))
    attempt(f'memory of {pid}', lambda: open(f'/proc/{pid}/mem', 'rb'))
attempt('own the group', lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, -os.getsid(0)))
# The kernel calls these successes: whoever sends them is in the group, and everyone is nobody.
if os.fork() == 0:
    os.setpgid(0, os.getsid(0))
    os.killpg(os.getsid(0), signal.SIGKILL)
os.wait()
os.kill(-1, signal.SIGKILL)
print(400 < tried)
";
    for fenced in [Fenced::by_a_user(), Fenced::by_root()] {
        let outcome = fenced.run("python", code, &[]);
        assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
        let done: Vec<&str> = outcome.stdout().lines().filter(|line| line.starts_with("done")).collect();
        assert!(done.is_empty() && outcome.stdout().ends_with("True\n"), "{done:?}\n{outcome}");
    }
    host.assert_nothing_left();
}

#[test]
fn fences_at_once_meet_in_no_file_and_no_signal() {
    if !kit::is_root("fences_at_once_meet_in_no_file_and_no_signal") {
        return;
    }
    let host = HostInventory::take();
    let fenced = Fenced::by_a_user();
    // The first says where it is and waits; the second tries to get there.
    let first = "import os, time\nopen('mine', 'w').write('x')\nopen('ready.' + str(os.getpid()), 'w')\ntime.sleep(4)\n\
        print(sorted(os.listdir('.')))";
    let second = "import os, signal, sys\nwhere, pid = sys.argv[1], int(sys.argv[2])\n\
        for what in (lambda: open(where + '/mine'), lambda: open(where + '/made', 'w'), lambda: os.listdir(where),\n\
        \x20 lambda: os.unlink(where + '/mine'), lambda: os.kill(pid, 9), lambda: os.kill(pid, 0)):\n\
        \x20 try:\n    what()\n    print('ESCAPED')\n  except PermissionError: print('blocked')";
    let start = |code: &str, more: &str| {
        let program = fenced.program();
        fenced.words(&format!("{} run --isolation fence --lang python --code \"{code}\" {more}", program.display()))
    };
    let (first, second) = (start(first, ""), start(second, "-- \"$where\" $pid"));
    let script = format!(
        "({first}) & until ls /tmp/firebox-fence-*/1/job/ready.* >/dev/null 2>&1; do sleep 0.05; done; \
         for ready in /tmp/firebox-fence-*/1/job/ready.*; do pid=${{ready##*.}}; where=${{ready%/*}}; \
         [ -e /proc/$pid ] && echo $pid is there; ({second}); done; wait"
    );
    let call = firebox().contained_with(&script).run();
    assert!(call.stdout().contains("is there") && !call.stdout().contains("ESCAPED"), "{call}");
    assert_eq!(call.stdout().matches("blocked").count(), 6, "{call}");
    assert!(call.stdout().contains("'mine', 'ready."), "{call}");
    host.assert_nothing_left();
}
