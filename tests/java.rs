//! Java: classes of any name, a machine that has to know of the job's limits, and what is made once of each JDK.

mod kit;

use kit::{HostInventory, Outcome, firebox, is_installed, job, leaving_nothing, outcome};

/// What comes of a program with this in its `main`.
fn run(body: &str, flags: &[&str]) -> Outcome {
    let code = format!(
        "class Any {{\n  static int depth(int n) {{ return 1 + depth(n + 1); }}\n  public static void main(String[] args) throws Exception {{\n    {body}\n  }}\n}}\n"
    );
    outcome(job("java", &code).args(flags))
}

#[test]
fn a_program_of_several_files_has_its_input_arguments_and_variables() {
    if !is_installed("java") {
        return;
    }
    let main = "import tools.Show;\npublic class Start { public static void main(String[] args) throws Exception {\n System.out.println(Show.all(new String(System.in.readAllBytes()), args)); } }\n";
    let show = "package tools;\npublic class Show { public static String all(String in, String[] words) { return in + String.join(\"|\", words) + System.getenv(\"WHO\") + \" é\"; } }\n";
    let call = firebox().file("Main.java", main).file("tools/Show.java", show).stdin("in ");
    let call =
        call.args(["run", "Main.java", "--file", "tools/Show.java", "--env", "WHO=me", "--json", "--", "a b", "-x"]);
    let outcome = outcome(call);
    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
    assert_eq!(outcome.stdout(), "in a b|-xme é\n", "{outcome}");
}

#[test]
fn how_a_program_ends_is_told_apart() {
    if !is_installed("java") {
        return;
    }
    for (body, flags, verdict, words) in [
        ("System.out.println(1);", &[][..], ("ok", "run", 0, None), ""),
        ("System.exit(7);", &[], ("runtime_error", "run", 7, None), ""),
        ("throw new Exception(\"so\");", &[], ("runtime_error", "run", 1, None), "at Any.main(Main.java:4)"),
        ("depth(0);", &[], ("runtime_error", "run", 1, None), "java.lang.StackOverflowError"),
        (
            "int[][] all = new int[9999][]; for (int i = 0; i < 9999; i++) all[i] = new int[1 << 18];",
            &["--memory", "128M"],
            ("runtime_error", "run", 1, None),
            "java.lang.OutOfMemoryError: Java heap space",
        ),
        ("Thread.sleep(60000);", &["--run-time", "2s"], ("timeout", "run", 124, None), ""),
        ("int x = missing;", &[], ("compile_error", "compile", 1, None), "Main.java:4: error: cannot find symbol"),
    ] {
        let outcome = run(body, flags);
        assert_eq!(outcome.verdict(), verdict, "{outcome}");
        assert!(outcome.stderr().contains(words), "it does not say {words:?}\n{outcome}");
    }
    let without = outcome(job("java", "class Any { void other() {} }"));
    assert_eq!(without.verdict(), ("compile_error", "compile", 1, None), "{without}");
    assert!(without.stderr().contains("no class has a method `public static void main(String[] args)`"), "{without}");
}

#[test]
fn the_machine_goes_by_the_jobs_limits_and_leaves_no_files() {
    if !is_installed("java") {
        return;
    }
    let body = "var r = Runtime.getRuntime();\n    System.out.println(r.availableProcessors() + \" \" + (r.maxMemory() >> 20 < 200) + \" \" + java.util.Arrays.toString(new java.io.File(\"/tmp\").list()));";
    let outcome = run(body, &["--memory", "256M"]);
    assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "1 true []\n"), "{outcome}");
}

#[test]
fn what_a_jdk_lacks_is_made_once_and_kept_by_who_asked() {
    if !is_installed("java") {
        return;
    }
    let host = HostInventory::take();
    let home = kit::temp_dir();
    let call = |words: &[&str]| firebox().env("FIREBOX_HOME", home.path().join("firebox")).args(words).run();
    let code = "class A { public static void main(String[] a) { System.out.println(new java.io.File(\"/opt/groundwork\").canWrite()); } }";
    let first = call(&["run", "--lang", "java", "--code", code]);
    assert_eq!((first.code(), first.stdout().as_str()), (0, "false\n"), "{first}");
    assert!(first.stderr().contains("making what jobs in java need"), "{first}");
    let again = call(&["run", "--lang", "java", "--code", code]);
    assert_eq!((again.code(), again.stdout().as_str(), again.stderr().as_str()), (0, "false\n", ""), "{again}");
    let prepared = call(&["languages", "prepare", "java"]);
    assert_eq!((prepared.code(), prepared.stderr().as_str()), (0, ""), "{prepared}");

    // What was cut off halfway is nobody's, and what others could write is not taken.
    let kept = home.path().join("firebox/groundworks");
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(&kept).expect("groundworks").flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.contains('@'))
            .collect()
    };
    let made = names();
    assert_eq!(made.len(), 1, "{made:?}");
    std::fs::rename(kept.join(&made[0]), kept.join("making")).expect("a name");
    let anew = call(&["languages", "prepare", "java"]);
    assert_eq!((anew.code(), names()), (0, made), "{anew}");
    std::fs::set_permissions(&kept, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
    let refused = call(&["run", "--lang", "java", "--code", code]);
    assert_eq!(refused.code(), 125, "{refused}");
    assert!(refused.stderr().contains("open to others"), "{refused}");
    host.assert_nothing_left();
}

#[test]
fn where_nothing_can_be_kept_it_says_where_and_how_to_name_another_place() {
    if !is_installed("java") {
        return;
    }
    let code = "class A { public static void main(String[] a) {} }";
    let call = firebox().env("FIREBOX_HOME", "/proc/firebox").args(["run", "--lang", "java", "--code", code]);
    let refused = leaving_nothing(|| call.run());
    assert_eq!(refused.code(), 125, "{refused}");
    for words in ["/proc/firebox/groundworks", "FIREBOX_HOME names another directory"] {
        assert!(refused.stderr().contains(words), "it does not say {words:?}\n{refused}");
    }
}
