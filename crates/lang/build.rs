//! Embeds every file of the workspace's `languages/` folder, sorted by name, so that adding a language is adding a
//! file and the binary needs nothing beside it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../languages").canonicalize()?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .filter(|path| path.as_ref().map_or(true, |path| path.extension().is_some_and(|end| end == "toml")))
        .collect::<io::Result<_>>()?;
    files.sort();

    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.file_name().unwrap_or_default().display();
        // Writing to a string cannot fail.
        let _ = writeln!(list, "    (\"languages/{name}\", include_str!({:?})),", file.display().to_string());
    }
    list.push_str("]\n");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets no OUT_DIR"))?;
    fs::write(Path::new(&out).join("languages.rs"), list)
}
