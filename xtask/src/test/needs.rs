//! What building and testing need from the machine, and how it gets there.
//!
//! On Debian and its relatives, as root, what is missing is installed. Anywhere else it is named together with the
//! command that installs it; what only some tests need is skipped, with the reason.

use std::process::{Command, Stdio};

use anyhow::Result;

use super::step::{Ended, Finding, Skipped};
use crate::host_packages::{install, may_install, on_path};

struct Need {
    /// Looked for along PATH.
    program: &'static str,
    /// Debian's names of what brings it.
    packages: &'static [&'static str],
    weight: Weight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Nothing works without it.
    Required,
    /// Without it this is skipped.
    Only(&'static str),
}

static NEEDS: [Need; 24] = [
    // The headers are only a recommendation of Debian's gcc, and no program links without them.
    Need { program: "cc", packages: &["gcc", "libc6-dev"], weight: Weight::Required },
    Need { program: "bash", packages: &["bash"], weight: Weight::Required },
    Need { program: "unshare", packages: &["util-linux"], weight: Weight::Required },
    Need { program: "curl", packages: &["curl"], weight: Weight::Required },
    Need { program: "openssl", packages: &["openssl"], weight: Weight::Required },
    Need { program: "g++", packages: &["g++"], weight: Weight::Only("the tests of C++") },
    // Half of the attacks are written in it.
    Need { program: "python3", packages: &["python3"], weight: Weight::Required },
    Need { program: "node", packages: &["nodejs"], weight: Weight::Only("the tests of JavaScript") },
    Need { program: "go", packages: &["golang-go"], weight: Weight::Only("the tests of Go") },
    Need { program: "javac", packages: &["default-jdk-headless"], weight: Weight::Only("the tests of Java") },
    Need { program: "strace", packages: &["strace"], weight: Weight::Only("tests of single system calls") },
    Need { program: "mkfs.ext4", packages: &["e2fsprogs"], weight: Weight::Only("the test of a disk that fails") },
    // Its default runtime refuses hosts with both kinds of control groups.
    Need { program: "podman", packages: &["podman", "runc"], weight: Weight::Only("the test in a container") },
    Need { program: "umoci", packages: &["umoci"], weight: Weight::Only("the tests with images") },
    Need { program: "skopeo", packages: &["skopeo"], weight: Weight::Only("tests with images of all kinds") },
    Need { program: "docker-registry", packages: &["docker-registry"], weight: Weight::Only("tests with a registry") },
    Need { program: "htpasswd", packages: &["apache2-utils"], weight: Weight::Only("tests with a registry") },
    Need { program: "musl-gcc", packages: &["musl-tools"], weight: Weight::Only("the test of an image of musl") },
    Need { program: "busybox", packages: &["busybox-static"], weight: Weight::Only("the test of a small image") },
    Need { program: "mmdebstrap", packages: &["mmdebstrap"], weight: Weight::Only("tests of jobs on images") },
    Need { program: "fsck.erofs", packages: &["erofs-utils"], weight: Weight::Only("a test of filesystem images") },
    Need { program: "ip", packages: &["iproute2"], weight: Weight::Only("a test of addresses in a cloud") },
    Need { program: "cpio", packages: &["cpio"], weight: Weight::Only("a test of what machines begin with") },
    Need { program: "bwrap", packages: &["bubblewrap"], weight: Weight::Only("the comparison with it in the bench") },
];

/// Parts of a Rust toolchain that a minimal one lacks; never ours to install, a toolchain belongs to its user.
const CARGO_PARTS: [&str; 2] = ["fmt", "clippy"];

pub(super) fn check() -> Result<Finding> {
    let mut missing = missing_programs();
    if !missing.is_empty() && may_install() {
        let packages = packages_of(&missing);
        if let Err(error) = install(&packages) {
            println!("{error:#}");
        }
        missing = missing_programs();
    }
    let parts: Vec<&str> = CARGO_PARTS.into_iter().filter(|part| !has_cargo_part(part)).collect();
    Ok(finding(&missing, &parts))
}

fn finding(missing: &[&Need], cargo_parts: &[&str]) -> Finding {
    let mut required = Vec::new();
    let mut skipped = Vec::new();
    for need in missing {
        let advice = format!("`{}` is missing; `apt-get install {}` brings it", need.program, need.packages.join(" "));
        match need.weight {
            Weight::Required => required.push(advice),
            Weight::Only(what) => skipped.push(Skipped { what: what.to_owned(), why: advice }),
        }
    }
    for part in cargo_parts {
        required.push(format!("`cargo {part}` is missing; `rustup component add rustfmt clippy` brings it"));
    }
    let ended = if required.is_empty() { Ended::Passed } else { Ended::Failed(required.join("; ")) };
    Finding { skipped, ..Finding::from(ended) }
}

fn missing_programs() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| on_path(need.program).is_none()).collect()
}

fn has_cargo_part(part: &str) -> bool {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args([part, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn packages_of(needs: &[&Need]) -> Vec<&'static str> {
    needs.iter().flat_map(|need| need.packages.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(program: &str) -> &'static Need {
        NEEDS.iter().find(|need| need.program == program).unwrap()
    }

    #[test]
    fn a_required_program_stops_and_says_how_to_get_it() {
        let Ended::Failed(why) = finding(&[need("cc")], &["fmt"]).ended else { panic!("passed") };
        assert!(why.contains("apt-get install gcc libc6-dev") && why.contains("rustup component add"), "{why}");
    }

    #[test]
    fn an_optional_one_says_what_is_skipped_and_why() {
        let finding = finding(&[need("node")], &[]);
        assert_eq!(finding.ended, Ended::Passed);
        assert_eq!(finding.skipped[0].what, "the tests of JavaScript");
        assert!(finding.skipped[0].why.contains("apt-get install nodejs"), "{:?}", finding.skipped);
    }
}
