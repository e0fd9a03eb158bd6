//! The README's tour of the service, word by word: every command of it is run as it is printed, and must say what is printed
//! there. Only the port is another one, which may not be free here; and `…` stands for anything.

mod kit;

use std::path::Path;
use std::process::Command;

use kit::{HostInventory, Service, firebox, repository, tool};

const HEADING: &str = "## A service in 60 seconds";
const ADDRESS: &str = "localhost:8080";
const START: &str = "firebox serve";

/// A command, and what it prints.
#[derive(Debug, PartialEq)]
struct Step {
    command: String,
    prints: String,
}

#[test]
fn the_readmes_tour_of_the_service_is_as_it_says() {
    let readme = std::fs::read_to_string(repository("README.md")).expect("there is a README.md");
    let steps = steps(&readme);
    let (start, steps) = steps.split_first().expect("the tour has commands");
    assert_eq!(start.command, START);
    assert!(steps.len() >= 6, "the tour has lost its commands: {steps:#?}");

    let host = HostInventory::take();
    let state = kit::temp_dir();
    let call = firebox().env("FIREBOX_LISTEN", "127.0.0.1:0").env("FIREBOX_STATE", state.path());
    let service = Service::of(call.args(START.split(' ').skip(1)).start());
    let here = service.address.to_string();
    assert_eq!(service.call.stdout().trim(), start.prints.replace("127.0.0.1:8080", &here));
    // The reader has put the binary there.
    let binary = Path::new(env!("CARGO_BIN_EXE_firebox")).parent().expect("it is in a directory").to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = [binary].into_iter().chain(std::env::split_paths(&others));
    let path = std::env::join_paths(path).expect("no colon in a path");
    for Step { command, prints } in steps {
        assert!(command.contains(ADDRESS), "not a command of the tour: {command}");
        let command = command.replace(ADDRESS, &here);
        let mut shell = Command::new(tool("sh"));
        shell.args(["-c", &command]).env("PATH", &path).env("FIREBOX_STATE", state.path());
        let output = shell.output().expect("there is a shell");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(is_like(said.trim(), prints), "{command}\nprinted\n{said}\nand not\n{prints}\n{output:?}");
    }
    service.stop();
    drop(state);
    host.assert_nothing_left();
}

/// The commands of the section's blocks, each with the lines below it.
fn steps(readme: &str) -> Vec<Step> {
    let (_, section) = readme.split_once(HEADING).unwrap_or_else(|| panic!("README.md has no {HEADING:?}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut steps: Vec<Step> = Vec::new();
    for block in section.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        for said in block.split("$ ").skip(1) {
            // A command goes on where its line ends with a backslash.
            let mut lines = said.lines();
            let mut command = String::new();
            for line in lines.by_ref() {
                match line.strip_suffix('\\') {
                    Some(line) => command += line,
                    None => {
                        command += line;
                        break;
                    }
                }
            }
            let prints = lines.collect::<Vec<_>>().join("\n").trim().to_owned();
            steps.push(Step { command, prints });
        }
    }
    steps
}

/// Whether a text is what was printed, with anything in place of each `…`.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let last = parts.pop();
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[test]
fn what_may_be_anything_is_marked_and_all_else_counts() {
    for (text, pattern, alike) in [
        ("a", "a", true),
        ("ab", "a", false),
        ("abc", "a…c", true),
        ("abcd", "a…c", false),
        ("abcbd", "a…b…d", true),
        ("a", "a…", true),
        ("ba", "a…", false),
        ("ad", "a…b…d", false),
    ] {
        assert_eq!(is_like(text, pattern), alike, "{text} {pattern}");
    }
}
