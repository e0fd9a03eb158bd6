//! What the compiled filter answers, by running it as the kernel would.

use std::collections::BTreeMap;

use super::{Filter, Instruction};
use policy::{Architecture, Condition, Policy, Values};
use reading::refusal;

#[path = "../../build/policy.rs"]
mod policy;
#[path = "../../build/reading.rs"]
mod reading;

const JOB: &str = include_str!("../../seccomp/job.toml");
const FENCE: &str = include_str!("../../seccomp/fence.toml");
const AGENT: &str = include_str!("../../seccomp/agent.toml");
const MONITOR: &str = include_str!("../../seccomp/monitor.toml");
const FREEZING: &str = include_str!("../../seccomp/freezing.toml");
const CLONES: &str = include_str!("../../seccomp/clones.toml");
/// That of a machine that boots and runs, and those of machines that are frozen, or go on.
const MONITORS: [Filter; 3] = [Filter::MONITOR, Filter::FREEZING_MONITOR, Filter::CLONES_MONITOR];
const MACHINE: &str = include_str!("../../seccomp/machine.toml");
const I386: u32 = 0x4000_0003;
const EPERM: Verdict = Verdict::Errno(1);
const EINVAL: Verdict = Verdict::Errno(22);
const ENOTTY: Verdict = Verdict::Errno(25);
const ENOSYS: Verdict = Verdict::Errno(38);
const ENOPROTOOPT: Verdict = Verdict::Errno(92);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Allow,
    Errno(u32),
    Kill,
}

/// A system call as the kernel shows it to a filter.
#[derive(Clone, Copy, Debug)]
struct Call {
    architecture: u32,
    number: u32,
    arguments: [u64; 6],
}

fn here() -> Architecture {
    Architecture::named(std::env::consts::ARCH).unwrap()
}

/// The part of `struct seccomp_data` at an offset.
fn word(call: &Call, offset: u32) -> u32 {
    match offset {
        0 => call.number,
        4 => call.architecture,
        8 | 12 => panic!("the filter looks at the instruction pointer"),
        _ => {
            let argument = call.arguments[(offset as usize - 16) / 8];
            if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
        }
    }
}

fn run(filter: Filter, call: &Call) -> Verdict {
    let (mut accumulator, mut at) = (0, 0);
    loop {
        let Instruction { code, if_true, if_false, operand } = filter.0[at];
        let branch = |holds| usize::from(if holds { if_true } else { if_false });
        at += 1;
        match code {
            0x20 => accumulator = word(call, operand),
            0x54 => accumulator &= operand,
            0x05 => at += operand as usize,
            0x15 => at += branch(accumulator == operand),
            0x35 => at += branch(accumulator >= operand),
            0x06 => {
                return match operand {
                    0x7fff_0000 => Verdict::Allow,
                    0x8000_0000 => Verdict::Kill,
                    errno => Verdict::Errno(errno ^ 0x0005_0000),
                };
            }
            _ => panic!("the filter has an instruction {code:#x}"),
        }
    }
}

fn check(call: &str, arguments: &[u64], expected: Verdict) {
    check_in(Filter::JOB, call, arguments, expected);
}

fn check_in(filter: Filter, call: &str, arguments: &[u64], expected: Verdict) {
    let number = here().number(call).unwrap_or_else(|| panic!("no call {call}"));
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let got = run(filter, &Call { architecture: here().audit(), number, arguments: all });
    assert_eq!(got, expected, "{call} {arguments:#x?}");
}

#[test]
fn ordinary_calls_are_allowed() {
    for call in ["read", "openat", "mmap", "execve", "futex", "wait4", "exit_group", "rt_sigreturn", "restart_syscall"]
    {
        check(call, &[], Verdict::Allow);
        check(call, &[u64::MAX; 6], Verdict::Allow);
    }
}

#[test]
fn privileged_calls_are_refused() {
    for call in
        ["mount", "unshare", "setns", "bpf", "ptrace", "keyctl", "pivot_root", "init_module", "kexec_load", "sync"]
    {
        check(call, &[], EPERM);
    }
}

#[test]
fn what_libraries_probe_is_absent() {
    for call in ["clone3", "io_uring_setup", "splice", "seccomp", "landlock_create_ruleset", "cachestat"] {
        check(call, &[], ENOSYS);
    }
}

#[test]
fn clone_makes_threads_and_processes_but_no_namespaces() {
    // What glibc passes for a thread and for a fork.
    check("clone", &[0x003d_0f00], Verdict::Allow);
    check("clone", &[0x0120_0011], Verdict::Allow);
    for namespace in [0x2_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] {
        check("clone", &[namespace | 17], EPERM);
        check("clone", &[namespace | 17 | 0xffff_ffff_0000_0000], EPERM);
    }
}

#[test]
fn sockets_are_unix_tcp_and_udp() {
    check("socket", &[1, 1, 0], Verdict::Allow);
    check("socket", &[1, 0x80000 | 5, 0], Verdict::Allow);
    check("socket", &[2, 1, 6], Verdict::Allow);
    check("socket", &[10, 0x80800 | 2, 17], Verdict::Allow);
    // Netlink, packet, alg, vsock, xdp, and no family at all.
    for family in [16, 17, 38, 40, 44, 0, 0xffff_ffff] {
        check("socket", &[family, 1, 0], EPERM);
        check("socketpair", &[family, 1, 0], EPERM);
    }
    // SOCK_RAW, SOCK_PACKET; SCTP by type and by protocol; SMC, MPTCP, ICMP.
    for (kind, protocol) in [(3, 0), (10, 0), (5, 0), (1, 132), (1, 256), (1, 262), (2, 1)] {
        check("socket", &[2, kind, protocol], EPERM);
        check("socket", &[10, kind | 0x80000, protocol], EPERM);
    }
    check("socketpair", &[1, 1, 0], Verdict::Allow);
    check("socketpair", &[2, 1, 0], EPERM);
    // The upper half, which the kernel ignores, changes nothing.
    check("socket", &[0x1_0000_0010, 1, 0], EPERM);
}

#[test]
fn socket_options_are_the_ordinary_ones() {
    check("setsockopt", &[3, 1, 2], Verdict::Allow);
    check("setsockopt", &[3, 6, 1], Verdict::Allow);
    check("setsockopt", &[3, 41, 26], Verdict::Allow);
    // SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_ZEROCOPY; TCP_ULP, TCP_REPAIR; IPT_SO_SET_REPLACE; IPV6_FLOWLABEL_MGR; SOL_TLS.
    for (level, option) in [(1, 26), (1, 50), (1, 60), (6, 31), (6, 19), (0, 64), (41, 32), (282, 1)] {
        check("setsockopt", &[3, level, option], ENOPROTOOPT);
    }
}

#[test]
fn ioctl_does_not_reach_the_terminal_driver() {
    // TCGETS, TIOCGWINSZ, FIONBIO.
    for command in [0x5401, 0x5413, 0x5421] {
        check("ioctl", &[0, command], Verdict::Allow);
    }
    // TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD; the kernel reads 32 bits, so the upper ones must not help.
    for command in [0x5412, 0x541c, 0x541d, 0x5423] {
        check("ioctl", &[0, command], ENOTTY);
        check("ioctl", &[0, command | 0x1_0000_0000], ENOTTY);
        check("ioctl", &[0, command | 0xffff_ffff_0000_0000], ENOTTY);
    }
}

#[test]
fn no_lease_is_to_be_had() {
    // F_SETFL, F_DUPFD_CLOEXEC; F_SETLEASE.
    for command in [4, 1030] {
        check("fcntl", &[3, command], Verdict::Allow);
    }
    for command in [1024, 0xffff_ffff_0000_0400] {
        check("fcntl", &[3, command], EPERM);
    }
}

#[test]
fn limits_are_lowered_for_oneself_and_the_core_limit_stays() {
    let pointer = 0x7fff_0000_1000;
    check("prlimit64", &[0, 7, pointer, 0], Verdict::Allow);
    check("prlimit64", &[0, 4, 0, pointer], Verdict::Allow);
    check("prlimit64", &[0, 4, pointer, 0], EPERM);
    // A pointer whose lower half is zero is a pointer nevertheless.
    check("prlimit64", &[0, 4, 0x1_0000_0000, 0], EPERM);
    check("prlimit64", &[1, 7, pointer, 0], EPERM);
    check("prlimit64", &[1, 7, 0, pointer], EPERM);
    check("setrlimit", &[4, pointer], EPERM);
    check("setrlimit", &[7, pointer], Verdict::Allow);
}

#[test]
fn other_conditions_hold() {
    // PR_SET_NAME, PR_SET_VMA; PR_SET_SECCOMP, PR_SET_MM, PR_SET_PTRACER.
    check("prctl", &[15], Verdict::Allow);
    check("prctl", &[0x5356_4d41], Verdict::Allow);
    for option in [22, 35, 0x5961_6d61] {
        check("prctl", &[option], EINVAL);
    }
    // The query, PER_LINUX; ADDR_NO_RANDOMIZE.
    check("personality", &[0xffff_ffff], Verdict::Allow);
    check("personality", &[0], Verdict::Allow);
    check("personality", &[0x0004_0000], EPERM);
    // A fifo, a file; a character device, a block device.
    for (mode, expected) in
        [(0o010_644, Verdict::Allow), (0o644, Verdict::Allow), (0o020_644, EPERM), (0o060_644, EPERM)]
    {
        check("mknodat", &[0, 0, mode], expected);
    }
    // POSIX_FADV_SEQUENTIAL, POSIX_FADV_DONTNEED.
    check("fadvise64", &[0, 0, 0, 2], Verdict::Allow);
    check("fadvise64", &[0, 0, 0, 4], EPERM);
}

#[test]
fn a_call_of_another_architecture_kills() {
    for architecture in [I386, 0, 0xc000_0000] {
        for number in [0, 1, 4, 20, 102, 400] {
            assert_eq!(run(Filter::JOB, &Call { architecture, number, arguments: [0; 6] }), Verdict::Kill);
        }
    }
}

#[test]
fn x32_and_unknown_numbers_are_absent() {
    for number in (0x4000_0000..0x4000_0400).chain([470, 512, 547, 0x7fff_ffff, 0x8000_0000, u32::MAX]) {
        assert_eq!(
            run(Filter::JOB, &Call { architecture: here().audit(), number, arguments: [0; 6] }),
            ENOSYS,
            "{number:#x}"
        );
    }
}

/// The compiled program against a plain reading of the policy, over every number and the arguments that matter to it.
#[test]
fn the_filter_says_what_the_policy_says() {
    let job = Policy::parse(JOB).unwrap().answers(here());
    let mut fence = job.clone();
    fence.extend(Policy::parse(FENCE).unwrap().answers(here()));
    let [monitor, machine, freezing, clones] =
        [MONITOR, MACHINE, FREEZING, CLONES].map(|policy| Policy::parse(policy).unwrap().answers(here()));
    let and = |more: &BTreeMap<u32, policy::Answer>| {
        let mut both = monitor.clone();
        for (number, answer) in more {
            both.entry(*number).and_modify(|known| *known = known.or(answer)).or_insert_with(|| answer.clone());
        }
        both
    };
    for (filter, answers) in [
        (Filter::JOB, job),
        (Filter::FENCE, fence),
        (Filter::FREEZING_MONITOR, and(&freezing)),
        (Filter::CLONES_MONITOR, and(&clones)),
        (Filter::MONITOR, monitor.clone()),
        (Filter::MACHINE, machine),
    ] {
        for number in 0..1024 {
            for arguments in telling_arguments(&answers, number) {
                let got = run(filter, &Call { architecture: here().audit(), number, arguments });
                let refusal = refusal(&answers, number, &arguments);
                let expected = refusal.map_or(Verdict::Allow, |refusal| Verdict::Errno(refusal.errno()));
                assert_eq!(got, expected, "{number} {arguments:#x?}");
            }
        }
    }
}

#[test]
fn a_fence_closes_what_landlock_does_not_look_at() {
    let refused = |call, arguments: &[u64]| check_in(Filter::FENCE, call, arguments, EPERM);
    let allowed = |call, arguments: &[u64]| check_in(Filter::FENCE, call, arguments, Verdict::Allow);
    for call in
        ["socket", "connect", "bind", "chmod", "lchown", "setsid", "shmget", "inotify_add_watch", "memfd_create"]
    {
        refused(call, &[1, 1]);
    }
    const DATAGRAM: u64 = 2;
    refused("socketpair", &[1, DATAGRAM]);
    allowed("socketpair", &[1, 1]);
    refused("fchmod", &[3, 0o755]);
    let pointer = 0x7fff_0000_0000;
    refused("utimensat", &[3, pointer, 0]);
    refused("utimensat", &[3, 0, pointer]);
    allowed("utimensat", &[3, 0, 0]);
    // F_SETOWN, F_SETOWN_EX, F_SETLEASE, F_NOTIFY; F_SETFL, F_DUPFD_CLOEXEC.
    for command in [8, 15, 1024, 1026, 0xffff_ffff_0000_0008] {
        refused("fcntl", &[3, command]);
    }
    for command in [4, 1030] {
        allowed("fcntl", &[3, command]);
    }
    refused("setpriority", &[0, 4711]);
    allowed("setpriority", &[0, 0]);
    // Everything else is as in a jail.
    refused("mount", &[]);
    allowed("openat", &[]);
}

/// As `mmap` and `mprotect` have it.
const PROT_READ: u64 = 1;
const PROT_EXEC: u64 = 4;
const MAP_PRIVATE: u64 = 2;
const MAP_ANONYMOUS: u64 = 0x20;

#[test]
fn a_monitor_opens_starts_and_runs_nothing() {
    for call in [
        "open",
        "openat",
        "openat2",
        "creat",
        "socket",
        "socketpair",
        "connect",
        "bind",
        "accept4",
        "execve",
        "execveat",
        "fork",
        "vfork",
        "clone3",
        "ptrace",
        "process_vm_readv",
        "pidfd_getfd",
        "mount",
        "unshare",
        "setns",
        "chroot",
        "memfd_create",
        "unlink",
        "kill",
        "setuid",
        "io_uring_setup",
        "bpf",
        "userfaultfd",
        "prlimit64",
        "sendmsg",
    ] {
        MONITORS.into_iter().chain([Filter::MACHINE]).for_each(|filter| check_in(filter, call, &[], ENOSYS));
    }
    // A thread, a process, a thread in namespaces of its own.
    for (flags, expected) in [(0x003d_0f00, Verdict::Allow), (17, EPERM), (0x103d_0f00, EPERM)] {
        MONITORS.into_iter().for_each(|filter| check_in(filter, "clone", &[flags], expected));
        check_in(Filter::MACHINE, "clone", &[flags], ENOSYS);
    }
    for filter in MONITORS.into_iter().chain([Filter::MACHINE]) {
        check_in(filter, "mmap", &[0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS], Verdict::Allow);
        check_in(filter, "mmap", &[0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS], EPERM);
        check_in(filter, "mprotect", &[0, 4096, PROT_READ | PROT_EXEC], EPERM);
    }
    check_in(Filter::MACHINE, "mmap", &[0, 4096, PROT_READ, MAP_PRIVATE], EPERM);
}

#[test]
fn what_either_of_two_policies_lets_through_their_sum_does() {
    use policy::{Answer, Refusal, Word};
    let is = |value| vec![vec![Condition { arg: 1, word: Word::Low, mask: u32::MAX, values: Values::Is(vec![value]) }]];
    let when = |value, otherwise| Answer::When { alternatives: is(value), otherwise };
    let refused = || Answer::Refuse(Refusal::Enosys);
    for (one, other, both) in [
        (Answer::Allow, refused(), Answer::Allow),
        (refused(), Answer::Allow, Answer::Allow),
        (when(1, Refusal::Enotty), Answer::Allow, Answer::Allow),
        (refused(), when(1, Refusal::Enotty), when(1, Refusal::Enotty)),
        (when(1, Refusal::Enotty), refused(), when(1, Refusal::Enotty)),
        (
            when(1, Refusal::Enotty),
            when(2, Refusal::Eperm),
            Answer::When { alternatives: [is(1), is(2)].concat(), otherwise: Refusal::Enotty },
        ),
    ] {
        assert_eq!(one.or(&other), both);
    }
}

#[test]
fn only_a_monitor_that_freezes_writes_files_and_reads_a_machine_and_only_a_clones_sets_one() {
    const GET_XSAVE: u64 = 0x9000_aea4;
    const SET_XSAVE: u64 = 0x5000_aea5;
    let (allow, refused) = (Verdict::Allow, Verdict::Errno(policy::Refusal::Enotty.errno()));
    for (filter, writes, gets, sets) in [
        (Filter::MONITOR, ENOSYS, refused, refused),
        (Filter::FREEZING_MONITOR, allow, allow, refused),
        (Filter::CLONES_MONITOR, ENOSYS, refused, allow),
        (Filter::MACHINE, ENOSYS, refused, refused),
    ] {
        for call in ["pwrite64", "ftruncate"] {
            check_in(filter, call, &[], writes);
        }
        check_in(filter, "ioctl", &[5, GET_XSAVE], gets);
        check_in(filter, "ioctl", &[5, SET_XSAVE], sets);
    }
}

#[test]
fn a_thread_that_meets_a_guest_may_ask_nothing_that_its_monitor_may_not() {
    let [monitor, machine] = [MONITOR, MACHINE].map(|policy| Policy::parse(policy).unwrap().answers(here()));
    let mut less = 0;
    for number in (0..1024).chain([0x4000_0000, u32::MAX]) {
        for arguments in [&monitor, &machine].into_iter().flat_map(|answers| telling_arguments(answers, number)) {
            let call = Call { architecture: here().audit(), number, arguments };
            let part = run(Filter::MACHINE, &call);
            for whole in MONITORS.map(|filter| run(filter, &call)) {
                assert!(part != Verdict::Allow || whole == Verdict::Allow, "{number} {arguments:#x?}");
                less += usize::from(part != whole);
            }
        }
    }
    assert!(0 < less, "it may ask all of it");
}

/// The kernel asks all filters and takes the strictest answer; of two refusals, that of the filter put on last.
fn run_both(first: Filter, last: Filter, call: &Call) -> Verdict {
    match (run(first, call), run(last, call)) {
        (Verdict::Kill, _) | (_, Verdict::Kill) => Verdict::Kill,
        (first, Verdict::Allow) => first,
        (_, last) => last,
    }
}

#[test]
fn a_step_takes_off_all_that_an_agent_has_beyond_a_job() {
    let job = Policy::parse(JOB).unwrap().answers(here());
    let beyond = Policy::parse(AGENT).unwrap().answers(here());
    let mut more = 0;
    for (whole, agent) in [(Filter::JOB, Filter::AGENT), (Filter::FENCE, Filter::FENCE_AGENT)] {
        for number in (0..1024).chain([0x4000_0000, u32::MAX]) {
            let arguments = [&job, &beyond].into_iter().flat_map(|answers| telling_arguments(answers, number));
            for arguments in arguments {
                let call = Call { architecture: here().audit(), number, arguments };
                assert_eq!(run_both(agent, Filter::STEP, &call), run(whole, &call), "{number} {arguments:#x?}");
                more += usize::from(run(agent, &call) != run(whole, &call));
            }
        }
    }
    assert!(0 < more, "an agent has nothing beyond a job");
}

/// Every combination of the values that a call's conditions name for its arguments, and of some that they do not.
fn telling_arguments(answers: &BTreeMap<u32, policy::Answer>, number: u32) -> Vec<[u64; 6]> {
    let mut all = vec![[0; 6], [u64::MAX; 6]];
    let Some(policy::Answer::When { alternatives, .. }) = answers.get(&number) else { return all };
    let mut interesting: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for Condition { arg, values: Values::Is(values) | Values::IsNot(values), .. } in alternatives.iter().flatten() {
        let values = values.iter().map(|&value| u64::from(value));
        let entry = interesting.entry(*arg as usize).or_insert_with(|| vec![0, 3, 0x1_0000_0000, u64::MAX]);
        entry.extend(values.flat_map(|value| [value, value + 1, value | 0xdead_0000_0000, value ^ 0x0800_0000]));
    }
    for (arg, values) in interesting {
        let before = std::mem::take(&mut all);
        for arguments in before {
            all.extend(values.iter().map(|&value| {
                let mut arguments = arguments;
                arguments[arg] = value;
                arguments
            }));
        }
    }
    all
}

#[test]
fn a_policy_that_cannot_be_meant_is_refused() {
    let group = |reason: &str, calls: &str| format!("[[allow]]\nreason = {reason:?}\ncalls = {calls}\n");
    let conditional = |allow: &str| {
        format!("[[conditional]]\ncall = \"ioctl\"\nreason = \"r\"\notherwise = \"EPERM\"\nallow = {allow}\n")
    };
    for (text, expected) in [
        (group(" ", "[\"read\"]"), "no reason"),
        (group("r", "[\"raed\"]"), "no architecture"),
        (group("r", "[\"read\", \"read\"]"), "named twice"),
        (group("r", "[\"ioctl\"]") + &conditional("[[{ arg = 0, is = [1] }]]"), "named twice"),
        (group("r", "[\"read\"]") + "[[refuse]]\nreason = \"r\"\ncalls = [\"read\"]\n", "named twice"),
        ("[[allow]]\ncalls = [\"read\"]\n".to_owned(), "missing field `reason`"),
        (conditional("[]"), "no condition"),
        (conditional("[[]]"), "no condition"),
        (conditional("[[{ arg = 6, is = [1] }]]"), "no argument 6"),
        (conditional("[[{ arg = 0, mask = 0xf, is = [16] }]]"), "the mask removes"),
        (conditional("[[{ arg = 0 }]]"), "either `is` or `is_not`"),
        (conditional("[[{ arg = 0, si = [1] }]]"), "unknown field"),
    ] {
        let error = Policy::parse(&text).expect_err(&text).to_string();
        assert!(error.contains(expected), "{error:?} for\n{text}");
    }
}
