//! Attacks on a toolchain that the user owns, as one in a home directory is: the user's rights are not what keeps a job
//! from it. Each succeeds outside.

mod kit;

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use kit::Expectation::Open;
use kit::{Attack, Control, OrdinaryUser, Setting, bare, leaving_nothing, temp_dir, tool};

/// What `own_toolchain.c` tries.
const WAYS: [&str; 13] = [
    "open it to write",
    "cut it",
    "give it another name",
    "change its mode",
    "change its mode by name",
    "show it to everybody",
    "change its owner",
    "change its times to the present",
    "change its times",
    "change its times by name",
    "give it an attribute",
    "change its flags",
    "hold up who opens it",
];

/// A compiler of the user's own: a copy of the system's, with the rest of it as links.
struct Toolchain {
    prefix: tempfile::TempDir,
    compiler: PathBuf,
}

impl Toolchain {
    fn new() -> Toolchain {
        let (user, prefix) = (OrdinaryUser::find().uid, temp_dir());
        let (bin, compiler) = (prefix.path().join("bin"), prefix.path().join("bin/gcc"));
        std::fs::create_dir(&bin).expect("a directory");
        std::fs::copy(tool("gcc"), &compiler).expect("a temporary file");
        for rest in ["lib", "libexec"] {
            symlink(Path::new("/usr").join(rest), prefix.path().join(rest)).expect("a link");
        }
        for path in [prefix.path(), &bin, &compiler] {
            std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("ours");
            chown(path, Some(user), Some(user)).expect("to give it away");
        }
        Toolchain { prefix, compiler }
    }

    fn search_path(&self) -> String {
        format!("{}/bin:/usr/bin:/bin", self.prefix.path().display())
    }

    /// The names of the compiler, wherever it is looked at from.
    fn names(&self) -> [OsString; 2] {
        [self.compiler.clone().into(), "/opt/cc/bin/gcc".into()]
    }

    /// What a change of the compiler changes: its mode, times, size and place. That it was read may be seen.
    fn state(&self) -> (u32, [i64; 2], u64, u64) {
        let file = self.compiler.metadata().expect("it is there");
        (file.mode(), [file.mtime(), file.mtime_nsec()], file.size(), file.ino())
    }
}

#[test]
fn a_toolchain_that_the_user_owns_stays_as_it_is() {
    let outside = leaving_nothing(|| {
        let toolchain = Toolchain::new();
        bare("own_toolchain.c", &toolchain.names(), Control::OrdinaryUser)
    });
    for way in WAYS {
        assert!(outside.stdout().contains(&format!("ESCAPED: {way}\n")), "not even outside: {way}\n{outside}");
    }

    let attack = Attack {
        name: "a toolchain that the user owns",
        layer: "read-only mounts, a layer over each",
        // Setting the times of an open file to the present is how `touch` makes one.
        fence: Open(&["change its times to the present"]),
        ..Attack::PLAIN
    };
    attack.check_by(|setting| {
        let toolchain = Toolchain::new();
        let before = toolchain.state();
        let inside = setting.attack("own_toolchain.c").env("PATH", toolchain.search_path());
        let inside = inside.program_args(toolchain.names()).outcome();
        assert_eq!(inside.verdict(), ("ok", "run", 0, None), "{inside}");
        let mut open: Vec<&str> = inside.stdout().lines().filter_map(|line| line.strip_prefix("ESCAPED: ")).collect();
        assert_eq!(inside.stdout().matches("blocked: ").count() + open.len(), WAYS.len(), "{inside}");
        if setting == Setting::UserJail {
            // What it holds up is the layer, which is its own.
            open.retain(|way| *way != "hold up who opens it");
        }
        assert_eq!(open, attack.open_in(setting), "{inside}");
        let kept = toolchain.state() == before;
        assert_eq!(
            kept,
            !open.contains(&"change its times to the present"),
            "{:?}, not {before:?}\n{inside}",
            toolchain.state()
        );
    });
}
