//! A tool that was thawed or started ahead is, to the kernel and by its own account, what one is that was started for its job. What
//! differs all the same is listed here, each with its reason.

mod kit;

use std::collections::{BTreeMap, BTreeSet};

use kit::{is_installed, requests};
use serde_json::json;

/// What is read of the process, in `/proc/self`. `maps` is told by kinds only.
const FILES: &str = "autogroup cgroup cmdline comm coredump_filter cpuset environ gid_map limits loginuid maps \
                     mountinfo oom_adj oom_score_adj personality sessionid setgroups stat status timens_offsets timers \
                     timerslack_ns uid_map";

/// Lines of `status` that tell how much there is of something: a tool ahead has more or less of it at any moment.
const AMOUNTS: [&str; 14] = [
    "VmPeak",
    "VmSize",
    "VmHWM",
    "VmRSS",
    "RssAnon",
    "RssFile",
    "RssShmem",
    "VmData",
    "VmStk",
    "VmPTE",
    "VmLib",
    "VmExe",
    "voluntary_ctxt_switches",
    "nonvoluntary_ctxt_switches",
];
/// Fields of `stat` that are no amounts, times or addresses: state, parent, group, session, terminal and its group, flags, priority,
/// nice, threads, the timer of old, the limit of memory, four sets of signals, how its end is told, real-time priority, policy.
const FIELDS: [usize; 19] = [3, 4, 5, 6, 7, 8, 9, 18, 19, 20, 21, 25, 31, 32, 33, 34, 38, 40, 41];

/// What a thawed tool has that a plain one has not, and why it may.
const THAWED: [(&str, &str); 4] = [
    ("stat 9", "its flags say that it has not executed a program since it was forked"),
    ("status FDSize", "its table of descriptors had room for more while it was thawed"),
    ("maps agent", "the code that thawed it is still there"),
    ("maps /memfd:firebox-template (deleted)", "pages of it that it has not changed are shown from its template"),
];
/// The same, for who looks closer.
const THAWED_AND_LOOKS: [(&str, &str); 1] = [("exe", "to change which program a process is takes a capability")];

const PYTHON: &str = "
import ctypes, os, resource, signal, sys
for name in FILES:
    try:
        with open('/proc/self/' + name, 'rb') as file: content = file.read().decode(errors='replace')
    except OSError as error: content = error.strerror
    print(f'== {name}\\n{content}')
libc = ctypes.CDLL(None, use_errno=True)
for option in (3, 7, 21, 23, 27, 30, 39, 42, 47): print(f'== prctl {option}\\n{libc.prctl(option, 1, 0, 0, 0)}')
number = ctypes.c_int(-1)
for option in (2, 25, 37): print(f'== prctl {option}\\n{libc.prctl(option, ctypes.byref(number), 0, 0, 0)} {number.value}')
for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF): print(f'== itimer {which}\\n{signal.getitimer(which)}')
stack = (ctypes.c_ulong * 3)()
libc.sigaltstack(None, stack)
print('== sigaltstack\\n', [*stack])
print('== mask\\n', signal.pthread_sigmask(signal.SIG_BLOCK, []))
print('== handlers\\n', [(n, signal.getsignal(n)) for n in signal.valid_signals()])
print('== who\\n', os.getresuid(), os.getresgid(), os.getgroups(), os.getsid(0), os.getpgrp(), os.getppid())
print('== where\\n', os.getcwd(), os.readlink('/proc/self/root'), os.umask(0o22))
print('== turn\\n', os.sched_getaffinity(0), os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))
print('== limits\\n', [resource.getrlimit(n) for n in range(16)])
print('== namespaces\\n', sorted(os.listdir('/proc/self/ns')))
opened = sorted(int(name) for name in os.listdir('/proc/self/fd'))
for number in opened[:-1]:
    link = os.readlink(f'/proc/self/fd/{number}').split('[')[0]
    about = open(f'/proc/self/fdinfo/{number}').read().split('ino:')[0]
    print(f'== descriptor {number}\\n{link} {about}')
print('== open\\n', opened)
print('== exe\\n', os.readlink('/proc/self/exe'))
auxiliary = open('/proc/self/auxv', 'rb').read()
words = [int.from_bytes(auxiliary[at:at + 8], 'little') for at in range(0, len(auxiliary), 8)]
addresses = {3, 7, 9, 15, 25, 31, 33}
print('== auxiliary\\n', [(kind, 0 if kind in addresses else value) for kind, value in zip(words[::2], words[1::2])])
";

const NODE: &str = "
for (const name of FILES) {
    let content;
    try { content = require('fs').readFileSync('/proc/self/' + name).toString(); } catch (error) { content = error.code; }
    console.log(`== ${name}\\n${content}`);
}
console.log('== where\\n', process.cwd(), process.umask(), process.getuid(), process.getgroups());
console.log('== exe\\n', require('fs').readlinkSync('/proc/self/exe'));
";

const BASH: &str = "
for name in FILES; do
    echo \"== $name\"
    { while IFS= read -r line || [ -n \"$line\" ]; do echo \"$line\"; done < /proc/self/$name; } 2>&1
done
echo '== where'; pwd; umask; echo $UID $EUID; ulimit -a; trap
";

/// What a process says of itself, line by line, under names.
fn told(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for part in text.split("== ").skip(1) {
        let (name, content) = part.split_once('\n').unwrap_or((part, ""));
        let mut say = |name: String, what: &str| {
            told.entry(name).or_default().insert(what.trim_end().to_owned());
        };
        match name {
            "stat" => {
                let fields: Vec<&str> = content.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
                FIELDS.iter().for_each(|field| say(format!("stat {field}"), fields[field - 3]));
            }
            "status" => {
                let lines = content.lines().filter_map(|line| line.split_once(':'));
                let kept = lines.filter(|(name, _)| !AMOUNTS.contains(name));
                kept.for_each(|(name, value)| say(format!("status {name}"), value));
            }
            "maps" => {
                for line in content.lines() {
                    let mut words = line.split_whitespace();
                    let permissions = words.nth(1).unwrap_or_default();
                    if permissions.contains('w') && permissions.contains('x') {
                        say("code that can be written".to_owned(), "");
                    }
                    let shows = words.skip(3).collect::<Vec<_>>().join(" ");
                    let shows = shows.trim_start_matches('/').strip_prefix("agent").map_or(shows.as_str(), |_| "agent");
                    // How a range is cut into parts says nothing.
                    if !shows.is_empty() && !shows.starts_with("[anon") {
                        say(format!("maps {shows}"), "");
                    }
                }
            }
            // Each cell's groups have a number, and so has each session.
            "autogroup" | "cgroup" => say(name.to_owned(), &content.replace(|c: char| c.is_ascii_digit(), "")),
            _ => say(name.to_owned(), content),
        }
    }
    told
}

/// Differs where the kernel holds a job to its limits.
const WHERE_ENFORCED: &str = "status TracerPid";

/// Compares, by what it says, a process in a cell that waited with one in a cell that was made for it.
fn assert_same_but(language: &'static str, code: &str, differ: &[(&str, &str)]) {
    let said = |warm: usize| {
        let answers =
            requests(&[language]).keeping_warm(warm).ask("", json!({"lang": language, "code": code})).answered();
        assert_eq!(answers[0].status(), "ok", "{answers:?}");
        (told(answers[0].stdout()), answers[0].is_enforced())
    };
    let ((plain, _), (ahead, is_enforced)) = (said(0), said(1));
    assert!(20 < plain.len(), "it says something: {plain:?}");
    let names: BTreeSet<&String> = plain.keys().chain(ahead.keys()).collect();
    let differing: BTreeSet<&str> =
        names.into_iter().filter(|name| plain.get(*name) != ahead.get(*name)).map(String::as_str).collect();
    let listed = differ.iter().map(|(name, _why)| *name).filter(|name| is_enforced || *name != WHERE_ENFORCED);
    let listed: BTreeSet<&str> = listed.collect();
    let unlisted = differing.difference(&listed).map(|name| (*name, plain.get(*name), ahead.get(*name)));
    let unlisted: Vec<_> = unlisted.collect();
    assert!(unlisted.is_empty(), "{language}: plain and ahead: {unlisted:#?}");
    // Where something is listed, it tells that the cell held a tool as well.
    assert_eq!(differing, listed, "{language}: what is listed no longer differs");
}

fn listed(code: &str, before: &str, between: &str, after: &str) -> String {
    let quoted = FILES.split_whitespace().collect::<Vec<_>>().join(between);
    code.replace("FILES", &format!("{before}{quoted}{after}"))
}

#[test]
fn an_interpreter_that_was_thawed_is_one_that_was_started() {
    let differ: Vec<_> = THAWED.into_iter().chain(THAWED_AND_LOOKS).collect();
    assert_same_but("python", &listed(PYTHON, "['", "', '", "']"), &differ);
}

#[test]
fn a_compiler_that_was_thawed_is_one_that_was_started() {
    // What a compiler is can be asked for in the code that it compiles; one file answers only the thread that it is about.
    let files = FILES.split_whitespace().filter(|name| *name != "timerslack_ns");
    let printed: String = files
        .map(|name| {
            format!("print!(\"== {name}\\n{{}}\\n\", String::from_utf8_lossy(include_bytes!(\"/proc/self/{name}\")));")
        })
        .collect();
    let watched = (WHERE_ENFORCED, "the agent waits for its exit");
    let differ: Vec<_> = THAWED.into_iter().chain([watched]).collect();
    assert_same_but("rust", &format!("fn main() {{ {printed} }}"), &differ);
}

#[test]
fn interpreters_that_were_started_ahead_are_as_if_started_late() {
    assert_same_but("bash", &listed(BASH, "", " ", ""), &[]);
    if is_installed("javascript") {
        assert_same_but("javascript", &listed(NODE, "['", "', '", "']"), &[]);
    }
}
