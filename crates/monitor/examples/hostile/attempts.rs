//! What is tried.

use syscalls::Sysno;

use super::sys::{call, children, entries};

type Answers = Vec<(&'static str, String)>;

const HERE: usize = (-100_isize) as usize;
const READ_WRITE: usize = 2;
const MAKE: usize = 0o100 | READ_WRITE;
const UNIX: usize = 1;
const INTERNET: usize = 2;
const NETLINK: usize = 16;
const VSOCK: usize = 40;
const STREAM: usize = 1;
const PAGE: usize = 4096;
const READ_AND_RUN: usize = 1 | 4;
const PRIVATE: usize = 2;
const ANONYMOUS: usize = 0x20;
const NO_DESCRIPTOR: usize = usize::MAX;
const NEW_USER_NAMESPACE: usize = 0x1000_0000;
const NEW_NETWORK: usize = 0x4000_0000;
/// The descriptor of `/dev/kvm`, and commands to it.
const KVM: usize = 4;
const VERSION: usize = 0xAE00;
const CREATE_VM: usize = 0xAE01;
const GET_EMULATED_CPUID: usize = 0xC008_AE09;
const GET_SUPPORTED_MSRS: usize = 0xC004_AE02;
/// The stream's.
const PUSH_A_KEY: usize = 0x5412;

/// `127.0.0.1`, port 1, as the kernel has it.
static LOOPBACK: [u8; 16] = [2, 0, 0, 1, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
static ZEROES: [u64; 64] = [0; 64];

pub(super) fn of_the_first_thread() -> Answers {
    let text = |text: &'static std::ffi::CStr| text.as_ptr().addr();
    let zeroes = ZEROES.as_ptr().addr();
    let socket = |family| call(Sysno::socket, &[family, STREAM]);
    vec![
        ("read a clock", call(Sysno::clock_gettime, &[0, zeroes_to_write()])),
        ("ask KVM for its version", call(Sysno::ioctl, &[KVM, VERSION])),
        ("list the root", entries(c"/")),
        ("make a file", call(Sysno::openat, &[HERE, text(c"/mine"), MAKE, 0o600])),
        ("open /proc", call(Sysno::openat, &[HERE, text(c"/proc/self/status"), 0])),
        ("open KVM by its name", call(Sysno::openat, &[HERE, text(c"/dev/kvm"), READ_WRITE])),
        ("open the parent of the root", entries(c"/../..")),
        ("make a Unix socket", socket(UNIX)),
        ("make a netlink socket", socket(NETLINK)),
        ("make a vsock", socket(VSOCK)),
        ("connect to the loopback", connect(socket(INTERNET))),
        // Before there is a child.
        ("signal everybody", call(Sysno::kill, &[usize::MAX, 0])),
        ("fork", children(Sysno::fork)),
        ("clone in memory", call(Sysno::clone3, &[zeroes, 1])),
        ("run a program", call(Sysno::execve, &[text(c"/program"), zeroes, zeroes])),
        ("trace", call(Sysno::ptrace, &[16, 1])),
        ("read another's memory", call(Sysno::process_vm_readv, &[2, zeroes, 1, zeroes, 1])),
        ("mount", call(Sysno::mount, &[text(c"none"), text(c"/"), text(c"tmpfs"), 0, 0])),
        ("begin a mount", call(Sysno::fsopen, &[text(c"tmpfs"), 0])),
        ("clone a tree", call(Sysno::open_tree, &[HERE, text(c"/"), 1])),
        ("enter a user namespace", call(Sysno::unshare, &[NEW_USER_NAMESPACE])),
        ("enter a network namespace", call(Sysno::unshare, &[NEW_NETWORK])),
        ("change the root", call(Sysno::chroot, &[text(c"/")])),
        ("become root", call(Sysno::setuid, &[0])),
        ("become somebody", call(Sysno::setuid, &[1])),
        ("take all groups off", call(Sysno::setgroups, &[0, 0])),
        ("name the host", call(Sysno::sethostname, &[text(c"mine"), 4])),
        ("load a module", call(Sysno::init_module, &[zeroes, 0, text(c"")])),
        ("load a program into the kernel", call(Sysno::bpf, &[0, zeroes, 64])),
        ("hold page faults", call(Sysno::userfaultfd, &[0])),
        ("make a ring", call(Sysno::io_uring_setup, &[1, zeroes_to_write()])),
        ("watch the processor", call(Sysno::perf_event_open, &[zeroes, 0, usize::MAX, usize::MAX, 0])),
        ("make memory a file", call(Sysno::memfd_create, &[text(c"mine"), 0])),
        ("map memory to run", call(Sysno::mmap, &[0, PAGE, READ_AND_RUN, PRIVATE | ANONYMOUS, NO_DESCRIPTOR, 0])),
        ("push a key", call(Sysno::ioctl, &[3, PUSH_A_KEY, zeroes])),
        ("ask KVM for what it emulates", call(Sysno::ioctl, &[KVM, GET_EMULATED_CPUID, zeroes_to_write()])),
        ("ask KVM for its registers", call(Sysno::ioctl, &[KVM, GET_SUPPORTED_MSRS, zeroes_to_write()])),
    ]
}

/// What the first thread may, and needs to make a machine.
pub(super) fn of_a_thread_that_meets_a_guest() -> Answers {
    vec![
        ("thread: read a clock", call(Sysno::clock_gettime, &[0, zeroes_to_write()])),
        ("thread: make a machine", call(Sysno::ioctl, &[KVM, CREATE_VM, 0])),
        ("thread: make a descriptor", call(Sysno::eventfd2, &[0, 0])),
        ("thread: map a file", call(Sysno::mmap, &[0, PAGE, 1, PRIVATE, 5, 0])),
        ("thread: receive descriptors", call(Sysno::recvmsg, &[3, zeroes_to_write(), 0x40])),
        ("thread: change its filter", call(Sysno::seccomp, &[1, 0, 0])),
        ("thread: make a socket", call(Sysno::socket, &[UNIX, STREAM])),
    ]
}

/// Something that a call may write to.
fn zeroes_to_write() -> usize {
    Box::leak(Box::new([0_u64; 512])).as_ptr().addr()
}

fn connect(socket: String) -> String {
    match socket.strip_prefix("done ").and_then(|number| number.parse().ok()) {
        Some(socket) => call(Sysno::connect, &[socket, LOOPBACK.as_ptr().addr(), LOOPBACK.len()]),
        None => socket,
    }
}
