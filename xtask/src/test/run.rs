//! The steps of `cargo xtask test` and `cargo xtask attack`, in order, and their summary.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use super::cargo_test::{Threads, cargo_test};
use super::first_command::first_command;
use super::musl_node::MuslNode;
use super::ordinary_user::OrdinaryUser;
use super::schemathesis::Schemathesis;
use super::step::{Ended, Finding, Report, Skipped, Step};
use super::{needs, room};
use crate::azure_server::AzureServer;
use crate::lab::Equipment;
use crate::repository::{Metadata, Repository, Target};
use crate::s3_server::S3Server;
use crate::{fuzz, lab, rules};

/// The package whose integration tests are the end-to-end tests.
const PRODUCT: &str = "firebox";
/// What the names of its tests that attack begin with.
const ATTACKS: &str = "attacks_on_";
/// Those that hold for whoever starts Firebox; the others name their user themselves. `kernels` would hold as well, and takes two minutes
/// for the same bits.
const FOR_ANYBODY: [&str; 15] = [
    "mission",
    "statuses",
    "output",
    "running",
    "languages",
    "bad_input",
    "leftovers",
    "time",
    "ahead",
    "process_state",
    "seeds",
    "rootfs",
    "rootfs_remote",
    "snapshots",
    "snapshots_remote",
];
/// The package that has no `std`.
const AGENT: &str = "firebox-agent";
/// The program in a cell that links.
const LINKER: &str = "firebox-linker";

/// Everything.
pub(crate) fn run(repository: &Repository) -> Result<ExitCode> {
    reported(repository, |report| steps(repository, report))
}

/// The attacks alone.
pub(crate) fn attack(repository: &Repository) -> Result<ExitCode> {
    reported(repository, |report| {
        let user = ordinary_user(repository, report);
        let targets = end_to_end_targets(&repository.metadata()?, Build::Ordinary, |name| name.starts_with(ATTACKS))?;
        report.run(Step { name: "attacks", what: "every attack, in every kind of cell, one at a time" }, || {
            end_to_end(repository, &targets, user.as_ref())
        });
        Ok(())
    })
}

fn reported(repository: &Repository, steps: impl FnOnce(&mut Report) -> Result<()>) -> Result<ExitCode> {
    let mut report = Report::default();
    report.run(Step { name: "needs", what: "the programs and the disk that building and testing take" }, || {
        Ok(needs::check()?.and(room::check(repository)?))
    });
    if !report.has_failed() {
        steps(&mut report)?;
    }
    report.show();
    Ok(if report.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn steps(repository: &Repository, report: &mut Report) -> Result<()> {
    let metadata = repository.metadata()?;
    report.run(Step { name: "format", what: "cargo fmt --all --check" }, || {
        command(repository.cargo().args(["fmt", "--all", "--check"]), "run `cargo fmt --all`")
    });
    report.run(
        Step { name: "lints", what: "cargo clippy --all-targets, two programs and the fuzz targets by themselves" },
        || {
            let lint = |packages: &[&str]| {
                let mut clippy = repository.cargo();
                clippy.args(["clippy", "--quiet", "--all-targets"]).args(packages).args(["--", "-D", "warnings"]);
                command(&mut clippy, "the lints above say what to change")
            };
            // By themselves: see their manifests.
            let agent = lint(&["--package", AGENT, "--features", "standalone"])?;
            let linker = lint(&["--package", LINKER, "--features", "standalone"])?;
            let leaving_out = lint(&["--package", PRODUCT, "--features", rules::LEAVE_OUT])?;
            let fuzz = command(&mut fuzz::lint(repository)?, "the lints above are about `fuzz/`")?;
            Ok(lint(&["--workspace"])?.and(agent).and(linker).and(leaving_out).and(fuzz))
        },
    );
    report.run(Step { name: "rules", what: "cargo xtask rules" }, || house_rules(repository));
    let s3 = s3_server(repository, report);
    let azure = azure_server(repository, report);
    let equipment = equipment(repository, report);
    report.run(Step { name: "unit", what: "unit and integration tests of every crate" }, || {
        // Some tests start an example of their crate as a process of its own. Naming the targets, as the next command does,
        // keeps cargo from building examples.
        let mut examples = repository.cargo();
        examples.args(["build", "--quiet", "--workspace", "--exclude", PRODUCT, "--examples"]);
        let examples = command(&mut examples, "the examples do not build, see above")?;
        let mut crates = repository.cargo();
        crates.args(["test", "--workspace", "--exclude", PRODUCT, "--no-fail-fast", "--tests"]);
        if let Some(s3) = &s3 {
            s3.hand_over(&mut crates);
        }
        if let Some(azure) = &azure {
            azure.hand_over(&mut crates);
        }
        if let Some(equipment) = &equipment {
            equipment.hand_over(&mut crates);
        }
        let mut product = repository.cargo();
        product.args(["test", "--package", PRODUCT, "--no-fail-fast"]).args(unit_targets(&metadata));
        Ok(examples.and(cargo_test(crates, Threads::Many)?).and(cargo_test(product, Threads::Many)?))
    });
    if let Some(equipment) = &equipment {
        report.run(lab::STEP, || lab::tests(repository, equipment));
    }
    let user = ordinary_user(repository, report);
    let schemathesis = schemathesis(repository, report);
    let musl_node = musl_node(repository, report);
    report.run(Step { name: "end-to-end", what: "the whole product from outside, one test at a time" }, || {
        let targets = end_to_end_targets(&metadata, Build::Ordinary, |_name| true)?;
        let mut tests = end_to_end_tests(repository, &targets, user.as_ref());
        if let Some(schemathesis) = &schemathesis {
            schemathesis.hand_over(&mut tests);
        }
        if let Some(s3) = &s3 {
            s3.hand_over(&mut tests);
        }
        if let Some(azure) = &azure {
            azure.hand_over(&mut tests);
        }
        if let Some(musl_node) = &musl_node {
            musl_node.hand_over(&mut tests);
        }
        if let Some(equipment) = &equipment {
            equipment.hand_over(&mut tests);
        }
        cargo_test(tests, Threads::One)
    });
    report.run(Step { name: "layers", what: "each layer of a cell left out by itself" }, || {
        let targets = end_to_end_targets(&metadata, Build::LeavingOut, |_name| true)?;
        let mut tests = end_to_end_tests(repository, &targets, user.as_ref());
        tests.args(["--features", rules::LEAVE_OUT]);
        cargo_test(tests, Threads::One)
    });
    if let Some(user) = &user {
        report.run(Step { name: "as a user", what: "what holds for root, once more as an ordinary user" }, || {
            let targets = end_to_end_targets(&metadata, Build::Ordinary, |name| FOR_ANYBODY.contains(&name))?;
            let mut tests = end_to_end_tests(repository, &targets, Some(user));
            tests.env("FIREBOX_TEST_AS_USER", "yes");
            if let Some(s3) = &s3 {
                s3.hand_over(&mut tests);
            }
            cargo_test(tests, Threads::One)
        });
    }
    report.run(Step { name: "doc", what: "the examples in the documentation" }, || {
        let mut tests = repository.cargo();
        tests.args(["test", "--workspace", "--no-fail-fast", "--doc"]);
        cargo_test(tests, Threads::Many)
    });
    report.run(Step { name: "readme", what: "the README's first command" }, || first_command(repository));
    Ok(())
}

/// Without one the tests still run, with less.
fn ordinary_user(repository: &Repository, report: &mut Report) -> Option<OrdinaryUser> {
    let mut user = None;
    report.run(Step { name: "user", what: "an ordinary user for the tests, and toolchains it can read" }, || {
        user = OrdinaryUser::make(repository)?;
        let why = "only root on Debian or a relative of it makes an account".to_owned();
        let skipped = user.is_none().then(|| Skipped { what: "a user of the tests' own".to_owned(), why });
        Ok(Finding { skipped: skipped.into_iter().collect(), ..Finding::from(Ended::Passed) })
    });
    user
}

/// Without it the tests with buckets are skipped.
fn s3_server(repository: &Repository, report: &mut Report) -> Option<S3Server> {
    let step = Step { name: "s3", what: "a server of S3 for the tests" };
    installed(report, step, "a server of S3", || S3Server::install(repository))
}

/// Without it the tests with containers of Azure are skipped.
fn azure_server(repository: &Repository, report: &mut Report) -> Option<AzureServer> {
    let step = Step { name: "azure", what: "a server of Azure Blob Storage for the tests" };
    installed(report, step, "a server of Azure Blob Storage", || AzureServer::install(repository))
}

/// Without it the tests of the microVM run on this machine's KVM alone, if that is any good.
fn equipment(repository: &Repository, report: &mut Report) -> Option<Equipment> {
    let step = Step { name: "equipment", what: "what the lab consists of" };
    installed(report, step, "the lab", || Equipment::install(repository))
}

/// Without it one test is skipped.
fn schemathesis(repository: &Repository, report: &mut Report) -> Option<Schemathesis> {
    let step = Step { name: "schemathesis", what: "what attacks the HTTP API by its description" };
    installed(report, step, "schemathesis", || Schemathesis::install(repository))
}

/// Without it the tests of a toolchain on musl are skipped.
fn musl_node(repository: &Repository, report: &mut Report) -> Option<MuslNode> {
    let step = Step { name: "musl", what: "a Node for musl, for the tests" };
    installed(report, step, "a Node for musl", || MuslNode::install(repository))
}

/// Something that tests use, or why they cannot.
fn installed<T>(report: &mut Report, step: Step, what: &str, install: impl FnOnce() -> Result<T>) -> Option<T> {
    let mut found = None;
    report.run(step, || {
        let skipped = match install() {
            Ok(installed) => {
                found = Some(installed);
                None
            }
            Err(error) => Some(Skipped { what: what.to_owned(), why: format!("{error:#}") }),
        };
        Ok(Finding { skipped: skipped.into_iter().collect(), ..Finding::from(Ended::Passed) })
    });
    found
}

fn end_to_end(repository: &Repository, targets: &[String], user: Option<&OrdinaryUser>) -> Result<Finding> {
    cargo_test(end_to_end_tests(repository, targets, user), Threads::One)
}

fn end_to_end_tests(repository: &Repository, targets: &[String], user: Option<&OrdinaryUser>) -> Command {
    let mut tests = repository.cargo();
    tests.args(["test", "--package", PRODUCT, "--no-fail-fast"]).args(targets);
    if let Some(user) = user {
        user.hand_over(&mut tests);
    }
    tests
}

/// A command that says itself, on our own streams, what is wrong.
fn command(command: &mut Command, advice: &str) -> Result<Finding> {
    let status = command.status()?;
    Ok(Finding::from(if status.success() { Ended::Passed } else { Ended::Failed(advice.to_owned()) }))
}

fn house_rules(repository: &Repository) -> Result<Finding> {
    let broken = rules::check(repository)?;
    for one in &broken {
        println!("{one}");
    }
    Ok(Finding::from(match broken.len() {
        0 => Ended::Passed,
        count => Ended::Failed(format!("{count} broken, each named above with what to do")),
    }))
}

/// The words that select the product's own library and programs, without its integration tests.
fn unit_targets(metadata: &Metadata) -> Vec<String> {
    let mut words = Vec::new();
    for target in product_targets(metadata) {
        if target.kind.iter().any(|kind| kind == "lib") {
            words.push("--lib".to_owned());
        } else if target.kind.iter().any(|kind| kind == "bin") {
            words.extend(["--bin".to_owned(), target.name.clone()]);
        }
    }
    words
}

/// Of which build of the product a test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    Ordinary,
    /// The one that can be told to leave out a layer.
    LeavingOut,
}

/// The words that select those integration tests of one build of the product that are wanted. None at all is a mistake:
/// cargo would take it as "every target" and find something else to pass.
fn end_to_end_targets(metadata: &Metadata, build: Build, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let tests = product_targets(metadata).filter(|target| target.kind.iter().any(|kind| kind == "test"));
    let leaves_out = |target: &&Target| target.required_features.iter().any(|feature| feature == rules::LEAVE_OUT);
    let tests = tests.filter(|target| leaves_out(target) == (build == Build::LeavingOut) && wanted(&target.name));
    let words: Vec<String> = tests.flat_map(|target| ["--test".to_owned(), target.name.clone()]).collect();
    if words.is_empty() {
        bail!("the package `{PRODUCT}` has no integration tests ({build:?}); they are the end-to-end tests");
    }
    Ok(words)
}

fn product_targets(metadata: &Metadata) -> impl Iterator<Item = &Target> {
    let product = metadata.packages.iter().filter(|package| package.name == PRODUCT);
    product.flat_map(|package| &package.targets).filter(|target| target.test)
}
