//! Go: its programs are compiled without the `go` command, and run in a runtime that has to know of the job's limits.

mod kit;

use kit::{Outcome, firebox, is_installed, job, outcome};

/// What comes of a program whose `main` has this in it.
fn run(imports: &str, body: &str, flags: &[&str]) -> Outcome {
    let code = format!("package main\n\nimport ({imports})\n\nfunc main() {{\n\t{body}\n}}\n");
    outcome(job("go", &code).args(flags))
}

#[test]
fn a_program_of_several_files_has_its_input_arguments_and_variables() {
    if !is_installed("go") {
        return;
    }
    let main = "package main\n\nimport (\n\t\"bufio\"\n\t\"os\"\n)\n\nfunc main() {\n\tline, _ := bufio.NewReader(os.Stdin).ReadString('\\n')\n\tshow(line, os.Args[1:], os.Getenv(\"WHO\"))\n}\n";
    let show = "package main\n\nimport \"fmt\"\n\nfunc show(line string, words []string, who string) {\n\tfmt.Printf(\"%q %q %s\\n\", line, words, who)\n}\n";
    let call = firebox().file("main.go", main).file("show.go", show).stdin("in\n");
    let call = call.args(["run", "main.go", "--file", "show.go", "--env", "WHO=me", "--json", "--", "a b", "-x"]);
    let outcome = outcome(call);
    assert_eq!(outcome.verdict(), ("ok", "run", 0, None), "{outcome}");
    assert_eq!(outcome.stdout(), "\"in\\n\" [\"a b\" \"-x\"] me\n", "{outcome}");
}

#[test]
fn a_program_that_goes_wrong_says_where() {
    if !is_installed("go") {
        return;
    }
    for (imports, body, words) in [
        ("", "var list []int; _ = list[len(list)+3]", ["index out of range [3] with length 0", "/job/main.go:6"]),
        ("", "var where *int; *where = 1", ["nil pointer dereference", "/job/main.go:6"]),
        ("", "<-make(chan int)", ["all goroutines are asleep - deadlock!", "/job/main.go:6"]),
        ("", "panic(\"so\")", ["panic: so", "/job/main.go:6"]),
    ] {
        let outcome = run(imports, body, &[]);
        assert_eq!(outcome.verdict(), ("runtime_error", "run", 2, None), "{outcome}");
        for words in words {
            assert!(outcome.stderr().contains(words), "it does not say {words:?}\n{outcome}");
        }
    }
}

#[test]
fn code_that_cannot_be_compiled_or_linked_is_the_programs_fault_by_file_and_line() {
    if !is_installed("go") {
        return;
    }
    for (code, step, words) in [
        ("package main\n\nimport \"os\"\n\nfunc main() {}\n", "compile", "\"os\""),
        (
            "package main\n\nimport \"example.com/x\"\n\nfunc main() { x.Y() }\n",
            "compile",
            "main.go:3:8: could not import example.com/x",
        ),
        ("package main\n\nfunc main() {\n\tvar x int = \"a\"\n}\n", "compile", "main.go:4:"),
        ("package main\n\nfunc other()\n\nfunc main() { other() }\n", "compile", "missing function body"),
        ("package main\n\nfunc other() {}\n", "link", "function main is undeclared in the main package"),
        ("package other\n\nfunc main() {}\n", "link", "not package main"),
    ] {
        let outcome = outcome(job("go", code));
        assert_eq!(outcome.verdict(), ("compile_error", step, 2, None), "{outcome}");
        assert!(outcome.stderr().contains(words), "it does not say {words:?}\n{outcome}");
    }
}

#[test]
fn a_heap_is_kept_within_the_jobs_memory_while_that_can_be() {
    if !is_installed("go") {
        return;
    }
    // Without being told, the heap would be let grow to twice of what is in use: more than the job has.
    let body = "live := make([][]byte, 0)\n\tfor i := 0; i < 150; i++ { live = append(live, make([]byte, 1<<20)); for j := range live[i] { live[i][j] = 1 } }\n\tfor i := 0; i < 400; i++ { sink = make([]byte, 1<<20); for j := range sink { sink[j] = 1 } }\n\tfmt.Println(len(live))";
    let code = format!("package main\n\nimport \"fmt\"\n\nvar sink []byte\n\nfunc main() {{\n\t{body}\n}}\n");
    let within = outcome(job("go", &code).args(["--memory", "256M"]));
    assert_eq!((within.verdict(), within.stdout()), (("ok", "run", 0, None), "150\n"), "{within}");
    let beyond = outcome(job("go", &code.replace("i < 150", "i < 400")).args(["--memory", "256M"]));
    assert_eq!(beyond.verdict(), ("memory_limit", "run", 137, None), "{beyond}");
}

#[test]
fn goroutines_are_no_tasks_and_as_many_run_at_once_as_there_are_cpus_for_the_job() {
    if !is_installed("go") {
        return;
    }
    let body = "var group sync.WaitGroup\n\tfor i := 0; i < 5000; i++ { group.Add(1); go func() { defer group.Done(); runtime.Gosched() }() }\n\tgroup.Wait()\n\tfmt.Println(runtime.GOMAXPROCS(0))";
    let outcome = run("\"fmt\"; \"runtime\"; \"sync\"", body, &["--tasks", "16"]);
    assert_eq!((outcome.verdict(), outcome.stdout()), (("ok", "run", 0, None), "1\n"), "{outcome}");
}
