//! An image with Bash and its libraries, as `docker save` would write it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::saved::archive_of;

const BASH: &str = "/bin/bash";

pub(crate) fn archive_in(place: &Path) -> PathBuf {
    let root = place.join("root");
    for file in [BASH.to_owned()].into_iter().chain(libraries()) {
        let to = root.join(file.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, &to).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    archive_of(&root)
}

/// What it is loaded with, as the loader tells.
fn libraries() -> Vec<String> {
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let said = Command::new(loader).args(["--list", BASH]).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let paths = said.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(str::to_owned).chain([loader.to_owned()]).collect()
}
