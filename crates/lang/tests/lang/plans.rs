//! From jobs to plans, with made-up toolchains.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;

use crate::support::Fixture;
use firebox_cell::Layout;
use firebox_job::{
    Ask, ByteSize, Isolation, Job, Limits, OptionValue, Policy, Require, Seed, SourceFile, SourcePath, Sources,
    StepKind, TraceId,
};
use firebox_lang::{Catalogue, Host, Language, Linker, Plan, PlanError, Step, Toolchain};

/// A host that has everything, each in a place of its own, so that no plan depends on where these tests run.
fn toolchain(language: &Language) -> Toolchain {
    let tools = ["rust/bin/rustc", "gcc/bin/cc", "gcc/bin/gcc", "gcc/bin/g++", "python/bin/python3", "node/bin/node"];
    let mut fixture = Fixture::new().program("shell/bin/bash").search("shell/bin");
    for tool in tools {
        let directory = tool.rsplit_once('/').unwrap().0;
        fixture = fixture.program(tool).search(directory);
    }
    let fixture = go(fixture).file("go/pkg/linux_amd64/fmt.a", "compiled");
    let fixture = fixture.program("jdk/bin/javac").program("jdk/bin/java").search("jdk/bin");
    let mut toolchain = language.find_toolchain(fixture.as_host()).unwrap();
    if toolchain.lacks_groundwork() {
        toolchain.lay(Path::new("/made"));
    }
    toolchain
}

/// A Go without its library compiled.
fn go(fixture: Fixture) -> Fixture {
    let fixture = fixture.program("go/bin/go").search("go/bin");
    fixture.program("go/pkg/tool/linux_amd64/compile").program("go/pkg/tool/linux_amd64/link")
}

fn job(files: &[&str]) -> Job {
    let file = |path: &&str| SourceFile { path: SourcePath::new(*path).unwrap(), content: Vec::new() };
    let policy = Policy::for_host(NonZeroU32::MIN, ByteSize::gib(1));
    Job {
        trace_id: TraceId::new("test").unwrap(),
        language: "any".to_owned(),
        sources: Sources::new(files.iter().map(file).collect(), None).unwrap(),
        args: Vec::new(),
        env: BTreeMap::new(),
        options: BTreeMap::new(),
        limits: Limits::within(Ask::default(), &policy).unwrap(),
        isolation: Isolation::default(),
        require: Require::default(),
        seed: Seed::default(),
    }
}

fn plan(language: &str, job: &Job) -> Result<Plan, PlanError> {
    let catalogue = Catalogue::builtin();
    let language = catalogue.find(language).unwrap();
    language.plan(job, &toolchain(language), &Layout::Viewed)
}

/// The steps as lines: name and argv.
#[track_caller]
fn check(language: &str, job: &Job, expected: &[&str]) {
    let plan = plan(language, job).unwrap();
    let line = |step: &firebox_lang::Step| {
        let argv: Vec<_> = step.argv.iter().map(|arg| String::from_utf8_lossy(arg)).collect();
        format!("{}: {}", step.name, argv.join(" "))
    };
    assert_eq!(plan.steps.iter().map(line).collect::<Vec<_>>(), expected);
}

#[test]
fn each_language_has_its_plan() {
    check(
        "rust",
        &job(&["main.rs"]),
        &[
            "compile: /opt/rustup/toolchains/rust/bin/rustc --crate-name main -o runbin --edition 2024 \
             -C prefer-dynamic -C rpath main.rs",
            "run: /job/runbin",
        ],
    );
    check(
        "c",
        &job(&["main.c", "list.h", "list.c", "data.txt"]),
        &[
            "compile: /opt/cc/bin/gcc -pass-exit-codes -o runbin -std=gnu17 -pthread -x c main.c list.c -x none -lm",
            "run: /job/runbin",
        ],
    );
    check(
        "cpp",
        &job(&["odd", "a/b.cc", "c.cpp", "d.hpp", "e.c"]),
        &[
            "compile: /opt/cc/bin/g++ -pass-exit-codes -o runbin -std=gnu++17 -pthread -x c++ odd a/b.cc c.cpp \
             -x none -lm",
            "run: /job/runbin",
        ],
    );
    check("python", &job(&["main.py", "helper.py"]), &["run: /opt/python/bin/python3 main.py"]);
    check(
        "go",
        &job(&["main.go", "list.go", "data.txt"]),
        &[
            "compile: /bin/sh -c exec \"$@\" >&2 sh /opt/go/pkg/tool/linux_amd64/compile -o runbin.a -p main -complete -c=4 -pack \
             -I /opt/go/pkg/linux_amd64 main.go list.go",
            "link: /opt/go/pkg/tool/linux_amd64/link -s -w -o runbin -L /opt/go/pkg/linux_amd64 runbin.a",
            "run: /job/runbin",
        ],
    );
    check(
        "java",
        &job(&["Main.java", "a/B.java"]),
        &[
            "compile: /opt/jdk/bin/java -XX:SharedArchiveFile=/opt/groundwork/build.jsa -XX:TieredStopAtLevel=1 \
             -XX:+UseSerialGC -XX:-UsePerfData -Xmx512m -cp /opt/groundwork Build runbin.jar Main.java a/B.java",
            "run: /opt/jdk/bin/java -Xmx402653184 -XX:ActiveProcessorCount=1 -XX:+UseSerialGC -XX:-UsePerfData \
             -XX:ErrorFile=/dev/null -jar runbin.jar",
        ],
    );
    check("javascript", &job(&["inspect"]), &["run: /opt/node/bin/node ./inspect"]);
    check("bash", &job(&["main.sh"]), &["run: /opt/bash/bin/bash main.sh"]);
}

#[test]
fn a_toolchain_without_its_library_has_no_plan_until_that_was_made_and_then_one_with_its_place() {
    let catalogue = Catalogue::builtin();
    let language = catalogue.find("go").unwrap();
    let fixture = go(Fixture::new());
    let mut toolchain = language.find_toolchain(fixture.as_host()).unwrap();
    let plan = |toolchain: &Toolchain, layout: &Layout| language.plan(&job(&["main.go"]), toolchain, layout);
    let error = plan(&toolchain, &Layout::Viewed).unwrap_err();
    assert!(toolchain.lacks_groundwork() && error.to_string().contains("firebox languages prepare go"), "{error}");

    let laying = language.laying(&toolchain, &Layout::Viewed).unwrap();
    let variable =
        |name: &str| laying.step.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!((variable("GOCACHE"), variable("GOPROXY")), (Some("/job/cache"), Some("off")));
    assert_eq!(laying.step.argv.last().unwrap(), b"/opt/go/bin/go");
    let script = String::from_utf8_lossy(&laying.step.argv[2]).into_owned();
    assert!(script.contains("{{if .Export}}{{.Export}} {{.ImportPath}}{{end}}"), "{script}");

    toolchain.lay(Path::new("/home/ann/made"));
    assert!(!toolchain.lacks_groundwork());
    let on_host = Layout::OnHost { work: "/w/job".into(), temporary: "/w/tmp".into(), supplies: "/w/supplies".into() };
    for (layout, place) in [(Layout::Viewed, "/opt/groundwork"), (on_host, "/home/ann/made")] {
        let steps = plan(&toolchain, &layout).unwrap().steps;
        assert!(steps[0].argv.contains(&place.into()) && steps[1].argv.contains(&place.into()), "{steps:?}");
    }
}

#[test]
fn what_a_run_is_granted_is_told_to_its_runtime() {
    let limits = Limits { vcpus: NonZeroU32::new(3).unwrap(), memory: ByteSize::mib(100), ..job(&["x"]).limits };
    let plan = plan("go", &Job { limits, ..job(&["main.go"]) }).unwrap();
    let run = &plan.steps.last().unwrap().env;
    for (name, value) in [("GOMAXPROCS", "3"), ("GOMEMLIMIT", "78643200")] {
        assert!(run.contains(&(name.to_owned(), value.to_owned())), "{run:?}");
    }
    assert!(plan.steps[0].env.iter().all(|(name, _)| !name.starts_with("GOM")), "{:?}", plan.steps[0].env);
}

#[test]
fn options_choose_arguments() {
    let with = |options: &[(&str, OptionValue)]| {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Job { options, ..job(&["main.rs"]) }
    };
    let text = |text: &str| OptionValue::Text(text.to_owned());
    let rustc = "compile: /opt/rustup/toolchains/rust/bin/rustc --crate-name main -o runbin";
    let old = format!("{rustc} --edition 2021 -C prefer-dynamic -C rpath main.rs");
    check("rust", &with(&[("edition", OptionValue::Number(2021))]), &[&old, "run: /job/runbin"]);
    check("rust", &with(&[("edition", text("2021")), ("profile", text("debug"))]), &[&old, "run: /job/runbin"]);
    let release = format!("{rustc} --edition 2024 -C opt-level=3 main.rs");
    check("rust", &with(&[("profile", text("release"))]), &[&release, "run: /job/runbin"]);
}

#[test]
fn our_linker_comes_first_where_something_is_built_and_nowhere_else() {
    let catalogue = Catalogue::builtin();
    let fixture = Fixture::new().program("rust/bin/rustc").program("gcc/bin/cc").search("rust/bin").search("gcc/bin");
    let host = Host { linker: Some(Linker(b"a linker")), ..fixture.as_host().clone() };
    let rust = catalogue.find("rust").unwrap();
    let toolchain = rust.find_toolchain(&host).unwrap();
    let [supply] = toolchain.view.supplies.as_slice() else { panic!("{:?}", toolchain.view.supplies) };
    assert_eq!((supply.below(), supply.program()), (Path::new("linker/cc"), b"a linker".as_slice()));

    let on_host = Layout::OnHost { work: "/w/job".into(), temporary: "/w/tmp".into(), supplies: "/w/supplies".into() };
    for (layout, ours) in [(Layout::Viewed, "/opt/firebox/linker"), (on_host, "/w/supplies/linker")] {
        let plan = rust.plan(&job(&["main.rs"]), &toolchain, &layout).unwrap();
        let paths = plan.steps.iter().map(|step| step.env.iter().find(|(name, _)| name == "PATH").unwrap().1.as_str());
        let firsts: Vec<_> = paths.map(|path| path.split(':').next().unwrap() == ours).collect();
        assert_eq!(firsts, [true, false], "{layout:?}");
    }
}

#[test]
fn a_driver_that_tells_what_it_would_do_is_done_without() {
    let ahead = |compiler: &str, linker: Option<Linker>, layout: &Layout| {
        let fixture = Fixture::new().program(&format!("cc/bin/{compiler}")).search("cc/bin");
        let host = Host { linker, ..fixture.as_host().clone() };
        let catalogue = Catalogue::builtin();
        let c = catalogue.find("c").unwrap();
        let toolchain = c.find_toolchain(&host).unwrap();
        let supplies: Vec<_> = toolchain.view.supplies.iter().map(|supply| supply.below().to_owned()).collect();
        (c.first_step_ahead(&toolchain, layout), supplies)
    };
    let ours = Some(Linker(b"a linker"));
    let (first, supplies) = ahead("gcc", ours, &Layout::Viewed);
    let first = first.unwrap();
    assert_eq!(supplies, [Path::new("driver")]);
    let argv = |step: &Step| String::from_utf8(step.argv.join(&b' ')).unwrap();
    let plain = "/opt/cc/bin/gcc -pass-exit-codes -o runbin -std=gnu17 -pthread -x c main.c -x none -lm";
    let driver = first.driver.unwrap();
    assert_eq!((argv(&first.step), argv(&driver.asked)), (plain.to_owned(), format!("{plain} -pipe -###")));
    let step = driver.replaced(b" cc1 main.c -o - |\n as -o x.o\n ld x.o -o runbin\n").unwrap();
    let expected = format!("/opt/firebox/driver 0 4 cc1 main.c -o - 3 as -o x.o 4 ld x.o -o runbin {plain}");
    assert_eq!(argv(&step), expected);
    assert_eq!(Step { argv: first.step.argv.clone(), ..step }, first.step, "all else is as in the step that it does");

    let on_host = Layout::OnHost { work: "/w/job".into(), temporary: "/w/tmp".into(), supplies: "/w/supplies".into() };
    assert_eq!(ahead("clang", ours, &Layout::Viewed), (None, Vec::new()));
    assert_eq!(ahead("gcc", None, &Layout::Viewed), (None, Vec::new()));
    assert_eq!(ahead("gcc", ours, &on_host).0, None);
}

#[test]
fn a_program_with_an_allocator_of_its_own_gets_a_standard_library_of_its_own() {
    let with = |name: &str, content: &str| {
        let mut job = job(&["main.rs", "other"]);
        let files = job.sources.files().iter().cloned().map(|mut file| {
            if file.path.as_str() == name {
                file.content = content.as_bytes().to_vec();
            }
            file
        });
        job.sources = Sources::new(files.collect(), Some(job.sources.entry().clone())).unwrap();
        job
    };
    let rustc = "compile: /opt/rustup/toolchains/rust/bin/rustc --crate-name main -o runbin --edition 2024";
    let (shared, own) = (format!("{rustc} -C prefer-dynamic -C rpath main.rs"), format!("{rustc} main.rs"));
    for (name, content, expected) in [
        ("main.rs", "#[global_allocator]\nstatic A: X = X;", &own),
        ("main.rs", "#[r#global_allocator] static A: X = X;", &own),
        ("other", "#[cfg_attr(all(), global_allocator)] static A: X = X;", &own),
        ("main.rs", "#[global_allocato]", &shared),
        ("main.rs", "", &shared),
    ] {
        check("rust", &with(name, content), &[expected, "run: /job/runbin"]);
    }
}

#[test]
fn a_bad_option_is_refused_with_what_there_is() {
    for (language, option, value, words) in [
        ("rust", "editoin", OptionValue::Number(2024), "rust has no option `editoin`, did you mean `edition`?"),
        ("rust", "speed", OptionValue::Switch(true), "there are `edition`, `profile`"),
        ("python", "edition", OptionValue::Number(3), "python has no option `edition`; it takes none"),
        ("rust", "edition", OptionValue::Number(2023), "is \"2023\"; it takes `2015`, `2018`, `2021` or `2024`"),
        ("rust", "profile", OptionValue::Text("-Cx".into()), "is \"-Cx\"; it takes `debug` or `release`"),
        ("rust", "profile", OptionValue::Switch(true), "is \"true\""),
    ] {
        let job = Job { options: BTreeMap::from([(option.to_owned(), value)]), ..job(&["main.rs"]) };
        let error = plan(language, &job).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn arguments_and_environment_reach_the_run_alone() {
    let env = BTreeMap::from([("HOME".to_owned(), "/job".to_owned()), ("K".to_owned(), "V".to_owned())]);
    let job = Job { args: vec!["-C".to_owned(), "two words".to_owned()], env, ..job(&["main.rs"]) };
    let plan = plan("rust", &job).unwrap();
    let [compile, run] = plan.steps.as_slice() else { panic!("{plan:?}") };
    let value = |step: &firebox_lang::Step, name: &str| {
        step.env.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    };
    assert_eq!((compile.kind, run.kind), (StepKind::Build, StepKind::Run));
    assert_eq!(run.argv, [b"/job/runbin".to_vec(), b"-C".to_vec(), b"two words".to_vec()]);
    assert_eq!((value(run, "HOME").as_deref(), value(run, "K").as_deref()), (Some("/job"), Some("V")));
    assert_eq!((value(compile, "HOME").as_deref(), value(compile, "K")), (Some("/tmp"), None));
    assert_eq!(compile.argv.last(), Some(&b"main.rs".to_vec()));
    assert_eq!((compile.crash_codes.as_slice(), run.crash_codes.as_slice()), (&[101][..], &[][..]));
}

#[test]
fn rust_has_the_documented_environment() {
    let catalogue = Catalogue::builtin();
    let rust = catalogue.find("rust").unwrap();
    let fixture = Fixture::new().program("rust/bin/rustc").search("rust/bin");
    // The system's own compiler, so that nothing goes before the documented path.
    let fixture = fixture.host(|host| host.path.extend(["/usr/bin".into(), "/usr/local/bin".into()]));
    let toolchain = rust.find_toolchain(fixture.as_host()).unwrap();
    let plan = rust.plan(&job(&["main.rs"]), &toolchain, &Layout::Viewed).unwrap();
    let documented = [
        ("CARGO_HOME", "/opt/cargo"),
        ("HOME", "/tmp"),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/cargo/bin"),
        ("RUSTUP_HOME", "/opt/rustup"),
    ];
    for step in &plan.steps {
        let env: Vec<_> = step.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // How the compiler allocates is nothing that a program hears of.
        let (of_the_step, of_all): (Vec<_>, Vec<_>) = env.into_iter().partition(|(name, _)| *name == "MALLOC_CONF");
        assert_eq!(of_all, documented);
        assert_eq!(of_the_step.len(), usize::from(step.kind == StepKind::Build), "{of_the_step:?}");
    }
}

#[test]
fn a_step_has_variables_of_its_own_over_those_of_the_language() {
    let text = r#"
        name = "toy"
        extensions = ["toy"]
        entry = "main.toy"
        install = "buy one"
        version = ["{toy}"]
        environment = { PATH = "/bin", MOOD = "calm", COLOUR = "red" }

        [[programs]]
        name = "toy"
        find = ["toy"]
        elsewhere = { at = "/opt/toy" }

        [[steps]]
        name = "compile"
        kind = "build"
        argv = ["{toy}"]
        environment = { MOOD = "wild" }

        [[steps]]
        name = "run"
        kind = "run"
        argv = ["{toy}"]
        environment = { COLOUR = "blue" }
    "#;
    let catalogue = Catalogue::load([("toy.toml", text)]).unwrap();
    let toy = catalogue.find("toy").unwrap();
    let fixture = Fixture::new().program("toy/bin/toy").search("toy/bin");
    let toolchain = toy.find_toolchain(fixture.as_host()).unwrap();
    let env = BTreeMap::from([("COLOUR".to_owned(), "green".to_owned())]);
    let job = Job { env, ..job(&["main.toy"]) };
    let plan = toy.plan(&job, &toolchain, &Layout::Viewed).unwrap();
    let value = |step: usize, name: &str| {
        let found = plan.steps[step].env.iter().find(|(own, _)| own == name);
        found.map_or("", |(_, value)| value)
    };
    assert_eq!([value(0, "MOOD"), value(0, "COLOUR")], ["wild", "red"]);
    assert_eq!([value(1, "MOOD"), value(1, "COLOUR")], ["calm", "green"], "the job's own come last");
    assert!(
        toy.version_probe(&toolchain, &Layout::Viewed)
            .env
            .iter()
            .any(|(name, value)| name == "MOOD" && value == "calm")
    );
}

#[test]
fn in_a_cell_on_the_hosts_root_everything_is_named_where_the_host_has_it() {
    let catalogue = Catalogue::builtin();
    let python = catalogue.find("python").unwrap();
    let fixture = Fixture::new().program("python/bin/python3").search("python/bin");
    let toolchain = python.find_toolchain(fixture.as_host()).unwrap();
    let layout = Layout::OnHost { work: "/w/job".into(), temporary: "/w/tmp".into(), supplies: "/w/supplies".into() };

    let plan = python.plan(&job(&["main.py"]), &toolchain, &layout).unwrap();

    let step = &plan.steps[0];
    let program = fixture.path("python/bin/python3");
    assert_eq!(step.argv[0], program.as_os_str().as_encoded_bytes());
    let variable = |name| step.env.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
    assert_eq!((variable("HOME"), variable("TMPDIR")), ("/w/tmp", "/w/tmp"));
    assert_eq!(variable("LD_LIBRARY_PATH"), fixture.path("python/lib").to_str().unwrap());
    assert!(variable("PATH").starts_with(fixture.path("python/bin:").to_str().unwrap()), "{}", variable("PATH"));
}

#[test]
fn a_file_name_never_becomes_an_option() {
    for (name, argument) in
        [("-c", "./-c"), ("@args", "./@args"), ("+x", "./+x"), ("_x", "_x"), (".x", ".x"), ("é", "é"), ("a-b", "a-b")]
    {
        let plan = plan("bash", &job(&[name])).unwrap();
        assert_eq!(plan.steps[0].argv[1], argument.as_bytes());
    }
}

#[test]
fn a_file_in_the_way_of_the_program_is_refused() {
    for path in ["runbin", "runbin/data.txt"] {
        let error = plan("rust", &job(&["main.rs", path])).unwrap_err();
        assert!(matches!(error, PlanError::NameTaken { .. }), "{error}");
        assert!(error.to_string().contains(path), "{error}");
    }
    // Whoever chose the name may have chosen an escape sequence.
    let error = plan("rust", &job(&["main.rs", "runbin/\u{1b}[31m"])).unwrap_err().to_string();
    assert!(!error.contains('\u{1b}'), "{error:?}");
    assert!(plan("rust", &job(&["main.rs", "runbin.txt"])).is_ok());
    assert!(plan("python", &job(&["main.py", "runbin"])).is_ok());
}

#[test]
fn a_toolchain_of_another_language_is_refused() {
    let catalogue = Catalogue::builtin();
    let bash = toolchain(catalogue.find("bash").unwrap());
    let error = catalogue.find("rust").unwrap().plan(&job(&["main.rs"]), &bash, &Layout::Viewed).unwrap_err();
    assert!(matches!(error, PlanError::OtherToolchain { .. }), "{error}");
}
