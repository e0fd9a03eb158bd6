//! A witness of a layer: a small attack that the whole cell stops, and that succeeds when this one layer is left out.
//!
//! An attack says `trying` and, when it has succeeded, `ESCAPED`.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::kit::{self, Finished, HostInventory, NOBODY, Ordinary};

/// See the module.
pub(crate) struct Witness {
    /// The layer, by its name.
    pub(crate) layer: &'static str,
    pub(crate) cell: Cell,
    /// What is had without it.
    pub(crate) what: &'static str,
    pub(crate) language: &'static str,
    pub(crate) code: String,
    /// Flags of `firebox run`.
    pub(crate) limits: &'static [&'static str],
    pub(crate) args: Vec<OsString>,
    /// The shell's script around firebox, which calls it as `"$@"`.
    pub(crate) around: String,
    pub(crate) without: Without,
    pub(crate) needs: Needs,
    /// Where toolchains are looked for, if not where they always are.
    pub(crate) path: Option<OsString>,
    /// What has to live for as long as the attack does.
    pub(crate) kept: Vec<Box<dyn Send>>,
}

/// Which kind of cell, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    Jail,
    /// That of an ordinary user.
    UsersJail,
    Fence,
    /// That of an ordinary user.
    UsersFence,
}

/// What leaving the layer out leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    /// The attack succeeds.
    Escape,
    /// Firebox ends with 125: the kernel, or we ourselves, insist on this layer before there is another.
    Nothing,
}

/// What of the host an attack cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// Control groups.
    Groups,
    /// And more than one CPU.
    TwoCpus,
}

/// The script that only calls firebox.
pub(crate) const PLAINLY: &str = "\"$@\"; exit $?";

impl Witness {
    /// An attack that succeeds when a shell finds this true.
    pub(crate) fn shell(cell: Cell, layer: &'static str, what: &'static str, succeeds: &str) -> Witness {
        let code = format!("echo trying\nif {succeeds}\nthen echo ESCAPED\nfi\n");
        Witness::program(cell, layer, what, "bash", code)
    }

    /// The same of Python: blocked is what is not true, and what raises an `OSError` or has no memory.
    pub(crate) fn python(cell: Cell, layer: &'static str, what: &'static str, setup: &str, succeeds: &str) -> Witness {
        let code = format!(
            "import ctypes, os, resource, signal, socket, sys, time\n{setup}\nprint('trying', flush=True)\n\
             try:\n    if {succeeds}:\n        print('ESCAPED', flush=True)\nexcept (OSError, MemoryError) as error:\n    print(error)\n"
        );
        Witness::program(cell, layer, what, "python", code)
    }

    pub(crate) fn program(
        cell: Cell,
        layer: &'static str,
        what: &'static str,
        language: &'static str,
        code: String,
    ) -> Witness {
        Witness {
            layer,
            cell,
            what,
            language,
            code,
            limits: &[],
            args: Vec::new(),
            around: PLAINLY.to_owned(),
            without: Without::Escape,
            needs: Needs::Nothing,
            path: None,
            kept: Vec::new(),
        }
    }

    /// A job that sleeps while a script looks, from outside, at the processes of the cell. The script finds `$engine`,
    /// `$warden` and their descendants as `$first`, `$second` and `$third`.
    pub(crate) fn looked_at(cell: Cell, layer: &'static str, what: &'static str, looks: &str) -> Witness {
        let around = format!(
            "child() {{ cat /proc/$1/task/*/children | cut -d' ' -f1; }}
             lives() {{ grep -q '^State:.[^ZX]' /proc/$1/status 2>/dev/null; }}
             dies() {{ for look in $(seq 100); do lives $1 || return 0; sleep 0.02; done; return 1; }}
             \"$@\" > said & engine=$!
             until grep -q 'job is there' said; do lives $engine || exit 1; sleep 0.02; done
             warden=$(child $engine); first=$(child $warden); second=$(child $first); third=$(child $second)
             echo trying
             {looks}
             kill -KILL $engine; dies $warden; exit 0"
        );
        let mut witness = Witness::program(cell, layer, what, "bash", "echo job is there; sleep 1000; true".to_owned());
        witness.around = around;
        witness
    }

    /// With these flags.
    pub(crate) fn within(self, limits: &'static [&'static str]) -> Witness {
        Witness { limits, ..self }
    }

    /// Only where the host has that.
    pub(crate) fn needing(self, needs: Needs) -> Witness {
        Witness { needs, ..self }
    }

    /// Firebox, contained, on the way to run the attack.
    fn call(&self, left_out: bool) -> (kit::Firebox, Option<Ordinary>) {
        let isolation = match self.cell {
            Cell::Jail | Cell::UsersJail => "jail",
            Cell::Fence | Cell::UsersFence => "fence",
        };
        let call =
            kit::firebox().args(["run", "--isolation", isolation, "--lang", self.language, "--code", &self.code]);
        let call = call.args(self.limits.iter().copied()).program_args(self.args.iter().cloned());
        let call = if left_out { call.env("FIREBOX_LEAVE_OUT", self.layer) } else { call };
        let call = match &self.path {
            Some(path) => call.env("PATH", path),
            None => call,
        };
        if !matches!(self.cell, Cell::UsersJail | Cell::UsersFence) {
            return (call.contained_with(&self.around), None);
        }
        let user = Ordinary::new(NOBODY);
        let chosen = if left_out { format!("FIREBOX_LEAVE_OUT={}", self.layer) } else { String::new() };
        let words = user.words(&format!("env {chosen} {} \"$@\"", user.path("program").display()));
        // The words of a command, to be called as a command is.
        let words = words.trim_start_matches("exec ");
        (call.contained_with(&format!("shift; set -- {words}; {}", self.around)), Some(user))
    }

    fn run(&self, left_out: bool) -> Finished {
        let (call, _user) = self.call(left_out);
        // What is left when a layer is missing goes with the guard and with the namespaces around.
        call.start().wait_keeping_guard().0
    }
}

/// Runs the attack against the whole, and then without the layer.
pub(crate) fn check(witness: &Witness) -> Result<(), String> {
    let Witness { layer, cell, what, .. } = witness;
    let name = format!("layer `{layer}` of {cell:?} ({what})");
    let tried = catch_unwind(AssertUnwindSafe(|| {
        let host = HostInventory::take();
        let runs = is_there(witness.needs, layer).then(|| (witness.run(false), witness.run(true)));
        if !host.left().is_empty() {
            // A warden that was killed leaves control groups, which the next start sweeps up.
            kit::job("bash", "true").contained().run();
        }
        host.assert_nothing_left();
        runs
    }));
    match tried {
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
            let said = said.or_else(|| panic.downcast_ref().cloned()).unwrap_or_default();
            Err(format!("{name}: cannot be tried: {said}"))
        }
        Ok(None) => Ok(()),
        Ok(Some((whole, _))) if !tries(&whole) || escapes(&whole) => {
            Err(format!("{name}: the whole cell does not stop the attack\n{whole}"))
        }
        Ok(Some((_, lacking))) => {
            let noticed = match witness.without {
                Without::Escape => escapes(&lacking),
                Without::Nothing => lacking.code() == 125 && !tries(&lacking),
            };
            noticed.then_some(()).ok_or_else(|| format!("{name}: nobody notices that it is left out\n{lacking}"))
        }
    }
}

fn tries(call: &Finished) -> bool {
    call.stdout().contains("trying")
}

fn escapes(call: &Finished) -> bool {
    call.stdout().contains("ESCAPED")
}

fn is_there(needs: Needs, layer: &str) -> bool {
    let there = match needs {
        Needs::Nothing => true,
        Needs::Groups => has_groups(),
        Needs::TwoCpus => std::thread::available_parallelism().is_ok_and(|cpus| 1 < cpus.get()) && has_groups(),
    };
    if !there {
        kit::skip(layer, &format!("this host has not got what its witness needs: {needs:?}"));
    }
    there
}

/// Whether a jail is held to its limits by control groups.
fn has_groups() -> bool {
    kit::job("bash", "true").contained().outcome().json()["enforcement"]["cpu"] == "enforced"
}
