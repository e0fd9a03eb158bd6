//! Attacks through what a program writes: floods, bytes that are no text, streams that never close. Each does outside
//! what it is meant to do.

mod kit;

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use kit::{Allowance, Attack, Control, Guard, Setting, attacks, bare, leaving_nothing, tool};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What `flood.c` writes to each stream that it is told to flood.
const FLOOD: usize = 200 << 20;

struct Flood {
    name: &'static str,
    args: &'static [&'static str],
    streams: &'static [&'static str],
}

impl Flood {
    /// It is drained, and costs no memory.
    fn check(self) {
        let Flood { name, args, streams } = self;
        let program: Vec<_> = args.iter().map(std::ffi::OsString::from).collect();
        let outside = leaving_nothing(|| bare("flood.c", &program, Control::Bare));
        let written = [("stdout", outside.stdout.len()), ("stderr", outside.stderr.len())];
        let flooded = streams.iter().all(|stream| written.iter().any(|(name, n)| name == stream && FLOOD <= *n));
        assert!(flooded, "not even outside: {written:?}");

        Attack { name, layer: "engine: output", ..Attack::PLAIN }.check_by(|setting| {
            // Far less than the flood, for the whole product.
            let inside = setting.attack("flood.c").args(["--output", "64K", "--memory", "16M"]);
            // Where each instruction may be emulated, bytes take their time.
            let time = if setting == Setting::MicroVm { "3m" } else { "30s" };
            let inside = inside.args(["--timeout", "4m", "--run-time", time]);
            let inside = inside.program_args(args.iter().copied()).memory_mib(setting.enough_mib(160)).outcome();
            assert_eq!(inside.verdict(), ("ok", "run", 0, None), "{inside}");
            for stream in streams {
                let cut = inside.truncated(stream);
                let (dropped, _) = cut.unwrap_or_else(|| panic!("nothing of {stream} was cut\n{inside}"));
                let kept = (FLOOD as u64).checked_sub(dropped).unwrap_or(u64::MAX);
                assert!(kept <= 64 << 10, "{dropped} bytes of {stream} were dropped\n{inside}");
                // Lossy text takes three bytes for each that is none.
                assert!(inside.text(stream).len() <= 3 * (64 << 10), "{inside}");
            }
        });
    }
}

#[test]
fn a_flood_of_lines_is_drained_and_costs_no_memory() {
    Flood { name: "output: 200 MiB of lines", args: &["lines"], streams: &["stdout"] }.check();
}

#[test]
fn a_flood_on_both_streams_at_once_is_drained_and_costs_no_memory() {
    let (name, args) = ("output: 200 MiB on both streams at once", &["lines", "both"]);
    Flood { name, args, streams: &["stdout", "stderr"] }.check();
}

#[test]
fn a_flood_without_an_end_of_line_is_drained_and_costs_no_memory() {
    Flood { name: "output: one line of 200 MiB", args: &["one-line"], streams: &["stdout"] }.check();
}

#[test]
fn a_flood_that_is_no_text_is_drained_and_costs_no_memory() {
    Flood { name: "output: 200 MiB that are no UTF-8, with NULs", args: &["no-text"], streams: &["stdout"] }.check();
}

/// A title, a cleared screen, an answer that a terminal would type, half a character, a NUL.
const RAW: &[u8] = b"\x1b]0;title\x07\x1b[2J\x1b[6n\x9b31m\xe2\x82\x00\r\n{\"status\":\"ok\"}\n";

#[test]
fn terminal_escapes_and_forged_json_stay_in_their_field() {
    let print = "import sys; sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]))";
    let hex: String = RAW.iter().map(|byte| format!("{byte:02x}")).collect();
    Attack { name: "output: terminal escapes and forged JSON", layer: "JSON, base64", ..Attack::PLAIN }.check_by(
        |setting| {
            let inside = setting.job("python", print).program_args([&hex]).outcome();
            assert_eq!(inside.verdict(), ("ok", "run", 0, None), "{inside}");
            let line = inside.call.stdout.strip_suffix(b"\n").expect("one line of JSON");
            let raw = line.iter().any(|byte| byte.is_ascii_control() || !byte.is_ascii() && *byte == 0x9b);
            assert!(!raw, "a control character came through as it was\n{inside}");
            assert_eq!(inside.text("stdout_base64"), base64(RAW), "{inside}");

            // Without `--json` the program's own bytes are what was asked for, and neither more nor less.
            let plain = setting.run().args(["--lang", "python", "--code", print]).program_args([&hex]).run();
            assert_eq!(plain.stdout, RAW, "{plain}");
        },
    );
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// Whether a program that has sent its output pipe over a socket and ended has left that pipe open.
fn stays_open_outside(source: &str) -> bool {
    let guard = Guard::new(Allowance::CONTROL);
    let mut command = guard.command(tool("python3"));
    let mut child = command.arg(attacks(source)).stdout(Stdio::piped()).spawn().expect("python");
    child.wait().expect("a child can be waited for");
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let mut hello = [0; 5];
    stdout.read_exact(&mut hello).expect("it says that it has sent");
    assert_eq!(&hello, b"sent\n");
    let closes_within = |seconds| {
        let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
        poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&timeout)).expect("poll on a pipe") == 1
    };
    let open = !closes_within(0);
    // A socket that is closed, anybody's, has the kernel collect.
    drop(UnixStream::pair().expect("two sockets"));
    assert!(closes_within(5), "the kernel does not collect");
    open
}

#[test]
fn streams_that_are_on_their_way_between_sockets_hold_no_job_up() {
    // More than once, because anybody on this host may close a socket in between.
    let open = leaving_nothing(|| (0..5).any(|_| stays_open_outside("in_flight.py")));
    assert!(open, "not even outside");

    let attack =
        Attack { name: "output held open by sockets in flight", layer: "engine: end of a step", ..Attack::PLAIN };
    attack.check_by(|setting| {
        let inside = setting.attack("in_flight.py").outcome();
        assert_eq!((inside.verdict(), inside.stdout()), (("ok", "run", 0, None), "sent\n"), "{inside}");
        assert!(inside.call.wall < setting.patience(Duration::from_secs(5)), "it was waited for\n{inside}");
    });
}
