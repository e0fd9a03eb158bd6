//! A toolchain of one program, which a test has compiled under the name of another.

use std::path::PathBuf;

use super::{compiler, repository, show_to_everybody, temp_dir};

pub(crate) struct StandIn {
    directory: tempfile::TempDir,
    name: &'static str,
}

impl StandIn {
    /// From a source file of the repository, in C.
    pub(crate) fn build(name: &'static str, source: &str, flags: &[&str]) -> StandIn {
        let made = StandIn { directory: temp_dir(), name };
        std::fs::create_dir(made.bin()).expect("a directory");
        let mut build = compiler("c").expect("a compiler");
        build.args(flags).arg(repository(source)).arg("-o").arg(made.program());
        assert!(build.status().is_ok_and(|status| status.success()), "{source} does not build");
        show_to_everybody(made.directory.path());
        made
    }

    /// Where it is looked for.
    pub(crate) fn bin(&self) -> PathBuf {
        self.directory.path().join("bin")
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.bin().join(self.name)
    }
}
