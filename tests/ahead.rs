//! A job in a cell whose tool was started ahead, or thawed, ends as one in a cell that was made for it: the same bytes, whatever
//! the program is.

mod kit;

use std::fs;
use std::path::Path;

use kit::{Example, Response, StandIn, names_of_examples, requests};
use serde_json::{Value, json};

/// How many cells wait in each language.
const WARM: usize = 2;

/// All requests, answered by cells that waited and by cells that were made for them, must come to the same.
fn assert_same(languages: &[&'static str], asked: &[Value]) {
    let answers = |warm: usize| {
        let asking = requests(languages).keeping_warm(warm);
        asked.iter().fold(asking, |asking, request| asking.ask("", request.clone())).answered()
    };
    let (plain, ahead) = (answers(0), answers(WARM));
    for ((request, plain), ahead) in asked.iter().zip(&plain).zip(&ahead) {
        let of = |answer: &Response| without_chance(&answer.but_for_numbers().to_string());
        assert_eq!(of(ahead), of(plain), "{request:#}");
    }
}

/// Without the names of a C compiler's temporary files, of which no two are the same.
fn without_chance(text: &str) -> String {
    const BEGIN: &str = "/tmp/cc";
    const CHANCE: usize = 6;
    let mut parts = text.split(BEGIN);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let chance = part.bytes().take(CHANCE).take_while(u8::is_ascii_alphanumeric).count();
        kept.push_str(BEGIN);
        kept.push_str(if chance == CHANCE { &part[CHANCE..] } else { part });
    }
    kept
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn every_example_ends_as_in_a_cell_of_its_own() {
    let language = |extension: &str| match extension {
        "rs" => Some("rust"),
        "py" => Some("python"),
        "js" => Some("javascript"),
        "sh" => Some("bash"),
        "c" => Some("c"),
        "cpp" => Some("cpp"),
        _ => None,
    };
    let mut asked = Vec::new();
    for folder in ["examples", "xtask/bench"] {
        for file in fs::read_dir(repository().join(folder)).expect("a folder of programs") {
            let path = file.expect("a file").path();
            let Some(language) = path.extension().and_then(|end| language(end.to_str()?)) else { continue };
            let Ok(code) = fs::read_to_string(&path) else { continue };
            // The one that measures itself never prints the same.
            if !code.contains("elapsed_us") {
                asked.push(json!({"lang": language, "code": code.replace("@SEED@", "7"), "stdin": "3 4 5\n"}));
            }
        }
    }
    assert!(asked.len() > 8, "there are programs: {}", asked.len());
    assert_same(&["rust", "python", "javascript", "bash", "c", "cpp"], &asked);
}

#[test]
fn what_the_page_documents_ends_as_in_a_cell_of_its_own() {
    let mut asked = Vec::new();
    for name in names_of_examples() {
        let request = Example::read(&name).request;
        let (lang, code) = (&request["lang"], &request["code"]);
        // What goes through a hash map comes in another order each time.
        if !code.as_str().is_some_and(|code| code.contains("HashMap")) {
            asked.push(json!({"lang": lang, "code": code}));
        }
    }
    assert!(asked.len() > 8, "there are requests: {}", asked.len());
    assert_same(&["rust"], &asked);
}

#[test]
fn a_python_that_was_thawed_is_one_that_was_started() {
    let file = |path: &str, content: &str| json!({"path": path, "content": content});
    let code = |code: &str| json!({"lang": "python", "code": code});
    let asked = [
        code("import sys; print(sys.argv, sys.path[0], __name__, __file__, sys.flags, sys.executable, sys.version)"),
        code("import sys; print(sorted(sys.modules)); print(sorted(globals()))"),
        code("import os; print(os.getcwd(), sorted(os.environ.items()), os.listdir('.'), os.umask(0))"),
        code("import os; print(os.getpid(), os.getppid(), sorted(os.listdir('/proc/self/fd')))"),
        code("import os; print(open('/proc/self/comm').read(), open('/proc/self/cmdline').read())"),
        code("import resource; print([resource.getrlimit(n) for n in range(16)])"),
        code("import signal; print([(n, signal.getsignal(n)) for n in signal.valid_signals()])"),
        code("import atexit; atexit.register(print, 'at the end'); raise SystemExit(7)"),
        code("import threading; t = threading.Thread(target=print, args=['in a thread']); t.start(); t.join()"),
        code("import subprocess; print(subprocess.run(['echo', 'a child'], capture_output=True))"),
        code(
            "import multiprocessing as m\nif __name__ == '__main__':\n  p = m.Process(target=print, args=[1]); p.start(); p.join()",
        ),
        code("raise ValueError('it went wrong')"),
        code("def f(:\n  pass"),
        code("print(open(__file__).read())"),
        code("# -*- coding: latin-1 -*-\nprint('\u{e9}')"),
        code("\u{feff}print('with a mark')"),
        code("import os, signal; os.kill(os.getpid(), signal.SIGTERM)"),
        code("import os; os._exit(3)"),
        code("import sys; sys.setrecursionlimit(10**6)\ndef f(): f()\nf()"),
        code("x = bytearray(200 << 20); x[::4096] = b'x' * len(x[::4096]); del x; y = [0] * 10**7; print(sum(y))"),
        code("import ctypes; libc = ctypes.CDLL(None); p = libc.malloc; print(libc.getpid() > 0)"),
        code("import time, os; a = os.times(); print(a.user + a.system < 1, time.process_time() < 1)"),
        code("import socket; a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))"),
        code("import sys; print(sys.stdin.read(), end=''); print(sys.stdin.fileno(), sys.stdin.encoding)"),
        code(
            "import math, json, re, decimal, datetime, random; print(math.pi, json.dumps([1]), decimal.Decimal(1) / 7)",
        ),
        json!({"lang": "python", "code": "print(input())", "stdin": "a line\nand more\n"}),
        json!({"lang": "python", "code": "import sys; print(sys.argv)", "args": ["one", "two words"]}),
        json!({"lang": "python", "code": "import os; print(os.environ['A'])", "env": {"A": "b"}}),
        json!({"lang": "python", "code": "print(hash('x'))", "env": {"PYTHONHASHSEED": "1"}}),
        json!({"lang": "python", "files": [file("main.py", "import helper; print(helper.x)"), file("helper.py", "x = 5")]}),
        json!({"lang": "python", "files": [file("app.py", "print(__file__)")], "entry": "app.py"}),
        json!({"lang": "python", "files": [file("main.py", "import random; print(random.x)"), file("random.py", "x = 'mine'")]}),
        json!({"lang": "python", "code": "import time\nprint('before', flush=True)\ntime.sleep(9)", "limits": {"run_seconds": 1}}),
        json!({"lang": "python", "code": "x = []\nwhile True: x.append(' ' * 10**6)", "limits": {"memory_mb": 64}}),
        json!({"lang": "python", "code": "while True: pass", "limits": {"cpu_seconds": 1}}),
        json!({"lang": "python", "code": "open('big', 'wb').write(b'x' * (9 << 20))", "limits": {"disk_mb": 4}}),
        json!({"lang": "python", "code": "import os, time\nn = 0\nwhile n < 20:\n  try:\n    if not os.fork(): time.sleep(9)\n    n += 1\n  except OSError: break\nprint(n)", "limits": {"tasks": 8}}),
    ];
    assert_same(&["python"], &asked);
}

#[test]
fn a_compiler_that_was_thawed_is_one_that_was_started() {
    let file = |path: &str, content: &str| json!({"path": path, "content": content});
    let code = |code: &str| json!({"lang": "rust", "code": code});
    let asked = [
        code("fn main() { let unused = 1; println!(\"{}\", include_str!(\"main.rs\").len()); }"),
        code("fn main() { println!(\"{} {} {}\", file!(), line!(), module_path!()); }"),
        code("fn main() { panic!(\"it went wrong\"); }"),
        code("fn main() { let x: i32 = \"text\"; undefined(); }"),
        code("fn main() { loop { } fn f( }"),
        code("#![no_std] fn main() {}"),
        code("#![crate_type = \"lib\"] pub fn f() {}"),
        code("extern \"C\" { fn nowhere(); } fn main() { unsafe { nowhere() } }"),
        code("mod other; fn main() {}"),
        code(
            "fn main() { println!(\"{:?}\", option_env!(\"LD_PRELOAD\")); println!(\"{:?}\", option_env!(\"PATH\")); }",
        ),
        code(
            "use std::collections::HashMap; fn main() { let m: HashMap<_, _> = (0..9).map(|n| (n, n * n)).collect(); \
              println!(\"{}\", m.values().sum::<i32>()); std::process::exit(m.len() as i32); }",
        ),
        code(
            "fn f<const N: usize>() -> usize { N } fn main() { println!(\"{}\", f::<3>()); std::thread::spawn(|| \
              println!(\"a thread\")).join().unwrap(); }",
        ),
        json!({"lang": "rust", "code": "fn main() { println!(\"{:?}\", std::env::args().skip(1).collect::<Vec<_>>()); }", "args": ["a"]}),
        json!({"lang": "rust", "code": "fn main() { let async = 1; println!(\"{async}\"); }", "options": {"edition": 2015}}),
        json!({"lang": "rust", "code": "fn main() { println!(\"{}\", 255u8 + std::env::args().count() as u8); }", "options": {"profile": "release"}}),
        json!({"lang": "rust", "code": "fn main() { panic!(\"look back\"); }", "env": {"RUST_BACKTRACE": "1"}}),
        json!({"lang": "rust", "files": [file("main.rs", "mod a; fn main() { println!(\"{}\", a::X); }"), file("a.rs", "pub const X: u8 = 7;")]}),
        json!({"lang": "rust", "files": [file("app.rs", "fn main() { println!(\"{}\", file!()); }")], "entry": "app.rs"}),
    ];
    assert_same(&["rust"], &asked);
}

#[test]
fn a_c_compiler_without_its_driver_makes_and_says_what_it_does_with_it() {
    let file = |path: &str, content: &str| json!({"path": path, "content": content});
    let code = |code: &str| json!({"lang": "c", "code": code});
    let mut asked = Vec::new();
    for file in fs::read_dir(repository().join("tests/driving")).expect("a folder of programs") {
        // Not all of them are text.
        let bytes = fs::read(file.expect("a file").path()).expect("a program");
        asked.push(json!({"lang": "c", "code": String::from_utf8_lossy(&bytes), "stdin": "a line\n"}));
    }
    assert!(asked.len() > 30, "there are programs: {}", asked.len());
    let main = "#include \"own.h\"\n#include <stdio.h>\nint main(void) { printf(\"%d %s\\n\", own(), FILE_OF_OWN); }";
    let next = "#include_next <stdio.h>\n#define NEXT 6\n";
    asked.extend([
        code("#include <stdio.h>\n#include <string.h>\nint main(void) { puts(strlen(__DATE__ __TIME__) == 19 ? \"a date\" : \"none\"); }"),
        code("#include <dirent.h>\n#include <stdio.h>\nint main(void) { DIR *d = opendir(\"/tmp\"); struct dirent *e; \
              while ((e = readdir(d))) if (e->d_name[0] != '.') puts(e->d_name); d = opendir(\".\"); int n = 0; \
              while (readdir(d)) n++; printf(\"%d\\n\", n); }"),
        code("#include <stdio.h>\nint main(int c, char **v) { printf(\"%d %s\\n\", c, v[0]); return c; }"),
        code("#include <sys/stat.h>\n#include <stdio.h>\nint main(void) { struct stat s; stat(\"runbin\", &s); printf(\"%o\\n\", s.st_mode); }"),
        code("#include <stdlib.h>\n#include <stdio.h>\nint main(void) { for (int n = 0; n < 20000; n++) puts(\"much\"); \
              fprintf(stderr, \"%s\\n\", getenv(\"PATH\")); return getenv(\"COLLECT_GCC\") != 0; }"),
        code("#include <stdio.h>\nint main(void) { int x; char *line = 0; size_t n = 0; getline(&line, &n, stdin); printf(\"<%s>\", line); x = 5 / (line[0] == 0); return x; }"),
        code(&format!("int main(void) {{\n{}return 0; }}", "  int *p = 5;\n".repeat(300))),
        code(&"#pragma message \"this is said again and again, until there is more of it than is kept\"\n".repeat(6000)),
        code("int a[1L << 40]; int main(void) { return a[5]; }"),
        code("static int deep(int n) { return n ? deep(n - 1) + 1 : 0; } int main(void) { return deep(100); }"),
        json!({"lang": "c", "code": "#include <stdio.h>\nint main(int c, char **v) { puts(v[1]); }", "args": ["an argument"]}),
        json!({"lang": "c", "code": "int main(void) { for (int i = 0; i < 3; i++); // new\n return 0; }", "options": {"standard": "c89"}}),
        json!({"lang": "c", "code": "#include <stdio.h>\nint main(void) { puts(__OPTIMIZE__ ? \"quick\" : \"\"); }", "options": {"profile": "release"}}),
        json!({"lang": "c", "code": "typeof(5) n; int main(void) { return n; }", "options": {"standard": "c17"}}),
        json!({"lang": "c", "files": [file("main.c", main), file("own.h", "#define FILE_OF_OWN __FILE__\nint own(void);\n"),
              file("own.c", "#include \"own.h\"\nint own(void) { return 5; }")]}),
        json!({"lang": "c", "files": [file("main.c", main), file("own.h", "#define FILE_OF_OWN __FILE__\nint own(void);\n")]}),
        json!({"lang": "c", "files": [file("main.c", main), file("own.h", "#define FILE_OF_OWN __FILE__\nstatic int own(void) { return 4 }\n")]}),
        json!({"lang": "c", "files": [file("main.c", "#include \"stdio.h\"\nint main(void) { printf(\"%d\\n\", NEXT); }"), file("stdio.h", next)]}),
        json!({"lang": "c", "files": [file("app.c", "#include <stdio.h>\nint main(void) { puts(__FILE__); }")], "entry": "app.c"}),
        json!({"lang": "c", "files": [file("main.c", "__asm__(\".incbin \\\"data\\\"\"); int main(void) { return 0; }"), file("data", "bytes")]}),
        json!({"lang": "c", "files": [file("main.c", "const char *puts_it; int puts(const char *); int main(void) { puts(\n#include \"data\"\n); }"), file("data", "\"bytes\"")]}),
        json!({"lang": "c", "files": [file("main.c", "int main(void) { return 0; }"), file("liblto_plugin.so", "no plugin"), file("as", "no assembler"), file("libc.so", "no library")]}),
        json!({"lang": "c", "code": "#include \"main.c\"\n", "limits": {"compile_seconds": 5}}),
    ]);
    assert_same(&["c"], &asked);
}

/// Tells whether the linker that made it put its name into it.
const WHO_LINKED: &str = "#include <stdio.h>
#include <string.h>
int main(void)
{
    static char bytes[1 << 20];
    FILE *own = fopen(\"runbin\", \"r\");
    size_t read = fread(bytes, 1, sizeof bytes, own);
    char name[] = \"Xild \";
    name[0] = 'W';
    int found = 0;
    for (size_t at = 0; at + 5 < read; at++) found |= !memcmp(bytes + at, name, 5);
    puts(found ? \"ours\" : \"theirs\");
    return 0;
}
";

#[test]
fn ordinary_c_is_linked_by_ours_and_everything_else_by_the_systems_linker() {
    let with = |more: &str| json!({"lang": "c", "code": format!("{WHO_LINKED}{more}")});
    let asked = [
        (with(""), "ours\n"),
        (with("#warning said\n"), "ours\n"),
        (with("char *gets(char *); char *(*get)(char *) = gets;"), "theirs\n"),
        (with("__attribute__((common)) int shared;"), "theirs\n"),
        (with("__attribute__((section(\"apart\"))) int own;"), "theirs\n"),
        (with("extern char end; char *at_end = &end;"), "theirs\n"),
        (
            with(
                "static int one(void) { return 1; } static int (*pick(void))(void) { return one; } \
               int some(void) __attribute__((ifunc(\"pick\")));",
            ),
            "theirs\n",
        ),
        (with("__asm__(\".section .note.GNU-stack,\\\"x\\\",@progbits\\n.text\");"), "theirs\n"),
        (with("__asm__(\".symver puts,puts@GLIBC_2.2.5\");"), "theirs\n"),
        (with("__asm__(\".text\\n.quad main\");"), "theirs\n"),
    ];
    let asking = requests(&["c"]).keeping_warm(WARM);
    let answers = asked.iter().fold(asking, |asking, (request, _)| asking.ask("", request.clone())).answered();
    for ((request, linked), answer) in asked.iter().zip(&answers) {
        assert_eq!(answer.stdout(), *linked, "{request:#}\n{answer:?}");
    }
}

#[test]
fn a_shell_and_a_node_that_were_started_ahead_are_as_if_started_late() {
    let sh = |code: &str| json!({"lang": "bash", "code": code});
    let js = |code: &str| json!({"lang": "javascript", "code": code});
    let file = |path: &str, content: &str| json!({"path": path, "content": content});
    let asked = [
        sh("echo $0 $# $- $SHLVL $SECONDS; pwd; echo $$ $BASHPID; ls -a; umask; ulimit -a"),
        sh("cat /proc/self/comm; tr '\\0' ' ' < /proc/$$/cmdline; readlink /proc/$$/exe; ls /proc/$$/fd"),
        sh("trap 'echo at the end' EXIT; (exit 3); echo $?; false; exit 9"),
        sh("read line; echo \"<$line>\"; cat"),
        sh("kill -TERM $$"),
        sh("if then"),
        sh("for i in 1 2 3; do echo $i & wait; done; echo a | tr a b; x=$(echo sub); echo $x; exec echo gone"),
        json!({"lang": "bash", "code": "read a; echo $a; read b; echo $b", "stdin": "1\n2\n"}),
        json!({"lang": "bash", "code": "echo $A $1", "args": ["x"], "env": {"A": "y"}}),
        json!({"lang": "bash", "code": "sleep 9", "limits": {"run_seconds": 1}}),
        js("console.log(process.argv, process.execPath, __filename, require.main === module, process.version)"),
        js("console.log(process.cwd(), process.env, process.pid, process.title, require('fs').readdirSync('.'))"),
        js(
            "process.on('exit', c => console.log('at the end', c)); process.exitCode = 4; setTimeout(() => console.log('later'), 5)",
        ),
        js(
            "Promise.resolve(1).then(console.log); setImmediate(() => console.log(2)); process.nextTick(() => console.log(0))",
        ),
        js("throw new Error('it went wrong')"),
        js("let x = ;"),
        js("console.log(require('child_process').execSync('echo a child').toString())"),
        js("const { Worker } = require('worker_threads'); new Worker('console.log(5)', { eval: true })"),
        js("require('crypto').randomBytes(8, (e, b) => console.log(e, b.length))"),
        js("require('fs').readFile(__filename, (e, d) => console.log(e, d.length))"),
        json!({"lang": "javascript", "code": "process.stdin.on('data', d => process.stdout.write(d))", "stdin": "in and out\n"}),
        json!({"lang": "javascript", "files": [file("main.js", "console.log(require('./a').x)"), file("a.js", "exports.x = 5")]}),
        json!({"lang": "javascript", "files": [file("main.js", "import { x } from './a.js'; console.log(x)"),
              file("a.js", "export const x = 5"), file("package.json", "{\"type\": \"module\"}")]}),
    ];
    assert_same(&["bash", "javascript"], &asked);
}

#[test]
fn a_tool_is_told_where_it_may_be_and_is_there_when_its_job_comes() {
    let wanted = json!({"lang": "javascript", "code": "0"});
    for flags in [&[][..], &["-DCHOOSES"]] {
        let tool = StandIn::build("node", "tests/ahead/placed.c", flags);
        let said = |warm: usize| {
            let asking = requests(&["javascript"]).with_programs_in(&tool.bin()).keeping_warm(warm);
            let answers = asking.ask("", wanted.clone()).answered();
            assert_eq!(answers[0].status(), "ok", "{answers:?}");
            answers[0].stdout().to_owned()
        };
        let plain = said(0);
        let [early, late] = plain.lines().collect::<Vec<_>>()[..] else { panic!("{plain}") };
        let stays = early.trim_start_matches("early") == late.trim_start_matches("late");
        assert_eq!(stays, flags.is_empty() || early.split(' ').count() == 2, "{plain}");
        assert_eq!(said(1), plain, "ahead of its job");
    }
}

#[test]
fn a_job_that_is_granted_less_than_what_waits_ends_as_in_a_cell_of_its_own() {
    // They stay for a while: where memory is only watched, somebody has to come and look.
    let python = "import time; time.sleep(5)";
    let python = json!({"lang": "python", "code": python, "limits": {"memory_mb": 4, "disk_mb": 1}});
    let threads = json!({"lang": "javascript", "code": "0", "limits": {"tasks": 1}});
    let node = "setTimeout(() => 0, 5000)";
    let node = json!({"lang": "javascript", "code": node, "limits": {"memory_mb": 4, "disk_mb": 1}});
    for (request, status) in [(python, "memory_limit"), (threads, "signaled"), (node, "memory_limit")] {
        let language = if request["lang"] == "python" { "python" } else { "javascript" };
        for warm in [0, 1] {
            let answers = requests(&[language]).keeping_warm(warm).ask("", request.clone()).answered();
            // Not all else: where a tool had to go first, the program's process has another number.
            assert_eq!((answers[0].status(), answers[0].stdout()), (status, ""), "{answers:?}");
        }
    }
}

#[test]
fn what_must_differ_from_job_to_job_differs() {
    let twice = |language: &'static str, code: &str| {
        let asked = json!({"lang": language, "code": code});
        let answers = requests(&[language]).keeping_warm(WARM).ask("", asked.clone()).ask("", asked).answered();
        let printed: Vec<String> = answers.iter().map(|answer: &Response| answer.stdout().to_owned()).collect();
        assert!(printed.iter().all(|printed| printed.len() > 4), "{answers:?}");
        assert_ne!(printed[0], printed[1], "{language}: {code}");
    };
    twice("python", "import random; print(random.random())");
    twice("python", "import uuid; print(uuid.uuid4())");
    twice("python", "import secrets; print(secrets.token_hex())");
    twice("python", "import tempfile; print(tempfile.mktemp())");
    twice("python", "import os; print(os.urandom(8))");
    twice("python", "import time; print(time.time_ns())");
    twice("python", "import ssl; print(ssl.RAND_bytes(8))");
    twice("bash", "echo $RANDOM $RANDOM $RANDOM");
    twice("bash", "echo $SRANDOM $SRANDOM");
    twice("javascript", "console.log(Math.random())");
    twice("javascript", "console.log(require('crypto').randomUUID())");
    twice(
        "rust",
        "use std::hash::*; fn main() { println!(\"{}\", std::collections::hash_map::RandomState::new().build_hasher().finish()); }",
    );
    twice("rust", "fn main() { println!(\"{:p}\", main as *const ()); }");
}
