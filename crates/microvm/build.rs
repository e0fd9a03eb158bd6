//! Builds the monitor, and for the tests a hostile one, and puts them where `src/lib.rs` and the tests embed them from.
//!
//! They are static, since there is no library where they run.

#[path = "build/program.rs"]
mod program;

use std::error::Error;
use std::path::PathBuf;

use program::{Program, copy, has_static_library, no_static_library, shared, variable, workspace};

/// What they are made of.
const PARTS: [&str; 3] = ["monitor", "vmm", "confine"];
const HOSTILE: &str = "hostile";

fn main() -> Result<(), Box<dyn Error>> {
    let (workspace, out) = (workspace(&PARTS)?, PathBuf::from(variable("OUT_DIR")?));
    if !has_static_library() {
        return Err(no_static_library("a microVM's monitor"));
    }
    let monitor = Program {
        name: "firebox-monitor",
        profile: "monitor",
        features: "",
        parts: &["--bins", "--examples"],
        flags: vec!["-Ctarget-feature=+crt-static".to_owned()],
    };
    let built = monitor.build(&workspace, &shared(&out)?.join(monitor.name))?;
    copy(&built.join(monitor.name), &out.join("monitor"))?;
    copy(&built.join("examples").join(HOSTILE), &out.join(HOSTILE))
}
