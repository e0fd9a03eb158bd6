//! Finding toolchains, over folders with made-up ones.

use crate::support::Fixture;
use firebox_lang::{Catalogue, Toolchain};

/// The first program as `outside => inside`, or the message about a missing one.
#[track_caller]
fn check(fixture: &Fixture, language: &str, expected: &str) {
    let catalogue = Catalogue::builtin();
    let found = catalogue.find(language).unwrap().find_toolchain(fixture.as_host());
    match found {
        Ok(toolchain) => {
            let program = &toolchain.programs[0];
            let shown = format!("{} => {}", fixture.shown(&program.outside), program.inside.display());
            assert_eq!(shown, expected);
        }
        Err(missing) => {
            let message = missing.to_string();
            assert!(message.contains(expected), "{message}\ndoes not say {expected:?}");
        }
    }
}

fn find(fixture: &Fixture, language: &str) -> Toolchain {
    Catalogue::builtin().find(language).unwrap().find_toolchain(fixture.as_host()).unwrap()
}

/// What rustup appends to the name of a toolchain.
fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// A rustup with two toolchains, its proxies in front, and a C compiler behind.
fn rustup() -> Fixture {
    let triple = triple();
    Fixture::new()
        .program("home/.cargo/bin/rustup")
        .link("home/.cargo/bin/rustc", "rustup")
        .program(&format!("home/.rustup/toolchains/stable-{triple}/bin/rustc"))
        .program(&format!("home/.rustup/toolchains/stable-{triple}/bin/cargo"))
        .program("home/.rustup/toolchains/mine/bin/rustc")
        .program("gcc/bin/cc")
        .search("home/.cargo/bin")
        .search("gcc/bin")
}

#[test]
fn a_rustup_proxy_is_resolved_to_the_default_toolchain() {
    let triple = triple();
    let fixture = rustup().file("home/.rustup/settings.toml", "default_toolchain = \"stable\"\n");
    let expected = format!(
        "home/.rustup/toolchains/stable-{triple}/bin/rustc => /opt/rustup/toolchains/stable-{triple}/bin/rustc"
    );
    check(&fixture, "rust", &expected);

    let toolchain = find(&fixture, "rust");
    let links: Vec<String> = toolchain.view.links.iter().map(|link| link.inside.display().to_string()).collect();
    assert!(links.ends_with(&["/opt/cargo/bin/cargo".to_owned(), "/opt/cargo/bin/rustc".to_owned()]), "{links:?}");
    assert_eq!(toolchain.programs[1].inside.to_str(), Some("/opt/cc/bin/cc"));
    let path = &toolchain.environment["PATH"];
    assert!(path.starts_with("/opt/cc/bin:/usr/local/sbin:") && path.ends_with(":/opt/cargo/bin"), "{path}");
}

#[test]
fn a_rustc_called_through_a_link_has_its_siblings_where_it_really_is() {
    let fixture = Fixture::new()
        .program("rust-1.95/bin/rustc")
        .program("rust-1.95/bin/rustdoc")
        .link("links/rustc", "../rust-1.95/bin/rustc")
        .program("gcc/bin/cc")
        .search("links")
        .search("gcc/bin");
    let toolchain = find(&fixture, "rust");
    let links = toolchain.view.links.iter().filter(|link| link.inside.starts_with("/opt/cargo"));
    let targets: Vec<String> = links.map(|link| link.target.display().to_string()).collect();
    assert_eq!(targets, ["rustc", "rustdoc"].map(|name| format!("/opt/rustup/toolchains/rust-1.95/bin/{name}")));
}

#[test]
fn rustups_variables_come_before_its_settings() {
    let settings = "default_toolchain = \"stable\"\n";
    let chosen = rustup().file("home/.rustup/settings.toml", settings);
    let chosen = chosen.host(|host| host.rustup_toolchain = Some("mine".to_owned()));
    check(&chosen, "rust", "home/.rustup/toolchains/mine/bin/rustc => /opt/rustup/toolchains/mine/bin/rustc");

    let moved = rustup().file("elsewhere/settings.toml", "default_toolchain = \"mine\"\n");
    let moved = moved.program("elsewhere/toolchains/mine/bin/rustc");
    let home = moved.path("elsewhere");
    let moved = moved.host(|host| host.rustup_home = Some(home));
    check(&moved, "rust", "elsewhere/toolchains/mine/bin/rustc => /opt/rustup/toolchains/mine/bin/rustc");
}

#[test]
fn a_copied_proxy_is_still_a_proxy() {
    let fixture = Fixture::new()
        .executable("home/.cargo/bin/rustup", "\x7fELF the same bytes")
        .executable("home/.cargo/bin/rustc", "\x7fELF the same bytes")
        .file("home/.rustup/settings.toml", "default_toolchain = \"mine\"\n")
        .program("home/.rustup/toolchains/mine/bin/rustc")
        .program("gcc/bin/cc")
        .search("home/.cargo/bin")
        .search("gcc/bin");
    check(&fixture, "rust", "home/.rustup/toolchains/mine/bin/rustc => /opt/rustup/toolchains/mine/bin/rustc");
}

#[test]
fn a_rustup_without_its_toolchain_says_what_to_run() {
    check(&rustup(), "rust", "rustup default stable");
    let fixture = rustup().file("home/.rustup/settings.toml", "default_toolchain = \"1.70\"\n");
    check(&fixture, "rust", "`rustup toolchain install 1.70`");
    let escaping = rustup().host(|host| host.rustup_toolchain = Some("../../gcc".to_owned()));
    check(&escaping, "rust", "`../../gcc` is not installed");
}

#[test]
fn a_rustup_without_its_toolchain_is_not_to_be_installed_again() {
    let catalogue = Catalogue::builtin();
    let missing = catalogue.find("rust").unwrap().find_toolchain(rustup().as_host()).unwrap_err().to_string();
    assert!(missing.ends_with("run `rustup default stable`"), "{missing}");
}

#[test]
fn rust_without_a_linker_names_the_linker() {
    let fixture = Fixture::new().program("rust-1.95/bin/rustc").search("rust-1.95/bin");
    check(&fixture, "rust", "rust needs `cc`, and there is no `cc` in PATH");
    check(&fixture, "rust", "apt install build-essential");
}

const SHIM: &str = "#!/usr/bin/env bash\nexec \"/some/where/libexec/pyenv\" exec \"$program\" \"$@\"\n";

/// A pyenv with three versions, its shims in front, and another Python behind.
fn pyenv() -> Fixture {
    Fixture::new()
        .executable("home/.pyenv/shims/python3", SHIM)
        .program("home/.pyenv/versions/3.9.18/bin/python3.9")
        .link("home/.pyenv/versions/3.9.18/bin/python3", "python3.9")
        .program("home/.pyenv/versions/3.11.7/bin/python3")
        .program("home/.pyenv/versions/3.11.12/bin/python3")
        .program("other/bin/python3")
        .search("home/.pyenv/shims")
        .search("other/bin")
}

#[test]
fn a_pyenv_shim_is_resolved_to_the_chosen_version() {
    let version = |text: &str| pyenv().file("home/.pyenv/version", text);
    let variable = |text: &str| pyenv().host(|host| host.pyenv_version = Some(text.to_owned()));
    let python = |number: &str| format!("home/.pyenv/versions/{number}/bin/python3 => /opt/python/bin/python3");
    let other = "other/bin/python3 => /opt/python/bin/python3";
    check(&version("3.11.7\n"), "python", &python("3.11.7"));
    check(&version("3.11\n"), "python", &python("3.11.12"));
    check(&version("# mine\n3.8.1\n3.11.7\n"), "python", &python("3.11.7"));
    check(&version("3.9.18"), "python", "home/.pyenv/versions/3.9.18/bin/python3.9 => /opt/python/bin/python3");
    check(&version("system\n"), "python", other);
    check(&pyenv(), "python", other);
    check(&variable("3.8.1:3.11.7"), "python", &python("3.11.7"));
    check(&variable("system"), "python", other);
}

#[test]
fn a_python_from_elsewhere_finds_its_own_library_and_shows_nothing_of_the_host() {
    let fixture = pyenv().file("home/.pyenv/version", "3.11.7\n");
    let toolchain = find(&fixture, "python");
    assert_eq!(toolchain.environment["LD_LIBRARY_PATH"], "/opt/python/lib");
    assert!(toolchain.environment["PATH"].starts_with("/opt/python/bin:"));
    let host = fixture.path("").display().to_string();
    for inside in toolchain.view.mounts.iter().map(|mount| mount.inside.display().to_string()) {
        assert!(!inside.contains(&host), "{inside}");
    }
    assert!(toolchain.environment.values().all(|value| !value.contains(&host)));
}

#[test]
fn a_pyenv_version_that_is_not_there_does_not_hide_what_comes_after() {
    let other = "other/bin/python3 => /opt/python/bin/python3";
    let missing = |version: &str| pyenv().host(|host| host.pyenv_version = Some(version.to_owned()));
    check(&missing("3.8"), "python", other);
    let only = missing("3.8").host(|host| host.path.truncate(1));
    check(&only, "python", "`pyenv install 3.8`");
    let escaping = missing("../versions/3.11.7").host(|host| host.path.truncate(1));
    check(&escaping, "python", "belongs to pyenv, which has no `../versions/3.11.7`");
}

#[test]
fn shims_that_cannot_be_resolved_are_passed_over() {
    let shims = || {
        Fixture::new()
            .executable("asdf/shims/node", "#!/usr/bin/env bash\nexec asdf exec node \"$@\"\n")
            .program("mise/bin/mise")
            .link("mise/shims/node", "../bin/mise")
            .program("volta/bin/volta-shim")
            .link("volta/bin/node", "volta-shim")
            .file("data/node", "\x7fELF but not executable")
            .executable("broken/node", "neither program nor script")
            .search("asdf/shims")
            .search("mise/shims")
            .search("volta/bin")
            .search("data")
            .search("broken")
    };
    for words in [
        "asdf/shims/node is a script",
        "mise/shims/node is `mise`",
        "volta/bin/node is `volta-shim`",
        "data/node is not an executable file",
        "broken/node is no program",
        "there is no `node` or `nodejs` in PATH",
        "apt install nodejs",
    ] {
        check(&shims(), "javascript", words);
    }
    let with_one = shims().program("nvm/v20/bin/node").search("nvm/v20/bin");
    check(&with_one, "javascript", "nvm/v20/bin/node => /opt/node/bin/node");
}

#[test]
fn what_is_no_program_does_not_count() {
    let fixture = Fixture::new()
        .file("one/node/is/a/directory", "")
        .link("two/node", "nowhere")
        .link("three/node", "node")
        .program("real/bin/node")
        .search("one")
        .search("two")
        .search("three")
        .search("nothing/here")
        .search("real/bin")
        .host(|host| host.path.insert(0, "relative".into()));
    check(&fixture, "javascript", "real/bin/node => /opt/node/bin/node");
}

#[test]
fn a_program_in_a_home_directory_does_not_bring_the_home_along() {
    for place in ["home/bin", "home/.local/bin"] {
        let fixture = Fixture::new().program(&format!("{place}/node")).search(place);
        check(&fixture, "javascript", "would show the job all of");
    }
    let fixture = Fixture::new().program("home/tools/node").search("home/tools");
    check(&fixture, "javascript", "not in a directory called `bin`");
}

#[test]
fn the_first_name_wins_wherever_it_stands() {
    let fixture = Fixture::new()
        .program("llvm/bin/clang-19")
        .link("llvm/bin/clang", "clang-19")
        .program("gnu/bin/gcc")
        .search("llvm/bin")
        .search("gnu/bin");
    check(&fixture, "c", "gnu/bin/gcc => /opt/cc/bin/gcc");
    let without_gcc = fixture.host(|host| host.path.truncate(1));
    // A compiler goes by the name it is called by.
    check(&without_gcc, "c", "llvm/bin/clang-19 => /opt/cc/bin/clang");
}

#[test]
fn an_empty_path_is_said_to_be_empty() {
    check(&Fixture::new(), "bash", "bash needs `bash`, and there is no `bash` in PATH, which is empty; on Debian");
}
