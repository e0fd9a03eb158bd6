//! Attacks on the compilers themselves: code that keeps them busy for ever, fills memory or disk, floods, or breaks them.
//! Each does so outside, within what a control is granted.

mod kit;

use std::ffi::OsString;
use std::time::{Duration, Instant};

use kit::Expectation::{Held, HeldBy};
use kit::{
    Allowance, Attack, Expectation, Finished, Guard, Running, Setting, compiler, leaving_nothing, skip, temp_dir,
};

/// What becomes of a compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It would go on for ever.
    Timeout,
    /// It would go on for ever, or take more memory than building is granted, whichever comes first.
    TimeoutOrMemory,
    /// It breaks down.
    Crash,
    /// It writes more than building is granted.
    Disk,
    /// It complains at length.
    Flood,
}

struct Bomb {
    name: &'static str,
    language: &'static str,
    code: fn() -> String,
    end: End,
}

#[rustfmt::skip]
const BOMBS: [Bomb; 23] = [
    Bomb { name: "Rust: endless const evaluation", language: "rust", end: End::Timeout, code: || {
        "#![allow(long_running_const_eval)]\nconst F: () = { loop {} };\nfn main() { F }".into()
    } },
    Bomb { name: "Rust: const blocks in each other", language: "rust", end: End::Crash, code: || {
        format!("fn main() {{ {}1{}; }}", "const { ".repeat(20_000), " }".repeat(20_000))
    } },
    Bomb { name: "Rust: polymorphic recursion", language: "rust", end: End::TimeoutOrMemory, code: || {
        "fn g<T: Clone>(x: T, n: u32) { if n > 0 { g((x.clone(), x), n - 1) } }\nfn main() { g(0u8, 64) }".into()
    } },
    Bomb { name: "Rust: a type that doubles", language: "rust", end: End::TimeoutOrMemory, code: || {
        let types: String = (1..=20).map(|i| format!("type T{i} = (T{0}, T{0}, T{0}, T{0});\n", i - 1)).collect();
        format!("type T0 = u8;\n{types}fn main() {{ println!(\"{{}}\", std::any::type_name::<T20>().len()) }}")
    } },
    Bomb { name: "Rust: a macro that doubles", language: "rust", end: End::TimeoutOrMemory, code: || {
        "#![recursion_limit = \"100000000\"]\nmacro_rules! m { ($($t:tt)*) => { m!($($t)* $($t)*) } }\nfn main() { m!(x x) }".into()
    } },
    Bomb { name: "Rust: include_bytes! of an endless device", language: "rust", end: End::TimeoutOrMemory, code: || {
        "static A: &[u8] = include_bytes!(\"/dev/zero\");\nfn main() { println!(\"{}\", A.len()) }".into()
    } },
    Bomb { name: "Rust: a static of 400 MB", language: "rust", end: End::Disk, code: || {
        "static A: [u8; 400_000_000] = [1; 400_000_000];\nfn main() { println!(\"{}\", A[std::env::args().count()]) }".into()
    } },
    Bomb { name: "Rust: a hundred thousand errors", language: "rust", end: End::Flood, code: || {
        format!("fn main() {{ {} }}", "let _: u8 = \"text\";\n".repeat(100_000))
    } },
    Bomb { name: "Rust: an array of 1000^4 in const", language: "rust", end: End::Flood, code: || {
        "const A: [[[[u8; 1000]; 1000]; 1000]; 1000] = [[[[1; 1000]; 1000]; 1000]; 1000];\nfn main() { println!(\"{}\", A[0][0][0][0]) }".into()
    } },
    Bomb { name: "Rust: 200,000 parentheses", language: "rust", end: End::Crash, code: || {
        format!("fn main() {{ let _ = {}1{}; }}", "(".repeat(200_000), ")".repeat(200_000))
    } },
    Bomb { name: "Rust: 300,000 minus signs", language: "rust", end: End::Crash, code: || {
        format!("fn main() {{ let _ = {}1; }}", "- ".repeat(300_000))
    } },
    Bomb { name: "Rust: endless trait resolution", language: "rust", end: End::TimeoutOrMemory, code: || {
        "#![recursion_limit = \"100000000\"]\ntrait T {}\nstruct W<A>(A);\nimpl<A> T for W<A> where W<W<A>>: T {}\nfn f<A: T>() {}\nfn main() { f::<W<u8>>() }".into()
    } },
    Bomb { name: "C: #include of an endless device", language: "c", end: End::TimeoutOrMemory, code: || "#include \"/dev/zero\"\nint main(void) {}".into() },
    Bomb { name: "C: a file that includes itself", language: "c", end: End::Flood, code: || "#include __FILE__\nint main(void) {}".into() },
    Bomb { name: "C: a program of a gigabyte", language: "c", end: End::Disk, code: || "int main[1 << 28] = {1};".into() },
    Bomb { name: "C: macros that double", language: "c", end: End::TimeoutOrMemory, code: || {
        let macros: String = (1..=40).map(|i| format!("#define M{i} M{0} M{0}\n", i - 1)).collect();
        format!("#define M0 x;\n{macros}int main(void) {{ int x; M40 }}")
    } },
    Bomb { name: "C: 400,000 parentheses", language: "c", end: End::Crash, code: || {
        format!("int main(void) {{ return {}1{}; }}", "(".repeat(400_000), ")".repeat(400_000))
    } },
    Bomb { name: "C: a hundred thousand errors", language: "c", end: End::Flood, code: || {
        format!("int main(void) {{ {} }}", (0..100_000).map(|i| format!("nothing{i}();;x{i} = 1;\n")).collect::<String>())
    } },
    Bomb { name: "C: the assembler repeats for ever", language: "c", end: End::TimeoutOrMemory, code: || {
        "__asm__(\".rept 2000000000\\n .byte 1\\n .endr\");\nint main(void) {}".into()
    } },
    Bomb { name: "C: the assembler includes an endless device", language: "c", end: End::TimeoutOrMemory, code: || {
        "__asm__(\".include \\\"/dev/zero\\\"\");\nint main(void) {}".into()
    } },
    Bomb { name: "C++: templates that double", language: "cpp", end: End::TimeoutOrMemory, code: || {
        "template<int N, int M> struct A { A<N - 1, 2 * M> a; A<N - 1, 2 * M + 1> b; };\n\
         template<int M> struct A<0, M> {};\nint main() { return sizeof(A<30, 1>); }".into()
    } },
    Bomb { name: "C++: endless constexpr", language: "cpp", end: End::Flood, code: || {
        "constexpr int f() { int n = 0; for (;;) n ^= 1; return n; }\nconstexpr int x = f();\nint main() { return x; }".into()
    } },
    Bomb { name: "C++: deep template recursion", language: "cpp", end: End::Flood, code: || {
        "template<class T> struct A { typename A<A<T>>::type x; using type = int; };\nint main() { A<int> a; }".into()
    } },
];

/// How long a compiler is granted. Who would go on for ever is known by then, and who breaks down has done so.
fn granted(end: End) -> Duration {
    match end {
        End::Crash => Duration::from_secs(10),
        End::Timeout | End::TimeoutOrMemory => Duration::from_secs(1),
        End::Disk | End::Flood => Duration::from_secs(2),
    }
}

/// What the compiler comes to without a cell: none where it is still at it past its time.
fn outside(bomb: &Bomb) -> Option<(Finished, u64)> {
    let directory = temp_dir();
    let source = directory.path().join("main").with_extension(extension(bomb.language));
    let program = directory.path().join("program");
    std::fs::write(&source, (bomb.code)()).expect("a temporary file");
    let compiler = compiler(extension(bomb.language)).expect("it is compiled");
    let mut words: Vec<OsString> = vec![compiler.get_program().into()];
    words.extend(compiler.get_args().map(OsString::from));
    words.extend([source.into(), "-o".into(), program.clone().into()]);
    let guard = Guard::new(Allowance::CONTROL);
    let mut command = guard.command(&words[0]);
    // A compiler that is killed leaves what it was writing, up to a gigabyte: that goes with the directory.
    command.args(&words[1..]).current_dir(directory.path()).env("TMPDIR", directory.path());
    let running = Running::start(guard, command, None);
    let until = Instant::now() + granted(bomb.end) + Duration::from_millis(500);
    while running.is_running() {
        if until < Instant::now() {
            running.end();
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let finished = running.wait();
    Some((finished, std::fs::metadata(program).map_or(0, |file| file.len())))
}

fn extension(language: &str) -> &str {
    if language == "rust" { "rs" } else { language }
}

/// That it is a bomb: outside it goes off as well.
fn check_outside(bomb: &Bomb) {
    let name = bomb.name;
    let Some((ended, built)) = leaving_nothing(|| outside(bomb)) else {
        // Still at it.
        return;
    };
    match bomb.end {
        End::Timeout => panic!("{name}: it ends by itself\n{ended}"),
        End::TimeoutOrMemory | End::Flood => assert_ne!(ended.code(), 0, "{name}: it is simply built\n{ended}"),
        End::Crash => assert!(1 < ended.code(), "{name}: the compiler copes\n{ended}"),
        End::Disk => assert!(100 << 20 < built || ended.code() != 0, "{name}: {built} bytes\n{ended}"),
    }
}

fn check_inside(bomb: &Bomb, setting: Setting) {
    if !setting.has(bomb.language) {
        return skip(&format!("bombs in {} in the {setting}", bomb.language), "that user has no such toolchain");
    }
    let source = format!("main.{}", extension(bomb.language));
    let call = setting.run().arg("--json").file(&source, (bomb.code)()).arg(source);
    let granted = granted(bomb.end);
    let time = format!("{}ms", granted.as_millis());
    let inside = call.args(["--compile-time", &time, "--output", "64K"]).outcome();
    let (status, step, _, _) = inside.verdict();
    let expected: &[&str] = match bomb.end {
        End::Timeout => &["timeout"],
        End::TimeoutOrMemory | End::Disk => {
            &["timeout", "memory_limit", "disk_limit", "compile_error", "compiler_crash"]
        }
        End::Crash => &["compiler_crash"],
        End::Flood => &["compile_error", "timeout"],
    };
    assert_eq!(step, "compile", "{}: it was built\n{inside}", bomb.name);
    assert!(expected.contains(&status), "{}: {status}, not one of {expected:?}\n{inside}", bomb.name);
    assert!(inside.stderr().len() <= 64 << 10, "{}: {} bytes were kept", bomb.name, inside.stderr().len());
    assert!(
        inside.call.wall < setting.patience(granted + Duration::from_secs(5)),
        "{}: it was waited for\n{inside}",
        bomb.name
    );
}

fn check(language: &str) {
    for bomb in BOMBS.iter().filter(|bomb| bomb.language == language) {
        check_outside(bomb);
        let watched = HeldBy("engine: clock, watching");
        let (layer, user_jail, fence): (&str, Expectation<'_>, Expectation<'_>) = match bomb.end {
            End::Timeout => ("engine: clock", Held, Held),
            End::TimeoutOrMemory => ("engine: clock, control group: memory", watched, watched),
            End::Crash => ("engine: verdict compiler_crash", Held, Held),
            End::Disk => ("sized tmpfs", Held, HeldBy("rlimit: file size, watching")),
            End::Flood => ("engine: output, clock", Held, Held),
        };
        Attack { name: bomb.name, layer, user_jail, fence, ..Attack::PLAIN }
            .check_by(|setting| check_inside(bomb, setting));
    }
}

#[test]
fn no_rust_code_takes_more_than_its_building_may() {
    check("rust");
}

#[test]
fn no_c_code_takes_more_than_its_building_may() {
    check("c");
}

#[test]
fn no_cpp_code_takes_more_than_its_building_may() {
    check("cpp");
}
