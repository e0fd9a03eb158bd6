//! A toolchain that was built for musl, on an image as Alpine's are: a loader, a C library and an allocator that are not the host's,
//! in what is started for each job and in what is started ahead of it.

#[path = "../crates/image/tests/kit/mod.rs"]
mod images;
mod kit;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kit::{Firebox, HostInventory, Lasting, Outcome, Response, Setting, requests};
use serde_json::{Value, json};

/// Says where the files of the image are.
const TREE: &str = "FIREBOX_TEST_MUSL_NODE";
/// The jails that an image can be run on in.
const JAILS: [Setting; 2] = [Setting::RootJail, Setting::UserJail];
/// How many cells wait.
const WARM: usize = 2;

/// An image that has Node and musl, and nothing else, and for each user of the tests a store that has it.
struct Musl {
    directory: Lasting,
}

impl Musl {
    /// Made once. None where it cannot be, which is said.
    fn find() -> Option<&'static Musl> {
        static MADE: OnceLock<Option<Musl>> = OnceLock::new();
        let find = || {
            let Some(tree) = std::env::var_os(TREE) else {
                images::skipped(&format!("there is no Node for musl: {TREE} would say where"));
                return None;
            };
            images::has(&["skopeo", "umoci"]).then(|| Musl::make(Path::new(&tree)))
        };
        MADE.get_or_init(find).as_ref()
    }

    fn make(tree: &Path) -> Musl {
        let musl = Musl { directory: Lasting::make() };
        fs::set_permissions(musl.directory.path(), Permissions::from_mode(0o755)).expect("chmod");
        let (archive, oci) = (musl.path("tree.tar"), musl.path("oci"));
        let (archive, image) = (images::text(&archive), format!("oci:{}:x", oci.display()));
        images::run("tar", &["-C", images::text(tree), "-cf", archive, "."]);
        images::run("skopeo", &["copy", "--quiet", &format!("tarball:{archive}"), &image]);
        let path = "--config.env=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        images::run("umoci", &["config", "--image", &format!("{}:x", oci.display()), path]);
        images::run("chmod", &["-R", "a+rX", images::text(&oci)]);
        for setting in JAILS.into_iter().filter(|setting| setting.missing().is_none()) {
            let home = musl.home(setting);
            fs::create_dir(&home).expect("a home");
            fs::set_permissions(&home, Permissions::from_mode(0o777)).expect("chmod");
            let words = ["rootfs", "from-docker", "--name", "javascript", "--size", "500", "--image", &image];
            let taken = musl.call(setting, &words).run();
            assert_eq!(taken.code(), 0, "{taken}");
        }
        musl
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn home(&self, setting: Setting) -> PathBuf {
        self.path(&setting.to_string().replace(' ', "-"))
    }

    fn call(&self, setting: Setting, words: &[&str]) -> Firebox {
        let home = self.home(setting).join("firebox");
        setting.caller().env("HOME", "/nonexistent").env("FIREBOX_HOME", home).args(words)
    }

    fn job(&self, setting: Setting, code: &str, more: &[&str]) -> Outcome {
        let words = ["run", "--json", "--lang", "javascript", "--code", code];
        self.call(setting, &[&words[..], more].concat()).outcome()
    }

    fn answers(&self, setting: Setting, warm: usize, asked: &[Value]) -> Vec<Response> {
        let home = self.home(setting).join("firebox");
        let asking = requests(&["javascript"]).by(setting).with_images_of(&home).keeping_warm(warm);
        asked.iter().fold(asking, |asking, request| asking.ask("", request.clone())).answers()
    }
}

/// Does it in each kind of jail that there is here.
fn in_each_jail(check: impl Fn(&Musl, Setting)) {
    let Some(musl) = Musl::find() else { return };
    for setting in JAILS.into_iter().filter(|setting| setting.missing().is_none()) {
        let host = HostInventory::take();
        check(musl, setting);
        host.assert_nothing_left();
    }
}

#[test]
fn jobs_end_as_they_do_elsewhere() {
    in_each_jail(|musl, setting| {
        let libraries = "const { header, sharedObjects } = process.report.getReport();\n\
            console.log(header.glibcVersionRuntime, sharedObjects.filter(name => name.includes('musl')).join(), process.execPath)";
        let hello = musl.job(setting, libraries, &[]);
        let said = "undefined /lib/ld-musl-x86_64.so.1 /usr/local/bin/node\n";
        assert_eq!((hello.verdict(), hello.stdout()), (("ok", "run", 0, None), said), "{hello}");
        for (code, more, verdict) in [
            ("throw new Error('it went wrong')", &[][..], ("runtime_error", "run", 1, None)),
            ("let x = ;", &[], ("runtime_error", "run", 1, None)),
            ("process.abort()", &[], ("signaled", "run", 134, Some(6))),
            ("console.log('before'); for (;;);", &["--timeout", "3"], ("timeout", "run", 124, None)),
            (
                "console.log('before'); const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1));",
                &["--memory", "128M"],
                ("memory_limit", "run", 137, None),
            ),
        ] {
            let outcome = musl.job(setting, code, more);
            assert_eq!(outcome.verdict(), verdict, "{outcome}");
            let before = if code.contains("before") { "before\n" } else { "" };
            assert_eq!(outcome.stdout(), before, "{outcome}");
            assert_eq!(outcome.stderr().contains("it went wrong"), code.contains("wrong"), "{outcome}");
        }
    });
}

#[test]
fn a_node_of_musl_that_was_started_ahead_is_as_if_started_late() {
    let js = |code: &str| json!({"lang": "javascript", "code": code});
    let file = |path: &str, content: &str| json!({"path": path, "content": content});
    let asked = [
        js("console.log(process.argv, process.execPath, __filename, require.main === module, process.version)"),
        js("console.log(process.cwd(), process.env, process.pid, process.title, require('fs').readdirSync('.'))"),
        js(
            "process.on('exit', c => console.log('at the end', c)); process.exitCode = 4; setTimeout(() => console.log('later'), 5)",
        ),
        js("throw new Error('it went wrong')"),
        js("let x = ;"),
        js("new (require('worker_threads').Worker)('console.log(5)', { eval: true })"),
        js("require('crypto').randomBytes(8, (e, b) => console.log(e, b.length))"),
        js("require('fs').readFile(__filename, (e, d) => console.log(e, d.length))"),
        js("console.log(require('child_process').execFileSync(process.execPath, ['-p', '6 * 7']).toString())"),
        json!({"lang": "javascript", "code": "process.stdin.on('data', d => process.stdout.write(d))", "stdin": "in and out\n"}),
        json!({"lang": "javascript", "code": "console.log(process.argv.slice(2), process.env.A)", "args": ["x"], "env": {"A": "y"}}),
        json!({"lang": "javascript", "files": [file("main.js", "import { x } from './a.js'; console.log(x)"),
              file("a.js", "export const x = 5"), file("package.json", "{\"type\": \"module\"}")]}),
        json!({"lang": "javascript", "code": "console.log('before'); for (;;);", "limits": {"run_seconds": 1}}),
        json!({"lang": "javascript", "code": "const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1));",
              "limits": {"memory_mb": 128}}),
    ];
    in_each_jail(|musl, setting| {
        let (plain, ahead) = (musl.answers(setting, 0, &asked), musl.answers(setting, WARM, &asked));
        for ((request, plain), ahead) in asked.iter().zip(&plain).zip(&ahead) {
            assert_eq!(ahead.but_for_numbers(), plain.but_for_numbers(), "{setting}: {request:#}");
        }
        // Who has Node's own start behind it is older than its run is long, however busy the host is.
        let age = vec![js("console.log(process.uptime())"); WARM];
        let is_older =
            |answer: &Response| answer.run_ms() < 1000.0 * answer.stdout().trim().parse::<f64>().expect("an age");
        let (plain, ahead) = (musl.answers(setting, 0, &age), musl.answers(setting, WARM, &age));
        assert!(!plain.iter().any(is_older) && ahead.iter().any(is_older), "{setting}: {plain:?}, {ahead:?}");
    });
}

/// What was started ahead is let go of then, and Node starts as if nothing had.
#[test]
fn a_job_that_is_granted_less_than_what_waits_ends_as_in_a_cell_of_its_own() {
    let long = "setTimeout(() => 0, 5000)";
    let asked = [
        json!({"lang": "javascript", "code": "0", "limits": {"tasks": 1}}),
        json!({"lang": "javascript", "code": long, "limits": {"memory_mb": 4, "disk_mb": 1}}),
    ];
    in_each_jail(|musl, setting| {
        for request in &asked {
            let answers = |warm| musl.answers(setting, warm, std::slice::from_ref(request));
            let (plain, ahead) = (answers(0), answers(WARM));
            let of = |answers: &[Response]| (answers[0].status().to_owned(), answers[0].stdout().to_owned());
            assert_eq!(of(&ahead), of(&plain), "{setting}: {request:#}: {ahead:?}");
            assert_ne!(plain[0].status(), "ok", "{setting}: {plain:?}");
        }
    });
}
