//! Nothing that a job starts or makes in a fence outlives it: no process by any trick, and no file of any mode.

mod kit;

use std::time::Duration;

use kit::{Fenced, HostInventory};

/// A Python program that makes something to leave behind, in every way that jobs have to hide.
const TRICKS: [(&str, &str); 11] = [
    ("a double fork", "if os.fork() == 0:\n  if os.fork() == 0: time.sleep(1000)\n  os._exit(0)\nos.wait()"),
    (
        "a stopped process",
        "child = os.fork()\nif child == 0: os.kill(os.getpid(), signal.SIGSTOP)\nos.waitpid(child, os.WUNTRACED)",
    ),
    (
        "a process that ignores signals",
        "ready, done = os.pipe()\nif os.fork() == 0:\n  for number in signal.valid_signals() - {9, 19}: signal.signal(number, signal.SIG_IGN)\n  os.write(done, b'x'); time.sleep(1000)\nos.read(ready, 1)",
    ),
    (
        "processes that keep forking",
        "for _ in range(4):\n  if os.fork() == 0:\n    while True:\n      if os.fork(): os._exit(0)",
    ),
    (
        "a subreaper of its own",
        "libc.prctl(36, 1)\nif os.fork() == 0:\n  libc.prctl(36, 1)\n  if os.fork() == 0:\n    if os.fork() == 0: time.sleep(1000)\n    os._exit(0)\n  time.sleep(1000)",
    ),
    ("a sibling", "CLONE_PARENT = 0x8000\nif libc.syscall(56, CLONE_PARENT | 17, 0, 0, 0, 0) == 0: time.sleep(1000)"),
    (
        "siblings that keep making siblings",
        "CLONE_PARENT = 0x8000\nif libc.syscall(56, CLONE_PARENT | 17, 0, 0, 0, 0) == 0:\n  while True:\n    if libc.syscall(56, CLONE_PARENT | 17, 0, 0, 0, 0) != 0: os._exit(0)",
    ),
    (
        "a child with no signal for its end",
        "if libc.syscall(56, 0, 0, 0, 0, 0) == 0:\n  if libc.syscall(56, 0, 0, 0, 0, 0) == 0: time.sleep(1000)\n  os._exit(0)",
    ),
    (
        "a process without its first thread",
        "import threading\nif os.fork() == 0:\n  threading.Thread(target=time.sleep, args=(1000,)).start(); libc.syscall(60, 0)",
    ),
    (
        "other process groups",
        "for _ in range(3):\n  if os.fork() == 0: os.setpgid(0, 0) if os.getpid() % 2 else os.setpgid(0, os.getsid(0)); time.sleep(1000)",
    ),
    (
        "a process that cannot be dumped and hears of nothing",
        "if os.fork() == 0: libc.prctl(4, 0); libc.prctl(1, 0); os.closerange(0, 100); time.sleep(1000)",
    ),
];

#[test]
fn whatever_a_job_starts_is_gone_with_it() {
    if !kit::is_root("whatever_a_job_starts_is_gone_with_it") {
        return;
    }
    let host = HostInventory::take();
    for fenced in [Fenced::by_a_user(), Fenced::by_root()] {
        for (what, code) in TRICKS {
            let code = |end: &str| {
                format!(
                    "import ctypes, os, signal, sys, time\nlibc = ctypes.CDLL(None)\n{code}\n\
                     print('made', flush=True)\n{end}"
                )
            };
            let outcome = fenced.run("python", &code(""), &["--tasks", "40"]);
            // Copies of the program may say it as well.
            assert!(outcome.stdout().starts_with("made\n"), "{what}\n{outcome}");
            assert!(outcome.call.wall < Duration::from_secs(8), "{what} was waited for\n{outcome}");
            let outcome = fenced.run("python", &code("time.sleep(100)"), &["--tasks", "40", "--run-time", "1s"]);
            assert!(outcome.stdout().starts_with("made\n") && outcome.verdict().2 != 0, "{what}\n{outcome}");
            assert!(outcome.call.wall < Duration::from_secs(8), "{what} outlives the timeout\n{outcome}");
        }
    }
    host.assert_nothing_left();
}

#[test]
fn whatever_files_a_job_makes_are_gone_with_it() {
    if !kit::is_root("whatever_files_a_job_makes_are_gone_with_it") {
        return;
    }
    let host = HostInventory::take();
    let code = "
import os
for mode in (0, 0o100, 0o200, 0o300, 0o400, 0o500): os.mkdir(f'closed-{mode:o}', mode)
os.umask(0o777)
os.close(os.open('unreadable', os.O_CREAT | os.O_WRONLY))
os.close(os.open('closed-300/inside', os.O_CREAT | os.O_WRONLY))
os.umask(0)
os.mkdir('closed-300/below', 0o300)
os.close(os.open('closed-300/below/inside', os.O_CREAT | os.O_WRONLY))
os.mkfifo('fifo'); os.symlink('/', 'link'); os.link('unreadable', 'linked')
os.mkdir('x' * 255)
for _ in range(3000): os.mkdir('d'); os.chdir('d')
print('made')
";
    for fenced in [Fenced::by_a_user(), Fenced::by_root()] {
        let outcome = fenced.run("python", code, &[]);
        assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "made\n"), "{outcome}");
    }
    host.assert_nothing_left();
}
