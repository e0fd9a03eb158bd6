//! What is looked up is what this host's own C compiler says of itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use firebox_linker::{Request, System};

/// What the C compiler would have the linker do.
fn asked_of_the_linker(compiler: &Path, form: &str) -> Vec<String> {
    let output = Command::new(compiler).args(["-###", "-o", "out", "main.o", form]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let line =
        said.lines().rfind(|line| line.contains("collect2") || line.contains("/ld\"")).expect("a line that links");
    line.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect()
}

fn real(path: &str) -> PathBuf {
    fs::canonicalize(path).unwrap()
}

fn objects(line: &[String]) -> Vec<PathBuf> {
    let ends_in = |word: &&String| Path::new(word).extension().is_some_and(|end| end == "o");
    line.iter().filter(ends_in).filter(|word| *word != "main.o").map(|word| real(word)).collect()
}

#[test]
fn the_start_files_and_the_loader_are_those_of_the_c_compiler() {
    let compiler = Path::new("/usr/bin/cc");
    let system = System::find(Path::new("/"), compiler).expect("this host's C compiler is in its usual place");
    for form in ["-pie", "-no-pie", "-shared"] {
        let words = ["main.o", "-o", "out", form, "-nodefaultlibs"].map(Into::into);
        let ours = Request::read(&words).unwrap().on(&system);
        let theirs = asked_of_the_linker(compiler, form);

        assert_eq!(objects(&ours), objects(&theirs), "{form}");
        let loader = |line: &[String]| {
            let at = line.iter().position(|word| word == "-dynamic-linker" || word == "--dynamic-linker")?;
            line.get(at + 1).cloned()
        };
        assert_eq!(loader(&ours), loader(&theirs), "{form}");
    }
}

#[test]
fn every_library_is_found_where_the_c_compiler_finds_it() {
    let compiler = Path::new("/usr/bin/cc");
    let system = System::find(Path::new("/"), compiler).unwrap();
    let words = ["main.o", "-o", "out", "-pie", "-nodefaultlibs"].map(Into::into);
    let line = Request::read(&words).unwrap().on(&system);
    let directories: Vec<_> = line.iter().filter_map(|word| word.strip_prefix("-L")).map(Path::new).collect();

    for library in ["libc.so", "libm.so", "libpthread.a", "libdl.a", "libutil.a", "librt.a", "libgcc_s.so", "libgcc.a"]
    {
        let ours = directories.iter().map(|directory| directory.join(library)).find(|path| path.exists());
        let named = Command::new(compiler).arg(format!("-print-file-name={library}")).output().unwrap();
        let theirs = String::from_utf8(named.stdout).unwrap();
        let theirs = Path::new(theirs.trim()).canonicalize().ok();
        assert_eq!(ours.and_then(|path| path.canonicalize().ok()), theirs, "{library}");
    }
}

/// A root directory with these files, empty, and a C compiler with links to it.
struct Root(tempfile::TempDir);

impl Root {
    fn with(files: &[&str]) -> Root {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        Root(root)
    }

    fn system(&self, compiler: &str) -> Option<Vec<String>> {
        let system = System::find(self.0.path(), &self.0.path().join(compiler))?;
        let words = ["main.o", "-o", "out", "-pie", "-nodefaultlibs"].map(Into::into);
        Some(Request::read(&words).unwrap().on(&system))
    }
}

#[cfg(target_arch = "x86_64")]
mod other_systems {
    use super::*;

    const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

    #[test]
    fn a_system_without_directories_by_triple_has_them_by_width() {
        let own = "usr/lib/gcc/x86_64-redhat-linux/14/crtbeginS.o";
        let root = Root::with(&[LOADER, own, "usr/lib64/crti.o", "usr/bin/gcc"]);

        let line = root.system("usr/bin/gcc").unwrap();

        for word in ["/usr/lib64/Scrt1.o", "/usr/lib/gcc/x86_64-redhat-linux/14/crtbeginS.o", "-L/usr/lib64"] {
            assert!(line.iter().any(|given| given == word), "no {word} in {line:?}");
        }
    }

    #[test]
    fn of_several_compilers_the_one_that_was_called_counts_and_otherwise_none_does() {
        let own = |version: &str| format!("usr/lib/gcc/x86_64-linux-gnu/{version}/crtbeginS.o");
        let (twelve, thirteen) = (own("12"), own("13"));
        let called = "usr/bin/x86_64-linux-gnu-gcc-12";
        let common = [LOADER, "usr/lib/x86_64-linux-gnu/crti.o", called, "usr/bin/clang"];
        let root = Root::with(&[&common[..], &[&twelve, &thirteen]].concat());

        assert!(root.system(called).unwrap().contains(&format!("/{twelve}")));
        assert_eq!(root.system("usr/bin/clang"), None);
    }

    #[test]
    fn another_c_library_or_another_machine_is_left_to_the_c_compiler() {
        let (own, library) = ("usr/lib/gcc/x86_64-linux-gnu/12/crtbeginS.o", "usr/lib/x86_64-linux-gnu/crti.o");
        let musl = Root::with(&["lib/ld-musl-x86_64.so.1", own, library, "usr/bin/gcc"]);
        assert_eq!(musl.system("usr/bin/gcc"), None);
        let foreign = own.replace("x86_64", "aarch64");
        let root = Root::with(&[LOADER, &foreign, library, "usr/bin/gcc"]);
        assert_eq!(root.system("usr/bin/gcc"), None);
    }
}
