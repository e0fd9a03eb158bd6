//! What a C compiler adds on this system when it links: start files, directories, the loader.
//!
//! Looked up by reading directories, in the places that all compilers agree on. Where these leave a choice, nothing is
//! chosen: then it is for the C compiler to say.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Form;

/// What a C compiler adds on this system when it links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    emulation: &'static str,
    loader: &'static str,
    /// The C library's start files.
    library: String,
    /// The compiler's own start files.
    compiler: String,
    directories: Vec<String>,
}

/// The machine that this is built for: what GNU linkers call it, its loader, and how triples of it begin.
const MACHINE: Option<(&str, &str, &str)> = if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
    Some(("elf_x86_64", "/lib64/ld-linux-x86-64.so.2", "x86_64-"))
} else if cfg!(target_arch = "aarch64") {
    Some(("aarch64linux", "/lib/ld-linux-aarch64.so.1", "aarch64-"))
} else {
    None
};

/// Where GCC keeps what is its own: below it a directory for each triple, and in that one for each version.
const COMPILERS: &str = "usr/lib/gcc";

impl System {
    /// The system whose C compiler this is, seen from a root directory.
    pub fn find(root: &Path, compiler: &Path) -> Option<System> {
        let (emulation, loader, machine) = MACHINE?;
        fs::metadata(below(root, loader)).ok()?;
        let (triple, own) = own_directory(root, compiler, machine)?;

        let shared = [format!("/usr/lib/{triple}"), format!("/lib/{triple}")];
        let common = ["/usr/lib64", "/lib64", "/usr/lib", "/lib"].map(str::to_owned);
        let there = shared.into_iter().chain(common).filter(|directory| below(root, directory).is_dir());
        let directories: Vec<String> = std::iter::once(own.clone()).chain(there).collect();
        let library = directories.iter().find(|directory| below(root, directory).join("crti.o").exists())?.clone();
        Some(System { emulation, loader, library, compiler: own, directories })
    }

    /// How it links in general.
    pub(crate) fn manner(&self, form: Form) -> Vec<String> {
        let mut manner = vec!["--eh-frame-hdr", "--hash-style=gnu", "--build-id", "-m", self.emulation];
        match form {
            Form::AnywhereProgram => manner.extend(["-pie", "-dynamic-linker", self.loader]),
            Form::FixedProgram => manner.extend(["-dynamic-linker", self.loader]),
            Form::SharedObject => manner.push("-shared"),
        }
        manner.into_iter().map(str::to_owned).collect()
    }

    /// What comes before everything else.
    pub(crate) fn starts(&self, form: Form) -> Vec<String> {
        let System { library, compiler, .. } = self;
        let (start, begin) = match form {
            Form::AnywhereProgram => (Some("Scrt1.o"), "crtbeginS.o"),
            Form::FixedProgram => (Some("crt1.o"), "crtbegin.o"),
            Form::SharedObject => (None, "crtbeginS.o"),
        };
        let start = start.map(|start| format!("{library}/{start}"));
        start.into_iter().chain([format!("{library}/crti.o"), format!("{compiler}/{begin}")]).collect()
    }

    /// What comes after everything else.
    pub(crate) fn ends(&self, form: Form) -> Vec<String> {
        let System { library, compiler, .. } = self;
        let end = match form {
            Form::AnywhereProgram | Form::SharedObject => "crtendS.o",
            Form::FixedProgram => "crtend.o",
        };
        vec![format!("{compiler}/{end}"), format!("{library}/crtn.o")]
    }

    /// Where libraries are looked for.
    pub(crate) fn directories(&self) -> &[String] {
        &self.directories
    }
}

/// The triple and the directory of a C compiler. GCC's program is named after both, where a system has several; where
/// it has one, that one is what every other compiler goes by.
fn own_directory(root: &Path, compiler: &Path, machine: &str) -> Option<(String, String)> {
    let mut found = Vec::new();
    for triple in names(&root.join(COMPILERS)).into_iter().filter(|triple| triple.starts_with(machine)) {
        for version in names(&root.join(COMPILERS).join(&triple)) {
            let directory = format!("/{COMPILERS}/{triple}/{version}");
            if below(root, &directory).join("crtbeginS.o").exists() {
                found.push((triple.clone(), version, directory));
            }
        }
    }
    let called = fs::canonicalize(compiler).ok()?;
    let called = called.file_name()?.to_str()?;
    let named = found.iter().position(|(triple, version, _)| called == format!("{triple}-gcc-{version}"));
    let (triple, _, directory) = match (named, found.len()) {
        (Some(named), _) => found.swap_remove(named),
        (None, 1) => found.swap_remove(0),
        (None, _) => return None,
    };
    Some((triple, directory))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}
