//! Loads the kernel's modules, in the order in which the archive that we came in lists them.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::io::Errno;

/// Where they are.
const MODULES: &str = "/modules";
/// The file that lists them, one a line.
const ORDER: &str = "order";
/// What a line begins with whose module may be of no use here.
const MAY_FAIL: char = '-';

/// Loads all. Those that are there already, in the kernel or otherwise, are as good.
pub(crate) fn load() -> Result<()> {
    let directory = Path::new(MODULES);
    let order = match fs::read_to_string(directory.join(ORDER)) {
        // A kernel may have all that is needed built in.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        order => order.with_context(|| format!("cannot read {MODULES}/{ORDER}"))?,
    };
    for line in order.lines() {
        let name = line.strip_prefix(MAY_FAIL).unwrap_or(line);
        let loaded = File::open(directory.join(name))
            .and_then(|module| Ok(rustix::system::finit_module(module, c"", 0)?))
            .or_else(|error| if Errno::from_io_error(&error) == Some(Errno::EXIST) { Ok(()) } else { Err(error) });
        if !line.starts_with(MAY_FAIL) {
            loaded.with_context(|| format!("cannot load {name}"))?;
        }
    }
    // They are in the kernel now, and would only take up memory here.
    fs::remove_dir_all(directory).with_context(|| format!("cannot remove {MODULES}"))
}
