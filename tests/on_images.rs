//! Jobs on images: the programs that compile and run them are those of a container image, and nothing of the host is there.

#[path = "on_images/debian.rs"]
mod debian;
#[path = "../crates/image/tests/kit/mod.rs"]
mod images;
mod kit;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use debian::{Debian, JAILS, in_each_jail};
use kit::{Example, HostInventory, Service, Setting, Stdout, firebox, names_of_examples, tool};
use rustix::process::Signal;

/// What the image has.
const PACKAGES: &str = "python3-minimal,libpython3-stdlib,gcc,libc6-dev,musl-tools,musl-dev";
/// More than it takes, in MiB.
const SIZE: &str = "3000";

#[test]
fn every_example_of_the_page_runs_on_an_image() {
    in_each_jail(|debian, setting| {
        for name in names_of_examples() {
            let example = Example::read(&name);
            let outcome = debian.call(setting, &["run", "--image", "debian"]).args(example.words()).outcome();
            let compare = if name == "rust-complex-001" { Stdout::LinesInAnyOrder } else { Stdout::Exact };
            example.check(outcome.json(), compare);
        }
    });
}

#[test]
fn a_program_sees_its_image_and_what_every_cell_has_and_nothing_of_the_host() {
    let code = r#"
import getpass, os, socket, sys
print(sys.executable, os.environ["FROM_IMAGE"], getpass.getuser(), os.path.expanduser("~"), socket.gethostname())
print(sorted(set(os.listdir("/")) - {"bin", "boot", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "root", "sbin", "srv", "usr", "var"}))
print(open("/etc/hosts").read().split()[0], socket.gethostbyname("localhost"), "apt" in os.listdir("/etc"), "PRETTY_NAME" in open("/etc/os-release").read())
print(open("/proc/self/mountinfo").read() == "")
for path in "/etc/passwd", "/usr/bin/python3", "/usr/new", "/etc/new", "/root/new":
    try:
        open(path, "a")
        print("wrote", path)
    except OSError as error:
        print(error.strerror)
print([name for name in os.listdir("/root") if not os.access("/root/" + name, os.R_OK)])
def seen(top):
    for directory, directories, files in os.walk(top):
        yield from (os.lstat(os.path.join(directory, name)) for name in directories + files)
parts = [part for part in os.listdir("/") if part not in ("dev", "job", "proc", "tmp")]
print({(one.st_uid, one.st_gid) for part in parts for one in [os.lstat("/" + part), *seen("/" + part)]})
"#;
    in_each_jail(|debian, setting| {
        let outcome = debian.job(setting, "python", code).outcome();
        assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
        let user = if setting == Setting::RootJail { "user" } else { "root" };
        let expected = "\
            ['dev', 'job', 'opt', 'proc', 'tmp']\n\
            127.0.0.1 127.0.0.1 True True\n\
            True\n\
            Read-only file system\nRead-only file system\nRead-only file system\nRead-only file system\nRead-only file system\n\
            []\n{(0, 0)}\n";
        let expected = format!("/usr/bin/python3 yes {user} /tmp firebox\n{expected}");
        assert_eq!(outcome.stdout(), expected, "{outcome}");
    });
}

#[test]
fn an_image_under_the_name_of_a_language_is_what_its_jobs_run_on() {
    in_each_jail(|debian, setting| {
        let image = format!("oci:{}:x", debian.path("oci"));
        let listed = || {
            let listed = debian.call(setting, &["languages", "--json"]).run();
            let listings: serde_json::Value =
                serde_json::from_slice(&listed.stdout).unwrap_or_else(|error| panic!("{error}: {listed}"));
            let python = listings.as_array().into_iter().flatten().find(|listing| listing["name"] == "python").cloned();
            python.expect("Python is listed")
        };
        let code = "import os; print(os.environ.get('FROM_IMAGE'))";
        let ran = || debian.call(setting, &["host", "--lang", "python", "--code", code]).run().stdout();
        assert_eq!((&listed()["image"], ran().as_str()), (&serde_json::Value::Null, "None\n"));
        let taken =
            debian.call(setting, &["rootfs", "from-docker", "--name", "python", "--size", SIZE, "--image", &image]);
        let taken = taken.run();
        assert_eq!(taken.code(), 0, "{taken}");
        let python = listed();
        assert_eq!((&python["image"], &python["program"]), (&"python".into(), &"/usr/bin/python3".into()), "{python}");
        assert!(python["version"].is_string(), "{python}");
        assert_eq!(ran(), "yes\n");
        let removed = debian.call(setting, &["rootfs", "remove", "python"]).run();
        assert_eq!(removed.code(), 0, "{removed}");
        assert_eq!(ran(), "None\n");
    });
}

#[test]
fn what_jobs_run_on_is_not_removed_while_they_do() {
    in_each_jail(|debian, setting| {
        let image = format!("oci:{}:x", debian.path("oci"));
        let home = format!("{}/removed", debian.home(setting));
        let call = |words: &[&str]| setting.caller().env("HOME", "/nonexistent").env("FIREBOX_HOME", &home).args(words);
        let taken = call(&["rootfs", "from-docker", "--name", "debian", "--size", SIZE, "--image", &image]).run();
        assert_eq!(taken.code(), 0, "{taken}");
        let code = "print('begun', flush=True)\nimport signal\nsignal.signal(signal.SIGTERM, lambda *_: None)\nsignal.sigtimedwait([signal.SIGUSR1], 1000)";
        let running = call(&["run", "--image", "debian", "--lang", "python", "--code", code]).start();
        running.wait_for_stdout("begun");
        for words in [&["rootfs", "remove", "debian"][..], &["rootfs", "gc"]] {
            let done = call(words).run();
            assert_eq!(done.code(), 0, "{done}");
        }
        let trees = fs::read_dir(format!("{home}/images/trees")).expect("trees").count();
        assert_eq!(trees, 1, "the tree that a job runs on is gone");
        running.signal(Signal::TERM);
        running.wait();
        let collected = call(&["rootfs", "gc"]).run();
        assert_eq!(collected.code(), 0, "{collected}");
        assert_eq!(fs::read_dir(format!("{home}/images/trees")).expect("trees").count(), 0, "{collected}");
        fs::remove_dir_all(home).expect("the home");
    });
}

#[test]
fn what_cannot_be_is_said_with_what_to_do_about_it() {
    in_each_jail(|debian, setting| {
        let run = |words: &[&str]| debian.call(setting, &[&["run"], words].concat()).run();
        for (words, code, said) in [
            (&["--image", "debain", "--lang", "python", "--code", "1"][..], 2, "did you mean `debian`?"),
            (&["--image", "debian", "--lang", "javascript", "--code", "1"], 2, "the image `debian` lacks it"),
            (&["--image", "../x", "--lang", "python", "--code", "1"], 2, "--image"),
            (
                &["--image", "debian", "--isolation", "fence", "--lang", "python", "--code", "1"],
                125,
                "a fence shares the root of the host",
            ),
        ] {
            let refused = run(words);
            assert_eq!(refused.code(), code, "{refused}");
            assert!(refused.stderr().contains(said), "{refused}");
        }
    });
}

/// `musl-gcc` is a script, which is nothing that we take for a compiler: this does the same.
const MUSL_GCC: &str = r#"
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **words) {
    char **all = calloc(count + 3, sizeof *all);
    for (int i = 0; i < count; i++) all[i] = words[i];
    all[0] = "/usr/bin/x86_64-linux-gnu-gcc";
    all[count] = "-specs";
    all[count + 1] = "/usr/lib/x86_64-linux-musl/musl-gcc.specs";
    execv(all[0], all);
    return 127;
}
"#;

/// Another C library than ours and the host's, with another loader, in what compiles and in what comes of it.
#[test]
fn programs_of_musl_compile_and_run() {
    if !images::has(&["musl-gcc"]) {
        return;
    }
    let code = "#include <pthread.h>\n#include <stdio.h>\n#include <string.h>\nstatic void *say(void *x) { return x; }\n\
        int main(void) { char line[400]; void *said; pthread_t thread; int musl = 0, glibc = 0; FILE *maps = fopen(\"/proc/self/maps\", \"r\");\n\
        while (fgets(line, 400, maps)) { musl |= !!strstr(line, \"-musl/\"); glibc |= !!strstr(line, \"libc.so.6\"); }\n\
        pthread_create(&thread, 0, say, \"a thread\"); pthread_join(thread, &said); printf(\"%d %d %s\\n\", musl, glibc, (char *)said); }";
    in_each_jail(|debian, setting| {
        let place = kit::temp_dir();
        let at = |name: &str| images::text(&place.path().join(name)).to_owned();
        fs::write(at("gcc.c"), MUSL_GCC).expect("a program");
        images::run("musl-gcc", &["-o", &at("gcc"), &at("gcc.c")]);
        let oci = at("oci");
        images::run("cp", &["-r", &debian.path("oci"), &oci]);
        images::run("umoci", &["insert", "--image", &format!("{oci}:x"), &at("gcc"), "/usr/local/bin/gcc"]);
        images::run("chmod", &["-R", "a+rX", images::text(place.path())]);
        let image = format!("oci:{oci}:x");
        let words = ["rootfs", "from-docker", "--name", "c", "--size", SIZE, "--image", &image];
        let taken = debian.call(setting, &words).run();
        assert_eq!(taken.code(), 0, "{taken}");
        let job = |code: &str| debian.call(setting, &["run", "--json", "--lang", "c", "--code", code]).outcome();
        let outcome = job(code);
        assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "1 0 a thread\n"), "{outcome}");
        let wrong = job("int main(void) { return missing; }");
        assert_eq!(wrong.verdict(), ("compile_error", "compile", 1, None), "{wrong}");
        let removed = debian.call(setting, &["rootfs", "remove", "c"]).run();
        assert_eq!(removed.code(), 0, "{removed}");
    });
}

/// What an Alpine has for a shell is not Bash, and is not taken for it.
#[test]
fn an_image_of_busybox_alone_says_that_it_has_no_bash() {
    if !images::has(&["busybox", "skopeo"]) {
        return;
    }
    let place = kit::temp_dir();
    let at = |name: &str| images::text(&place.path().join(name)).to_owned();
    fs::create_dir_all(at("tree/bin")).expect("a tree");
    fs::copy(tool("busybox"), at("tree/bin/busybox")).expect("busybox");
    std::os::unix::fs::symlink("busybox", at("tree/bin/sh")).expect("a link");
    images::run("tar", &["-C", &at("tree"), "-cf", &at("tree.tar"), "."]);
    images::run(
        "skopeo",
        &["copy", "--quiet", &format!("tarball:{}", at("tree.tar")), &format!("oci:{}:x", at("oci"))],
    );
    let image = format!("oci:{}:x", at("oci"));
    let call = |words: &[&str]| firebox().env("FIREBOX_HOME", at("home")).args(words).run();
    let taken = call(&["rootfs", "from-docker", "--name", "small", "--size", "50", "--image", &image]);
    assert_eq!(taken.code(), 0, "{taken}");
    let refused = call(&["run", "--image", "small", "--lang", "bash", "--code", "echo no"]);
    assert_eq!((refused.code(), refused.stdout().as_str()), (2, ""), "{refused}");
    for words in ["bash needs `bash`", "the image `small` lacks it"] {
        assert!(refused.stderr().contains(words), "it does not say {words:?}\n{refused}");
    }
}

#[test]
fn a_service_serves_a_language_on_its_image() {
    let Some(debian) = Debian::find() else { return };
    if !kit::is_root("a_service_serves_a_language_on_its_image") {
        return;
    }
    let host = HostInventory::take();
    let home = debian.path("service");
    let image = format!("oci:{}:x", debian.path("oci"));
    for name in ["python", "rust"] {
        let taken = firebox().env("FIREBOX_HOME", &home).args(["rootfs", "from-docker", "--size", SIZE]);
        let taken = taken.args(["--name", name, "--image", &image]).run();
        assert_eq!(taken.code(), 0, "{taken}");
    }
    let serve =
        firebox().env("FIREBOX_HOME", &home).args(["serve", "--listen", "127.0.0.1:0", "--languages", "python,rust"]);
    let service = Service::of(serve.start());
    let python = service.get("/v1/languages/python").answer().json();
    assert_eq!(python["image"], "python", "{python}");
    for _ in 0..3 {
        for (language, code, stdout) in [
            ("python", "import os; print(os.environ['FROM_IMAGE'])", "yes\n"),
            (
                "rust",
                "fn main() { println!(\"{}\", std::path::Path::new(\"/etc/debian_version\").exists()) }",
                "true\n",
            ),
        ] {
            let body = serde_json::json!({ "lang": language, "code": code });
            let answer = service.post("/v1/execute", body.to_string()).answer().json();
            assert_eq!((&answer["stdout"], &answer["exit_code"]), (&stdout.into(), &0.into()), "{answer}");
        }
    }
    service.stop();
    host.assert_nothing_left();
}

/// Says what it finds at each of its arguments' places, and what it can write.
const LOOKER: &str = r#"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
int main(void) {
    const char *paths[] = {"/etc/passwd", "/etc/shadow", "/etc/hostname", "/dev/null", "/tmp", "/job/main.sh", "/opt/firebox", "/here", "/out"};
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
        char head[8] = "";
        int file = open(paths[i], O_RDONLY);
        if (0 <= file) read(file, head, 7);
        head[strcspn(head, "\n")] = 0;
        printf("%s %s %s\n", paths[i], file < 0 ? "-" : head, access(paths[i], W_OK) ? "" : "writable");
    }
}
"#;

/// An image that would have what a cell makes for itself made elsewhere.
#[test]
fn attack_an_image_whose_places_are_links_leads_nowhere() {
    let Some(_debian) = Debian::find() else { return };
    let place = kit::temp_dir();
    fs::set_permissions(place.path(), Permissions::from_mode(0o777)).expect("chmod");
    let at = |name: &str| place.path().join(name);
    let text = |name: &str| images::text(&at(name)).to_owned();
    fs::create_dir_all(at("tree/usr/bin")).expect("a tree");
    fs::write(at("looker.c"), LOOKER).expect("a program");
    images::run("cc", &["-static", "-o", &text("tree/usr/bin/bash"), &text("looker.c")]);
    for (name, target) in [
        ("etc", "/"),
        ("dev", "/etc"),
        ("tmp", "/usr"),
        ("job", "../../../../../../etc"),
        ("proc", "/etc"),
        ("opt", "/../../../../etc"),
        ("over", "/etc"),
        ("lower", "/etc"),
        ("here", "/usr/bin/bash"),
        ("out", "/../../../../../../../../etc/shadow"),
        ("bin", "usr/bin"),
    ] {
        std::os::unix::fs::symlink(target, at("tree").join(name)).expect("a link");
    }
    images::run("tar", &["-C", &text("tree"), "-cf", &text("tree.tar"), "."]);
    images::run(
        "skopeo",
        &["copy", "--quiet", &format!("tarball:{}", text("tree.tar")), &format!("oci:{}:x", text("oci"))],
    );
    images::run("chmod", &["-R", "a+rX", &text("oci")]);
    for setting in JAILS.into_iter().filter(|setting| setting.missing().is_none()) {
        let home = text(&setting.to_string().replace(' ', "-"));
        let call = |words: &[&str]| setting.caller().env("HOME", "/nonexistent").env("FIREBOX_HOME", &home).args(words);
        let taken = call(&[
            "rootfs",
            "from-docker",
            "--name",
            "links",
            "--size",
            "50",
            "--image",
            &format!("oci:{}:x", text("oci")),
        ]);
        let taken = taken.run();
        assert_eq!(taken.code(), 0, "{taken}");
        let host = HostInventory::take();
        let outcome = call(&["run", "--image", "links", "--json", "--lang", "bash", "--code", "cell"]).outcome();
        assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
        let expected = "/etc/passwd - \n/etc/shadow - \n/etc/hostname - \n/dev/null  writable\n/tmp  writable\n/job/main.sh cell writable\n\
            /opt/firebox  \n/here \u{7f}ELF\u{2}\u{1}\u{1} \n/out - \n";
        assert_eq!(outcome.stdout(), expected, "{outcome}");
        host.assert_nothing_left();
    }
}
