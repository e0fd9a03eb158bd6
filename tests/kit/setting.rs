//! The settings that every attack runs in: which kind of cell, and who asks for it.
//!
//! Where the tests are told of a kind of cell, as in the lab, that is the only one.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use super::firebox::{Firebox, firebox};
use super::guard::Allowance;
use super::kind;
use super::skip;

/// See the module. In the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// A jail that root asks for: control groups, a leased uid, namespaces of the host.
    RootJail,
    /// A jail that an ordinary user asks for: what the kernel grants to everybody.
    UserJail,
    /// A fence, asked for by an ordinary user: no namespaces.
    Fence,
    /// A microVM that root asks for: a jail like root's, on a kernel of its own.
    MicroVm,
}

impl Setting {
    /// Those that are tried here.
    pub(crate) fn tried() -> &'static [Setting] {
        const WITHOUT_A_MACHINE: [Setting; 3] = [Setting::RootJail, Setting::UserJail, Setting::Fence];
        if kind::is_microvm() { &[Setting::MicroVm] } else { &WITHOUT_A_MACHINE }
    }

    /// `firebox`, as whoever calls it in this setting.
    pub(crate) fn caller(self) -> Firebox {
        match self {
            Setting::RootJail | Setting::MicroVm => firebox(),
            Setting::UserJail | Setting::Fence => firebox().by_ordinary_user(),
        }
    }

    /// `firebox run` in this setting.
    pub(crate) fn run(self) -> Firebox {
        let call = self.caller().arg("run");
        match self {
            Setting::RootJail | Setting::UserJail => call.args(["--isolation", "jail"]),
            Setting::Fence => call.args(["--isolation", "fence"]),
            // What all calls are told to ask for, and what is counted.
            Setting::MicroVm => call,
        }
    }

    /// The same, with code and `--json`.
    pub(crate) fn job(self, language: &str, code: &str) -> Firebox {
        self.run().args(["--json", "--lang", language, "--code", code])
    }

    /// The same, with a file of `tests/attacks` and `--json`.
    pub(crate) fn attack(self, source: &str) -> Firebox {
        self.run().arg("--json").attack(source)
    }

    /// How long a call may take in this setting that may take so long where nothing boots.
    pub(crate) fn patience(self, without_a_machine: Duration) -> Duration {
        const BOOTING: Duration = Duration::from_secs(60);
        without_a_machine + if self == Setting::MicroVm { BOOTING } else { Duration::ZERO }
    }

    /// How much memory is enough for the product, cell and all, where so much is without a machine: one is as large as all that its job may take.
    pub(crate) fn enough_mib(self, without_a_machine: u64) -> u64 {
        if self == Setting::MicroVm { Allowance::PRODUCT.memory_mib } else { without_a_machine }
    }

    /// Why this setting cannot be had here. Found out by trying it, and said, once for all tests of a binary.
    pub(crate) fn missing(self) -> Option<&'static str> {
        static FOUND: [OnceLock<Option<String>>; 4] = [const { OnceLock::new() }; 4];
        let find = || match self {
            Setting::RootJail if !rustix::process::geteuid().is_root() => Some("only root can do that".to_owned()),
            // That it works as root is what the tests are about.
            Setting::RootJail | Setting::MicroVm => None,
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
        if self == Setting::MicroVm {
            // It has images of those that are tested, whatever the host has.
            return kind::is_tested(language);
        }
        static LISTS: [OnceLock<serde_json::Value>; 4] = [const { OnceLock::new() }; 4];
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
            Setting::MicroVm => "microVM",
        })
    }
}
