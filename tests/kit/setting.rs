//! The settings that every attack runs in: which kind of cell, and who asks for it.

use std::fmt;
use std::sync::OnceLock;

use super::firebox::{Firebox, firebox};
use super::skip;

/// See the module. Strongest first, as in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// A jail that root asks for: control groups, a leased uid, namespaces of the host.
    RootJail,
    /// A jail that an ordinary user asks for: what the kernel grants to everybody.
    UserJail,
    /// A fence, asked for by an ordinary user: no namespaces.
    Fence,
}

impl Setting {
    pub(crate) const ALL: [Setting; 3] = [Setting::RootJail, Setting::UserJail, Setting::Fence];

    /// `firebox`, as whoever calls it in this setting.
    pub(crate) fn caller(self) -> Firebox {
        match self {
            Setting::RootJail => firebox(),
            Setting::UserJail | Setting::Fence => firebox().by_ordinary_user(),
        }
    }

    /// `firebox run` in this setting.
    pub(crate) fn run(self) -> Firebox {
        let kind = if self == Setting::Fence { "fence" } else { "jail" };
        self.caller().args(["run", "--isolation", kind])
    }

    /// The same, with code and `--json`.
    pub(crate) fn job(self, language: &str, code: &str) -> Firebox {
        self.run().args(["--json", "--lang", language, "--code", code])
    }

    /// The same, with a file of `tests/attacks` and `--json`.
    pub(crate) fn attack(self, source: &str) -> Firebox {
        self.run().arg("--json").attack(source)
    }

    /// Why this setting cannot be had here. Found out by trying it, and said, once for all tests of a binary.
    pub(crate) fn missing(self) -> Option<&'static str> {
        static FOUND: [OnceLock<Option<String>>; 3] = [const { OnceLock::new() }; 3];
        let find = || match self {
            Setting::RootJail if !rustix::process::geteuid().is_root() => Some("only root can do that".to_owned()),
            // That it works as root is what the tests are about.
            Setting::RootJail => None,
            Setting::UserJail | Setting::Fence => {
                let call = self.run().args(["--lang", "bash", "--code", "true"]).run();
                let said = call.stderr().lines().next().unwrap_or("it does not work, and says nothing").to_owned();
                (call.code() != 0).then_some(said)
            }
        };
        let found = FOUND[self as usize].get_or_init(|| {
            let why = find();
            if let Some(why) = &why {
                skip(&self.to_string(), why);
            }
            why
        });
        found.as_deref()
    }

    /// Whether this setting has a language that a developer may well do without, or that this user may not read.
    pub(crate) fn has(self, language: &str) -> bool {
        static LISTS: [OnceLock<serde_json::Value>; 3] = [const { OnceLock::new() }; 3];
        let list = || {
            let listing = if self == Setting::RootJail { firebox() } else { firebox().by_ordinary_user() };
            let listing = listing.args(["languages", "--json"]).run();
            serde_json::from_slice(&listing.stdout).unwrap_or_else(|error| panic!("no list ({error})\n{listing}"))
        };
        let languages = LISTS[self as usize].get_or_init(list).as_array().into_iter().flatten();
        languages.into_iter().any(|listed| listed["name"] == language && listed["missing"].is_null())
    }
}

/// As the column of the table is called.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Setting::RootJail => "root jail",
            Setting::UserJail => "user jail",
            Setting::Fence => "fence",
        })
    }
}
