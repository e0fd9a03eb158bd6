//! The witnesses of a jail's layers.

use std::ffi::OsString;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;

use super::kit::{repository, temp_dir, tool};
use super::witness::Cell::{Jail, UsersJail};
use super::witness::{Cell, Needs, Without, Witness};

/// Layers around what a job sees of the host, and what the host sees of it.
pub(crate) fn around_what_it_sees() -> impl Iterator<Item = Witness> {
    [
        Witness::shell(Jail, "user-namespace", "the uid that it has on the host", "[ $UID != 1000 ]"),
        // To open them would take one that only root may read, and the view of no language has such a file.
        Witness::shell(Jail, "leased-uid", "files of the host's root are its own", "[ -O /usr/bin/env ]"),
        Witness::shell(
            Jail,
            "detached-root",
            "the mounts, and with them paths of the host",
            "grep -q . /proc/self/mountinfo",
        ),
        Witness::shell(Jail, "proc-subset", "what the kernel says of the host", "[ -e /proc/meminfo ]"),
        Witness::shell(
            Jail,
            "pid-namespace",
            "processes of the host",
            "cat /proc/[0-9]*/cmdline | grep -aq '[f]irebox'",
        ),
        Witness::shell(
            Jail,
            "cgroup-namespace",
            "its place in the host's control groups",
            "grep -q firebox- /proc/self/cgroup",
        )
        .needing(Needs::Groups),
        Witness::looked_at(
            Jail,
            "mount-namespace",
            "it stands in the warden's mount namespace, and so does every other jail",
            "[ $(readlink /proc/$warden/ns/mnt) = $(readlink /proc/$first/ns/mnt) ] && echo ESCAPED",
        ),
        ipc_namespace(),
        network_namespace(),
        uts_namespace(),
        overlay(),
    ]
    .into_iter()
}

/// Layers around what it may do.
pub(crate) fn around_what_it_does() -> impl Iterator<Item = Witness> {
    [
        Witness::python(
            Jail,
            "seccomp",
            "a netlink socket",
            "",
            "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
        ),
        Witness::shell(
            Jail,
            "landlock",
            "a program runs from shared memory",
            "cp /usr/bin/true /dev/shm/program && /dev/shm/program",
        ),
        no_new_privileges(Jail),
        // An execve takes all others from a process that is not user 0 in its namespace; these are what one could give back.
        Witness::shell(
            Jail,
            "capabilities",
            "a bounding set",
            "! grep -q '^CapBnd:.0000000000000000' /proc/self/status",
        ),
        Witness::shell(Jail, "dumps", "the memory of the agent", "cat /proc/1/maps"),
        descriptors(Jail),
        // Only the times: what is in the view belongs to root, and no name in it can be changed by anybody else.
        Witness::python(
            Jail,
            "read-only-view",
            "the times of a device, which every jail of the same firebox sees",
            "",
            "os.utime('/dev/null') is None",
        ),
        // A state, for nobody can use it: no uid but its own is mapped, and nothing gains a privilege by execve.
        Witness::python(
            Jail,
            "no-set-user-id",
            "set-user-id bits count",
            "",
            "not all(os.statvfs(place).f_flag & os.ST_NOSUID for place in ('/', '/usr', '/tmp', '/proc'))",
        ),
        Witness::looked_at(
            Jail,
            "parent-death",
            "it lives on after its warden, under an engine that is stopped",
            "kill -STOP $engine; kill -KILL $warden; dies $first || echo ESCAPED",
        ),
        killing_everyone(Jail),
    ]
    .into_iter()
}

/// Layers around what it may take.
pub(crate) fn around_what_it_takes() -> impl Iterator<Item = Witness> {
    let memory = "len(b'x' * (256 << 20))";
    let forking = "def fork():\n    child = os.fork()\n    if child == 0:\n        signal.pause()\n    return child";
    [
        rlimits(Jail),
        Witness::python(Jail, "memory-group", "256 MiB where 64 were granted", "", memory)
            .within(&["--memory", "64M", "--disk", "64M"])
            .needing(Needs::Groups),
        // The control group and the rlimit of the user namespace hold the same number, and are left out together: to each
        // other they are a second line, and a job that comes past one alone meets the other.
        Witness::python(Jail, "tasks", "40 processes where 16 were granted", forking, "[fork() for _ in range(40)]")
            .within(&["--tasks", "16"])
            .needing(Needs::Groups),
        Witness::python(
            UsersJail,
            "tasks",
            "40 processes where 16 were granted",
            forking,
            "[fork() for _ in range(40)]",
        )
        .within(&["--tasks", "16"]),
        cpu_group(),
        // None of these files is larger than the rlimit for one.
        Witness::shell(
            Jail,
            "disk-size",
            "40 MiB where 16 were granted",
            "for i in {1..10}; do head -c 4M /dev/zero > /tmp/$i || exit; done",
        )
        .within(&["--disk", "16M"]),
        Witness::python(
            Jail,
            "inodes",
            "more files than go with 16 MiB",
            "",
            "[os.close(os.open(f'/tmp/{i}', os.O_CREAT | os.O_WRONLY)) for i in range(50_000)]",
        )
        .within(&["--disk", "16M", "--run-time", "30s"]),
        Witness::python(UsersJail, "watching", "256 MiB where 64 were granted", SLOWLY, "slowly()")
            .within(&["--memory", "64M"]),
    ]
    .into_iter()
}

/// Takes 256 MiB over a second, so that whoever watches can see it, and holds them for another.
pub(crate) const SLOWLY: &str = "def slowly():
    held = []
    for _ in range(128):
        held.append(bytearray(b'x') * (2 << 20))
        time.sleep(0.008)
    time.sleep(1)
    return held";

/// The kernel grants Landlock and a filter only to who has promised this first. In a cell that has made its promise, what
/// set-user-id programs could give away is held by the user namespace and the mounts as well.
pub(crate) fn no_new_privileges(cell: Cell) -> Witness {
    let mut witness = Witness::shell(cell, "no-new-privileges", "no cell at all", "false");
    witness.without = Without::Nothing;
    witness
}

pub(crate) fn rlimits(cell: Cell) -> Witness {
    let setup = "most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\nresource.setrlimit(resource.RLIMIT_NOFILE, (most, most))";
    let opening = "[os.open('/dev/null', os.O_RDONLY) for _ in range(1100)]";
    Witness::python(cell, "rlimits", "more than 1024 open files", setup, opening)
}

pub(crate) fn descriptors(cell: Cell) -> Witness {
    let reading = "read -r line <&20 && [ -n \"$line\" ]";
    let mut witness = Witness::shell(cell, "descriptors", "a file that firebox's caller had open", reading);
    witness.around = "bash -c 'exec 20</etc/passwd; exec \"$@\"' bash \"$@\"; exit $?".to_owned();
    witness
}

/// A compiler leaves a process behind, which the program then finds alive.
pub(crate) fn killing_everyone(cell: Cell) -> Witness {
    let mut witness = Witness::program(
        cell,
        "killing-everyone",
        "a process of the build, while the program runs",
        "c",
        "what this compiler makes is itself".to_owned(),
    );
    let toolchain = temp_dir();
    let bin = toolchain.path().join("bin");
    std::fs::create_dir(&bin).expect("a directory of ours");
    let mut build = std::process::Command::new(tool("cc"));
    build.arg("-o").arg(bin.join("gcc")).arg(repository("tests/layers/lingering.c"));
    assert!(build.status().expect("cc").success(), "the compiler of this test does not build");
    let mut path = bin.into_os_string();
    path.push(":/usr/bin:/bin");
    witness.path = Some(path);
    witness.kept.push(Box::new(toolchain));
    witness
}

/// In a namespace of the test's own, so that nothing of it is ever the host's.
fn ipc_namespace() -> Witness {
    let attaching = "ctypes.CDLL(None).shmat(0, None, 0) != -1";
    let mut witness = Witness::python(Jail, "ipc-namespace", "shared memory of the host", "", attaching);
    let around = "ipcmk -M 4096 -p 666 >&2; \"$@\"; exit $?";
    witness.around = format!("unshare --ipc sh -c '{around}' sh \"$@\"; exit $?");
    witness
}

fn network_namespace() -> Witness {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    // Detached: it answers for as long as the tests run.
    std::thread::spawn(move || listener.incoming().flatten().for_each(|mut client| drop(client.write_all(b"hello\n"))));
    let reading = "(exec 3<>/dev/tcp/127.0.0.1/$1 && read -r hello <&3 && [ $hello = hello ])";
    let mut witness = Witness::shell(Jail, "network-namespace", "a listener of the host", reading);
    witness.args = vec![port.into()];
    witness
}

/// The script lets the job's group go before everything else on this host, so that a busy one does not hide that there is
/// no quota.
fn cpu_group() -> Witness {
    let setup = "def cpus():
    before, start = os.times(), time.monotonic()
    for _ in range(2):
        if os.fork() == 0:
            while time.monotonic() < start + 0.5:
                pass
            os._exit(0)
    os.wait(), os.wait()
    now = os.times()
    used = now.children_user + now.children_system - before.children_user - before.children_system
    return used / (time.monotonic() - start)
print('job is there', flush=True)";
    let spinning = "any(cpus() > 1.4 for _ in range(6))";
    let first = "for procs in $(find /sys/fs/cgroup -path '*/firebox-*' -name cgroup.procs); do
                 grep -qx $second $procs || continue
                 group=${procs%/*/*}
                 [ ! -e $group/cpu.shares ] || echo 262144 > $group/cpu.shares
                 [ ! -e $group/cpu.weight ] || echo 10000 > $group/cpu.weight
             done
             wait $engine; cat said";
    let Witness { around, .. } = Witness::looked_at(Jail, "", "", first);
    let witness = Witness::python(Jail, "cpu-group", "two CPUs where one was granted", setup, spinning);
    Witness { around, ..witness.within(&["--vcpus", "1"]).needing(Needs::TwoCpus) }
}

fn uts_namespace() -> Witness {
    let mut witness = Witness::shell(Jail, "uts-namespace", "the host's name", "[ $HOSTNAME = host-of-a-test ]");
    let around = "echo host-of-a-test > /proc/sys/kernel/hostname; \"$@\"; exit $?";
    witness.around = format!("unshare --uts sh -c '{around}' sh \"$@\"; exit $?");
    witness
}

fn overlay() -> Witness {
    let on_host = "os.stat(os.path.realpath(sys.executable)).st_dev in map(int, sys.argv[1:])";
    let mut witness = Witness::python(Jail, "overlay", "inodes of the host, to be locked and watched", "", on_host);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("the tests need /proc");
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let devices = points.filter_map(|point| Some(std::fs::metadata(point).ok()?.dev().to_string().into()));
    witness.args = devices.collect::<std::collections::BTreeSet<OsString>>().into_iter().collect();
    witness
}
