//! Attacks by what a cell holds before its job comes: a tool that was started once, frozen, and thawed there. A process that
//! keeps cells waiting answers them, and each says that it is such a copy. In a fence nothing is thawed.

mod kit;

use kit::Expectation::Elsewhere;
use kit::{Attack, Control, Expectation, Setting, attacks, bare, requests};
use serde_json::json;

/// How a copy knows that it is one.
const COPY: &str = "a copy of a template\n";

const NO_FENCE: Expectation<'static> = Elsewhere("nothing is thawed in a fence");

/// Runs an attack in a copy, twice in one process, so that the second would find what the first has left.
fn check_in_copies(attack: &Attack<'_>) {
    let code = std::fs::read_to_string(attacks(attack.source)).expect("an attack");
    attack.check_by(|setting: Setting| {
        let request = json!({"lang": "python", "code": code});
        let asking = requests(&["python"]).by(setting).keeping_warm(1);
        for response in asking.ask("", request.clone()).ask("", request).answers() {
            let said = response.stdout();
            assert!(said.starts_with(COPY), "not in a copy, in the {setting}: {response:?}");
            assert!(!said.contains("ESCAPED"), "{} succeeds in the {setting}: {said}", attack.source);
            for what in attack.succeeds_outside {
                assert!(said.contains(&format!("blocked: {what}:")), "it never came to try {what:?}: {response:?}");
            }
        }
    });
}

fn check_outside(attack: &Attack<'_>) {
    let outside = bare(attack.source, &attack.args, attack.control);
    for what in attack.succeeds_outside {
        let line = format!("ESCAPED: {what}");
        assert!(outside.stdout().lines().any(|said| said == line), "{what} does not even succeed outside\n{outside}");
    }
}

#[test]
fn nothing_is_left_for_the_next_at_the_program_that_all_cells_share() {
    // In a directory that keeps attributes of files, as those for temporary ones may not.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let program = directory.path().join("program");
    std::fs::write(&program, "a program").expect("a file");
    let attack = Attack {
        name: "leaving something at the program that thaws tools",
        layer: "a read-only file that is only executed",
        source: "program_of_its_own.py",
        args: vec![program.into()],
        succeeds_outside: &[
            "its program read",
            "its program locked",
            "its program watched",
            "its program given a word for the next",
            "its program's times set",
            "its program's mode changed",
            "its program opened to write",
        ],
        fence: NO_FENCE,
        ..Attack::PLAIN
    };
    check_outside(&attack);
    check_in_copies(&attack);
}

#[test]
fn a_tool_that_was_thawed_has_none_of_the_agents_rights() {
    let attack = Attack {
        name: "using what the agent may do for tools ahead",
        layer: "a filter of each step's own",
        source: "rights_of_the_agent.py",
        control: Control::OwnNamespaces,
        succeeds_outside: &[
            "memory read by process_vm_readv",
            "its own child traced",
            "its own child's limits set",
            "where its parts are changed",
            "a filter on system calls put on",
            "being traced",
        ],
        fence: NO_FENCE,
        ..Attack::PLAIN
    };
    check_outside(&attack);
    check_in_copies(&attack);
}
