//! What is built is kept for the next job with the same code, and for nothing and nobody else.

mod kit;

use kit::{Response, requests};
use serde_json::{Value, json};

/// Prints something else every time, and what has reached it. The compiler warns of it.
const C: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static int unused(void) { return 1; }
#warning "this is said by the compiler"
int main(int argc, char **argv) {
    struct timespec now;
    char line[100] = "nothing";
    clock_gettime(CLOCK_REALTIME, &now);
    fgets(line, sizeof line, stdin);
    printf("%lld.%09ld %s %s %s\n", (long long)now.tv_sec, now.tv_nsec, argc > 1 ? argv[1] : "-",
           getenv("GREETING") ? getenv("GREETING") : "-", line);
}
"#;

const RUST: &str = r#"
use std::time::{SystemTime, UNIX_EPOCH};
fn main() {
    let unused = 1;
    let mut line = String::from("nothing");
    std::io::stdin().read_line(&mut line).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let greeting = std::env::var("GREETING").unwrap_or("-".into());
    println!("{now:?} {} {greeting} {line}", std::env::args().nth(1).unwrap_or("-".into()));
}
"#;

/// What the program printed, without the time, which comes first.
fn but_for_the_time(response: &Response) -> &str {
    response.stdout().split_once(' ').unwrap_or_else(|| panic!("no time: {response:?}")).1
}

#[test]
fn the_same_code_again_is_not_built_again_and_runs_again() {
    for (language, code) in [("c", C), ("rust", RUST)] {
        let same = || json!({"lang": language, "code": code});
        let responses = requests(&["c", "rust"]).ask("ann", same()).ask("ann", same()).ask("ann", same()).answered();

        let kept: Vec<bool> = responses.iter().map(Response::is_kept).collect();
        assert_eq!(kept, [false, true, true], "{responses:?}");
        let times: std::collections::BTreeSet<&str> = responses.iter().map(Response::stdout).collect();
        assert_eq!(times.len(), 3, "each run is a run of its own: {responses:?}");
        let but_for_what_is_new = |response: &Response| {
            let mut left = response.but_for_numbers();
            left["stdout"] = but_for_the_time(response).into();
            left["steps"][1]["stdout"].take();
            left
        };
        let first = but_for_what_is_new(&responses[0]);
        let warnings = first["steps"][0]["stderr"].as_str().expect("the compiler's words");
        assert!(warnings.contains("warning"), "{first}");
        for response in &responses[1..] {
            assert_eq!(but_for_what_is_new(response), first, "{language}");
        }
    }
}

#[test]
fn what_reaches_the_run_alone_reaches_a_program_that_was_kept() {
    for (language, code) in [("c", C), ("rust", RUST)] {
        let with = |more: Value| {
            let mut request = json!({"lang": language, "code": code});
            request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            request
        };
        let responses = requests(&[language])
            .ask("ann", with(json!({})))
            .ask("ann", with(json!({"args": ["an argument"]})))
            .ask("ann", with(json!({"env": {"GREETING": "hello"}})))
            .ask("ann", with(json!({"stdin": "a line"})))
            .ask("ann", with(json!({"limits": {"memory_mb": 100, "run_seconds": 3, "disk_mb": 5}})))
            .answered();
        let printed: Vec<String> = responses
            .iter()
            .map(|response| but_for_the_time(response).replace("nothing", "").trim().to_owned())
            .collect();
        assert_eq!(printed, ["- -", "an argument -", "- hello", "- - a line", "- -"], "{language}");
        assert!(responses[1..].iter().all(Response::is_kept), "{responses:?}");
    }
}

#[test]
fn whatever_a_build_depends_on_has_it_built_anew() {
    let code = "int main(void) { return 0; }";
    let file = |path: &str, content: &str| json!({"path": path, "content": content});
    let with_header = |header: &str| json!({"lang": "c", "files": [file("main.c", code), file("a.h", header)]});
    let responses = requests(&["c", "cpp", "rust"])
        .ask("ann", json!({"lang": "c", "code": code}))
        .ask("ann", json!({"lang": "c", "code": format!("{code}\n")}))
        .ask("ann", json!({"lang": "cpp", "code": code}))
        .ask("ann", json!({"lang": "c", "code": code, "options": {"profile": "release"}}))
        .ask("ann", json!({"lang": "c", "code": code, "options": {"standard": "c99"}}))
        .ask("ann", with_header(""))
        .ask("ann", with_header("x"))
        .ask("ann", json!({"lang": "c", "files": [file("other.c", code)]}))
        .ask("bob", json!({"lang": "c", "code": code}))
        .ask("", json!({"lang": "c", "code": code}))
        .ask("ann", json!({"lang": "rust", "code": "fn main() {}"}))
        .ask("ann", json!({"lang": "rust", "code": "fn main() {}", "options": {"edition": 2021}}))
        .ask("ann", json!({"lang": "rust", "code": "fn main() {}", "options": {"profile": "release"}}))
        .answered();
    for response in &responses {
        assert_eq!((response.status(), response.is_kept()), ("ok", false), "{response:?}");
    }
}

#[test]
fn another_partition_has_it_built_anew_and_keeps_its_own() {
    let same = || json!({"lang": "c", "code": C});
    let asked = ["ann", "bob", "ann", "bob", "eve"];
    let responses = asked.iter().fold(requests(&["c"]), |requests, name| requests.ask(name, same())).answered();
    let kept: Vec<bool> = responses.iter().map(Response::is_kept).collect();
    assert_eq!(kept, [false, false, true, true, false]);
}

#[test]
fn a_program_that_does_what_it_can_to_its_own_file_harms_nobody_after_it() {
    let code = r#"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    if (argc > 1) {
        int new = open("new", O_WRONLY | O_CREAT, 0755);
        if (new < 0 || write(new, "spoilt", 6) != 6 || close(new)) return 2;
        if (rename("new", argv[0])) return 3;
        int own = open(argv[0], O_WRONLY | O_TRUNC);
        if (own < 0 || write(own, "spoilt twice", 12) != 12) return 4;
        chmod(argv[0], 0);
    }
    puts("sound");
}
"#;
    let spoiling = || json!({"lang": "c", "code": code, "args": ["spoil"]});
    let plain = || json!({"lang": "c", "code": code});
    // Once in the cell it was built in, and once in one that it was put into.
    let responses = requests(&["c"])
        .ask("ann", spoiling())
        .ask("ann", plain())
        .ask("ann", spoiling())
        .ask("ann", plain())
        .answered();
    for response in &responses {
        assert_eq!((response.status(), response.stdout()), ("ok", "sound\n"), "{response:?}");
    }
    assert!(responses[1..].iter().all(Response::is_kept), "{responses:?}");
}

#[test]
fn a_program_that_was_kept_looks_no_different_to_itself() {
    let code = r#"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char own[100] = "", names[200] = "";
    struct stat found;
    readlink("/proc/self/exe", own, sizeof own - 1);
    stat(own, &found);
    for (const char *place = "."; place; place = strcmp(place, ".") ? NULL : "/tmp") {
        DIR *there = opendir(place);
        for (struct dirent *entry; (entry = readdir(there));) sprintf(names + strlen(names), "%s ", entry->d_name);
    }
    printf("%s %s %o %ld %d %d %d %d %s\n", argv[0], own, found.st_mode, (long)found.st_size, (int)found.st_uid,
           (int)found.st_gid, (int)found.st_nlink, getpid() > 1, names);
}
"#;
    let same = || json!({"lang": "c", "code": code});
    let responses = requests(&["c"]).ask("ann", same()).ask("ann", same()).answered();
    assert!(responses[1].is_kept(), "{responses:?}");
    assert_eq!(responses[0].stdout(), responses[1].stdout());
}

#[test]
fn a_build_that_fails_is_made_again_every_time() {
    let wrong = || json!({"lang": "c", "code": "int main(void) { return nothing; }"});
    let late = || json!({"lang": "c", "code": C, "limits": {"compile_seconds": 0.001}});
    let responses = requests(&["c"])
        .ask("ann", wrong())
        .ask("ann", wrong())
        .ask("ann", late())
        .ask("ann", json!({"lang": "c", "code": C}))
        .answered();
    let said: Vec<(&str, Value)> =
        responses.iter().map(|response| (response.status(), response.but_for_numbers()["step"].clone())).collect();
    let compile = Value::from("compile");
    assert_eq!(
        said,
        [
            ("compile_error", compile.clone()),
            ("compile_error", compile.clone()),
            ("timeout", compile),
            ("ok", "run".into())
        ]
    );
    assert!(!responses.last().unwrap().but_for_numbers()["stdout"].is_null());
}

#[test]
fn a_build_that_says_more_than_is_granted_is_not_kept_for_whoever_is_granted_more() {
    let code = "#warning one\n#warning two\nint main(void) { return 0; }\n".replace("one", &"long ".repeat(600));
    let granted = |kb: u64| json!({"lang": "c", "code": code, "limits": {"output_kb": kb}});
    let responses = requests(&["c"]).ask("ann", granted(1)).ask("ann", granted(64)).ask("ann", granted(1)).answered();
    let words = |response: &Response| response.but_for_numbers()["steps"][0]["stderr"].as_str().unwrap().to_owned();
    let kept: Vec<bool> = responses.iter().map(Response::is_kept).collect();
    assert_eq!(kept, [false, false, true], "{responses:?}");
    assert!(words(&responses[1]).len() > 3000);
    assert_eq!(words(&responses[0]), words(&responses[2]), "kept words are cut as new ones are");
}

#[test]
fn the_moment_of_a_build_is_never_an_earlier_one() {
    for word in ["__TIME__", "__DATE__", "__TIMESTAMP__"] {
        let code = format!("#include <stdio.h>\nint main(void) {{ puts({word}); }}");
        let same = || json!({"lang": "c", "code": code});
        let responses = requests(&["c"]).ask("ann", same()).ask("ann", same()).answered();
        assert!(!responses[1].is_kept(), "{word}: {responses:?}");
    }
}

#[test]
fn a_build_that_makes_no_program_comes_to_the_same_every_time() {
    let one = || json!({"lang": "rust", "code": "#![crate_type = \"rlib\"]"});
    let several = || json!({"lang": "rust", "code": "#![crate_type = \"rlib\"]\n#![crate_type = \"staticlib\"]"});
    let responses = requests(&["rust"]).ask("ann", one()).ask("ann", one()).ask("ann", several()).ask("ann", several());
    let responses = responses.answered();
    for pair in responses.chunks(2) {
        assert_eq!(pair[0].but_for_numbers(), pair[1].but_for_numbers());
        assert_eq!(pair[0].status(), "runtime_error", "{pair:?}");
    }
    assert!(responses[1].is_kept(), "a file that is no program is a file: {responses:?}");
    assert!(!responses[3].is_kept(), "two files under other names: {responses:?}");
}

#[test]
fn jobs_of_languages_that_build_nothing_are_as_they_were() {
    let same = || json!({"lang": "bash", "code": "echo $RANDOM$RANDOM$RANDOM"});
    let responses = requests(&["bash"]).ask("ann", same()).ask("ann", same()).answered();
    assert_ne!(responses[0].stdout(), responses[1].stdout());
    assert!(!responses[1].is_kept());
}
