//! Attacks as data: one program, run outside and in every kind of cell, and what is expected of each.
//!
//! An attack prints a line for each thing it tries, `ESCAPED: what` or `blocked: what: why`. Outside, under a guard,
//! each named thing must succeed: that shows that the attack is one. In a cell, each must be blocked; or, where that
//! kind of cell documents that it does not stop it, succeed, so that nobody takes one kind for another.
//!
//! ```text
//! Attack { name, layer, source, .. } --check--> outside, once --> root jail --> user jail --> fence
//!                                                         or --> microVM
//! ```
//!
//! Each setting that went as expected prints a line for the table of `cargo xtask attack`:
//! `attack: <name> | <layer> | <setting> | held`.

use std::ffi::OsString;

use super::inventory::{HostInventory, leaving_nothing};
use super::outside::{Control, bare};
use super::setting::Setting;
use Expectation::{Elsewhere, Held, HeldBy, HeldOrEnded, Open};

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Attack<'a> {
    /// What the table calls it.
    pub(crate) name: &'a str,
    /// What stops it, in a word or two.
    pub(crate) layer: &'a str,
    /// A file of `tests/attacks`.
    pub(crate) source: &'a str,
    /// Arguments of the program, the same on all sides.
    pub(crate) args: Vec<OsString>,
    /// Flags of `firebox run`.
    pub(crate) limits: &'a [&'a str],
    pub(crate) control: Control,
    /// What succeeds outside. Anything else that the program tries need only be blocked inside.
    pub(crate) succeeds_outside: &'a [&'a str],
    pub(crate) root_jail: Expectation<'a>,
    pub(crate) user_jail: Expectation<'a>,
    pub(crate) fence: Expectation<'a>,
    pub(crate) microvm: Expectation<'a>,
}

/// What is expected of an attack in one kind of cell.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expectation<'a> {
    /// Everything is blocked.
    Held,
    /// The same, but by another layer.
    HeldBy(&'a str),
    /// By this layer, or the whole job is ended with this status before it has tried everything.
    HeldOrEnded(&'a str, &'a str),
    /// These succeed, as documented; everything else is blocked.
    Open(&'a [&'a str]),
    /// It makes no sense here, and why.
    Elsewhere(&'a str),
}

impl<'a> Attack<'a> {
    /// Without arguments, limits or precautions, and held everywhere.
    pub(crate) const PLAIN: Attack<'static> = Attack {
        name: "",
        layer: "",
        source: "",
        args: Vec::new(),
        limits: &[],
        control: Control::Bare,
        succeeds_outside: &[],
        root_jail: Held,
        user_jail: Held,
        fence: Held,
        microvm: Held,
    };

    /// Runs it on all sides.
    pub(crate) fn check(self) {
        self.check_outside();
        self.check_by(|setting| self.check_inside(setting));
    }

    /// The same for an attack whose success only the test can see: `inside` fails where things do not go as expected.
    /// The control is the test's too.
    pub(crate) fn check_by(&self, mut inside: impl FnMut(Setting)) {
        for &setting in Setting::tried() {
            let host = HostInventory::take();
            if setting.missing().is_some() {
                // It has been said.
            } else if let Elsewhere(why) = self.expectation(setting) {
                println!("attack: {} | {} | {setting} | no such thing: {why}", self.name, self.layer);
            } else {
                let line = Line { attack: self, setting };
                inside(setting);
                host.assert_nothing_left();
                drop(line);
            }
            host.assert_nothing_left();
        }
    }

    /// What is documented to succeed here.
    pub(crate) fn open_in(&self, setting: Setting) -> &'a [&'a str] {
        match self.expectation(setting) {
            Open(things) => things,
            Held | HeldBy(_) | HeldOrEnded(..) | Elsewhere(_) => &[],
        }
    }

    /// What stops it here.
    pub(crate) fn layer_in(&self, setting: Setting) -> &'a str {
        match self.expectation(setting) {
            HeldBy(layer) | HeldOrEnded(layer, _) => layer,
            Held | Open(_) | Elsewhere(_) => self.layer,
        }
    }

    fn expectation(&self, setting: Setting) -> Expectation<'a> {
        match setting {
            Setting::RootJail => self.root_jail,
            Setting::UserJail => self.user_jail,
            Setting::Fence => self.fence,
            Setting::MicroVm => self.microvm,
        }
    }

    fn check_outside(&self) {
        let outside = leaving_nothing(|| bare(self.source, &self.args, self.control));
        for what in self.succeeds_outside {
            let line = format!("ESCAPED: {what}");
            let escaped = outside.stdout().lines().any(|l| l == line);
            assert!(escaped, "{} does not even succeed outside: {line}\n{outside}", self.source);
        }
    }

    fn check_inside(&self, setting: Setting) {
        let Attack { source, limits, args, control, .. } = self;
        let inside = setting.attack(source).args(limits.iter().copied()).program_args(args.iter().cloned());
        // A cell that fails must not let through to the machine what the control was kept from.
        let inside = if *control == Control::OwnNamespaces { inside.contained() } else { inside };
        let inside = inside.outcome();
        let open = self.open_in(setting);
        let said = inside.stdout();
        let escaped: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("ESCAPED: ")).collect();
        let through: Vec<&&str> = escaped.iter().filter(|what| !open.contains(what)).collect();
        assert!(through.is_empty(), "{source} succeeds in the {setting}: {through:#?}\n{inside}");
        for what in open {
            assert!(escaped.contains(what), "{what:?} is documented as open in the {setting}, and is not\n{inside}");
        }
        if matches!(self.expectation(setting), HeldOrEnded(_, status) if inside.verdict().0 == status) {
            return;
        }
        for what in self.succeeds_outside.iter().filter(|what| !open.contains(what)) {
            let line = format!("blocked: {what}:");
            let tried = said.lines().any(|l| l.starts_with(&line));
            assert!(tried, "{source} never came to try {what:?} in the {setting}\n{inside}");
        }
    }
}

/// The line for the table: what it says depends on whether the test has failed when it is dropped.
struct Line<'a> {
    attack: &'a Attack<'a>,
    setting: Setting,
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let Line { attack, setting } = self;
        let how = match attack.expectation(*setting) {
            _ if std::thread::panicking() => "FAILED",
            Open(_) => "open, as documented",
            Held | HeldBy(_) | HeldOrEnded(..) | Elsewhere(_) => "held",
        };
        println!("attack: {} | {} | {setting} | {how}", attack.name, attack.layer_in(*setting));
    }
}

pub(crate) fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.map(OsString::from).to_vec()
}
