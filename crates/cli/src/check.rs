//! `firebox languages check`: good language files from bad ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use firebox_lang::check_file;

use crate::failure::Failure;
use crate::outlet;

/// Checks all of them, and says of each what is wrong with it.
pub(crate) fn check(files: &[PathBuf]) -> Result<ExitCode, Failure> {
    let mut bad = 0;
    for file in files {
        match faults(file)? {
            faults if faults.is_empty() => outlet::say(&format!("{}: good\n", file.display()))?,
            faults => {
                bad += 1;
                outlet::remark(&faults);
            }
        }
    }
    match bad {
        0 => Ok(ExitCode::SUCCESS),
        bad => Err(Failure::request(anyhow::anyhow!("{bad} of {} language files are bad", files.len()))),
    }
}

/// One line for each fault.
fn faults(file: &Path) -> Result<String, Failure> {
    let name = file.display().to_string();
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::request(anyhow::Error::new(error).context(format!("cannot read `{name}`"))))?;
    let faults = check_file(&name, &text).err().unwrap_or_default();
    Ok(faults.iter().map(|fault| format!("{fault}\n")).collect())
}
