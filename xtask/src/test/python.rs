//! Environments of Python's, for what is installed from PyPI: each in a directory of its own, with a `pip` of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::host_packages::{install, may_install, on_path};
use crate::said::done;

/// Debian's Python comes without what makes environments.
const PACKAGES: [&str; 1] = ["python3-venv"];

/// Makes one anew.
pub(super) fn make_environment(place: &Path) -> Result<()> {
    let python = on_path("python3").context("`python3` is missing")?;
    let make = || {
        if place.exists() {
            fs::remove_dir_all(place).with_context(|| format!("cannot remove {}", place.display()))?;
        }
        done(Command::new(&python).args(["-m", "venv"]).arg(place))
    };
    match make() {
        Err(_) if may_install() => {
            install(&PACKAGES)?;
            make()
        }
        made => made.with_context(|| format!("`apt-get install {}` may help", PACKAGES.join(" "))),
    }
}

/// The `pip` of one, for files whose hashes are known. Nothing is built by it, so nothing that is downloaded runs before its
/// hash was compared.
pub(super) fn pip(place: &Path, verb: &str, requirements: &Path) -> Command {
    let mut pip = Command::new(place.join("bin/python"));
    pip.args(["-m", "pip", verb, "--quiet", "--disable-pip-version-check", "--require-hashes"]);
    pip.args(["--only-binary", ":all:", "--requirement"]).arg(requirements);
    pip
}
