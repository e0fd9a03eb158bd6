//! Whose the files of an image are, as a job on it sees them, and what it can do about that.

#[path = "../crates/image/tests/kit/mod.rs"]
mod images;
mod kit;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use kit::{Firebox, HostInventory, Outcome, Setting};
use rustix::process::Signal;

/// The jails that an image can be run on in.
const JAILS: [Setting; 2] = [Setting::RootJail, Setting::UserJail];
/// Larger than what is copied into a view.
const LARGE: usize = (1 << 20) + 1;

/// An image with one program, which says what it sees and tries, and with what an image may have: directories and files for their owner
/// alone, some of other owners, links, set-user-id bits.
struct Image {
    directory: tempfile::TempDir,
}

impl Image {
    /// None where it cannot be made, which is said.
    fn make(program: &str) -> Option<Image> {
        if !images::has(&["skopeo", "umoci"]) {
            return None;
        }
        let image = Image { directory: kit::temp_dir() };
        chmod(image.directory.path(), 0o777);
        let tree = |name: &str| image.path("tree").join(name);
        for directory in ["usr/bin", "etc", "root/below", "srv/theirs", "opt/tool", "empty"] {
            fs::create_dir_all(tree(directory)).expect("a directory");
        }
        fs::write(image.path("program.c"), program).expect("a program");
        images::run("cc", &["-static", "-o", &image.text("tree/usr/bin/bash"), &image.text("program.c")]);
        fs::copy(tree("usr/bin/bash"), tree("usr/bin/su")).expect("a copy");
        for name in ["etc/theirs", "root/below/secret", "srv/theirs/file", "opt/tool/file", "note"] {
            fs::write(tree(name), name).expect("a file");
        }
        fs::write(tree("large"), vec![b'l'; LARGE]).expect("a file");
        symlink("usr/bin", tree("bin")).expect("a link");
        for (name, mode) in [
            ("usr/bin/su", 0o6755),
            ("root/below/secret", 0o600),
            ("root/below", 0o700),
            ("root", 0o700),
            ("srv/theirs", 0o2770),
            ("note", 0o400),
        ] {
            chmod(&tree(name), mode);
        }
        let archive = |name: &str, words: &[&str]| {
            let archive = image.text(name);
            images::run("tar", &[&["-C", &image.text("tree"), "--numeric-owner", "-cf", &archive], words].concat());
            archive
        };
        let roots = archive("roots.tar", &["--owner=0", "--group=0", "--exclude=./srv", "."]);
        let others = archive("others.tar", &["--owner=33", "--group=44", "./srv"]);
        let name = format!("{}:x", image.text("oci"));
        images::run("umoci", &["init", "--layout", &image.text("oci")]);
        images::run("umoci", &["new", "--image", &name]);
        for layer in [roots, others] {
            images::run("umoci", &["raw", "add-layer", "--image", &name, &layer]);
        }
        images::run("chmod", &["-R", "a+rX", &image.text("oci")]);
        Some(image)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        images::text(&self.path(name)).to_owned()
    }

    fn call(&self, setting: Setting, words: &[&str]) -> Firebox {
        let home = self.path(&setting.to_string().replace(' ', "-"));
        setting.caller().env("HOME", "/nonexistent").env("FIREBOX_HOME", home).args(words)
    }

    /// Takes it in, in this setting.
    fn take_in(&self, setting: Setting) {
        let image = format!("oci:{}:x", self.text("oci"));
        let taken =
            self.call(setting, &["rootfs", "from-docker", "--name", "small", "--size", "50", "--image", &image]).run();
        assert_eq!(taken.code(), 0, "{taken}");
    }

    /// Has its program run, once it is taken in.
    fn job(&self, setting: Setting) -> Firebox {
        self.call(setting, &["run", "--image", "small", "--lang", "bash", "--code", "x"])
    }
}

/// Runs the image's program in each kind of jail that there is here, and looks for what is left.
fn in_each_jail(image: &Image, check: impl Fn(Setting, &Outcome)) {
    for setting in JAILS.into_iter().filter(|setting| setting.missing().is_none()) {
        image.take_in(setting);
        let host = HostInventory::take();
        let outcome = image.job(setting).arg("--json").outcome();
        assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
        check(setting, &outcome);
        host.assert_nothing_left();
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("chmod");
}

/// What every program here begins with.
const HEAD: &str = r#"
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static const char *paths[] = {"/", "/usr", "/usr/bin/bash", "/usr/bin/su", "/bin", "/etc", "/etc/theirs", "/etc/passwd", "/root",
    "/root/below", "/root/below/secret", "/srv", "/srv/theirs", "/srv/theirs/file", "/opt", "/opt/tool/file", "/opt/firebox", "/empty",
    "/note", "/large"};
#define EACH(i) for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++)
static int readable(const char *path) {
    char byte;
    DIR *directory = opendir(path);
    int file = open(path, O_RDONLY);
    return directory ? readdir(directory) != 0 : 0 <= file && read(file, &byte, 1) == 1;
}
"#;

const STAT: &str = r#"
int main(void) {
    uid_t r, e, s;
    gid_t R, E, S;
    getresuid(&r, &e, &s);
    getresgid(&R, &E, &S);
    printf("job %u %u %u %u %u %u, %d more groups\n", r, e, s, R, E, S, getgroups(0, 0));
    EACH(i) {
        struct stat seen;
        if (lstat(paths[i], &seen)) printf("%s: %s\n", paths[i], strerror(errno));
        else printf("%s %u:%u %o%s\n", paths[i], seen.st_uid, seen.st_gid, seen.st_mode, readable(paths[i]) ? "" : " unreadable");
    }
    close(open("/tmp/own", O_CREAT | O_WRONLY, 0600));
    struct stat own;
    if (!stat("/tmp/own", &own)) printf("own %s\n", own.st_uid == e && own.st_gid == E ? "the job's" : "another's");
}
"#;

#[test]
fn every_file_of_an_image_is_roots_and_can_be_read() {
    let Some(image) = Image::make(&format!("{HEAD}{STAT}")) else { return };
    in_each_jail(&image, |setting, outcome| {
        let mut expected = match setting {
            Setting::RootJail => "job 1000 1000 1000 1000 1000 1000, 0 more groups\n".to_owned(),
            // Who has one id can be one user.
            _ => "job 0 0 0 0 0 0, 0 more groups\n".to_owned(),
        };
        for (path, mode) in [
            ("/", 0o40755),
            ("/usr", 0o40755),
            ("/usr/bin/bash", 0o100_555),
            ("/usr/bin/su", 0o100_555),
            ("/bin", 0o120_777),
            ("/etc", 0o40755),
            ("/etc/theirs", 0o100_444),
            ("/etc/passwd", 0o100_644),
            ("/root", 0o40755),
            ("/root/below", 0o40755),
            ("/root/below/secret", 0o100_444),
            ("/srv", 0o40755),
            ("/srv/theirs", 0o40755),
            ("/srv/theirs/file", 0o100_444),
            ("/opt", 0o40755),
            ("/opt/tool/file", 0o100_444),
            ("/opt/firebox", 0o40755),
            ("/note", 0o100_644),
            ("/large", 0o100_444),
        ] {
            expected += &format!("{path} 0:0 {mode:o}\n");
            if path == "/opt/firebox" {
                expected += "/empty: No such file or directory\n";
            }
        }
        expected += "own the job's\n";
        assert_eq!(outcome.stdout(), expected, "{setting}: {outcome}");
    });
}

const CHANGE: &str = r#"
static void tried(const char *what, const char *path, int failed) {
    if (!failed) printf("%s %s\n", what, path);
}
static const char *capabilities(const char *set) {
    static char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, set, strlen(set))) return line + strlen(set) + strspn(line + strlen(set), "\t 0\n");
    return "unknown";
}
static void change(void) {
    uid_t others[] = {0, 1, 33, 999, 1000, 65534};
    close(open("/tmp/own", O_CREAT | O_WRONLY, 0600));
    tried("control: chmod", "/tmp/own", chmod("/tmp/own", 0640));
    tried("control: chown", "/tmp/own", chown("/tmp/own", getuid(), getgid()));
    EACH(i) {
        char below[64];
        snprintf(below, sizeof below, "%s/new", paths[i]);
        tried("chmod", paths[i], chmod(paths[i], 0777));
        tried("chown to the job", paths[i], lchown(paths[i], getuid(), getgid()));
        tried("times of", paths[i], utimensat(AT_FDCWD, paths[i], 0, AT_SYMLINK_NOFOLLOW));
        tried("open to write", paths[i], open(paths[i], O_WRONLY) < 0);
        tried("made", below, open(below, O_WRONLY | O_CREAT, 0600) < 0);
        tried("remove", paths[i], unlink(paths[i]));
        tried("rename", paths[i], rename(paths[i], "/tmp/taken"));
        tried("link", paths[i], link(paths[i], "/tmp/linked"));
        for (unsigned o = 0; o < sizeof others / sizeof *others; o++)
            tried("chown", paths[i], lchown(paths[i], others[o], others[o]));
    }
    for (unsigned o = 0; o < sizeof others / sizeof *others; o++) {
        if (others[o] == getuid()) continue;
        tried("chown own file to another", "", chown("/tmp/own", others[o], -1));
        tried("group of own file to another", "", chown("/tmp/own", -1, others[o]));
        tried("become", "another", setresuid(others[o], others[o], others[o]));
        tried("become group", "another", setresgid(others[o], others[o], others[o]));
    }
    gid_t root = 0;
    tried("groups", "root's", setgroups(1, &root));
    for (const char **set = (const char *[]){"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", 0}; *set; set++)
        if (*capabilities(*set)) printf("%s %s", *set, capabilities(*set));
}
"#;

/// Begins as itself, and once more as a program whose image says that it is root's and has the set-user-id bit.
const TWICE: &str = r#"
int main(int count, char **words) {
    printf("%s %u %u\n", strcmp(words[0], "su") ? "begins" : "again", geteuid() == getuid(), getegid() == getgid());
    change();
    fflush(stdout);
    if (strcmp(words[0], "su")) execl("/usr/bin/su", "su", (char *)0);
}
"#;

#[test]
fn attack_no_file_of_an_image_can_be_changed_and_no_other_user_be_had() {
    let Some(image) = Image::make(&format!("{HEAD}{CHANGE}{TWICE}")) else { return };
    in_each_jail(&image, |setting, outcome| {
        let controls = "control: chmod /tmp/own\ncontrol: chown /tmp/own\n";
        assert_eq!(outcome.stdout(), format!("begins 1 1\n{controls}again 1 1\n{controls}"), "{setting}: {outcome}");
    });
}

/// Has as many signals wait as it gets.
const SIGNALS: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    sigset_t waits;
    int queued = 0;
    sigemptyset(&waits);
    sigaddset(&waits, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &waits, 0);
    while (queued < 4000 && !sigqueue(getpid(), SIGRTMIN, (union sigval){0})) queued++;
    printf("%s\n", 1000 < queued ? "many wait" : "few wait");
    fflush(stdout);
    sleep(1000);
}
"#;

/// What a user namespace takes from the kernel is on the account of whoever it belongs to, besides that of who is in it.
#[test]
fn attack_what_a_job_takes_from_the_kernel_is_not_taken_from_root() {
    let Some(image) = Image::make(SIGNALS) else { return };
    if !kit::is_root("attack_what_a_job_takes_from_the_kernel_is_not_taken_from_root") {
        return;
    }
    image.take_in(Setting::RootJail);
    let host = HostInventory::take();
    let before = signals_that_wait();
    let running = image.job(Setting::RootJail).start();
    running.wait_for_stdout("many wait");
    let taken = signals_that_wait().saturating_sub(before);
    running.signal(Signal::INT);
    assert_eq!(running.wait().code(), 130);
    assert!(taken < 500, "{taken} signals of the job wait on root's account");
    host.assert_nothing_left();
}

/// On the account of who runs this test.
fn signals_that_wait() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("SigQ:")).expect("a line");
    line.trim().split('/').next().expect("two numbers").parse().expect("a number")
}
