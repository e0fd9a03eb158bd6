//! Which modules of a kernel a guest needs, in the order in which they have to be loaded. No I/O: given what there is, it says what to take.
//!
//! ```text
//! wanted --is it built in?--> nothing to do
//!    `--depends--> those first, and theirs ... --asks for--> those before it, if there are any --> it
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::bounds::KernelBounds;
use crate::kernel::module::{ModuleInfo, ModuleName};

/// What a guest of ours cannot do without: the devices that it has, the filesystem that images are, and the one that lies over it.
pub(super) const WANTED: [&str; 6] =
    ["virtio_mmio", "virtio_blk", "virtio_rng", "vmw_vsock_virtio_transport", "erofs", "overlay"];

/// What modules there are of one kernel.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    pub(super) modules: BTreeMap<ModuleName, ModuleInfo>,
    /// Those that are part of the kernel, and what else they are known by.
    pub(super) builtin: BTreeSet<ModuleName>,
}

/// Whether a guest can do without a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loading {
    /// It cannot.
    Must,
    /// It can: the module is one of several ways, and not every processor knows each.
    May,
}

/// A module to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needed {
    pub(super) name: ModuleName,
    pub(super) loading: Loading,
}

/// Why a kernel's modules are not what a guest needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NeedsError {
    /// Some are not there.
    #[error("it has no module {}, and no such part: a guest needs that", listed(.0))]
    Missing(Vec<ModuleName>),
    /// One that is there needs one that is not.
    #[error("its module `{module}` needs `{needs}`, which is not there")]
    Broken {
        /// Which.
        module: ModuleName,
        /// What it needs.
        needs: ModuleName,
    },
    /// They need each other.
    #[error("its module `{0}` needs itself")]
    Circle(ModuleName),
    /// Nothing real is like that.
    #[error("its modules need each other {} deep", KernelBounds::DEPTH)]
    Deep,
    /// More than anybody loads.
    #[error("a guest would need more than {0} of its modules")]
    Many(usize),
}

fn listed(names: &[ModuleName]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Inventory {
    /// What is wanted, after all that it needs.
    pub(super) fn needed(&self, wanted: &[&str], most: usize) -> Result<Vec<Needed>, NeedsError> {
        let wanted: Vec<ModuleName> = wanted.iter().filter_map(|name| ModuleName::new(name)).collect();
        let is_there = |name: &ModuleName| self.modules.contains_key(name) || self.builtin.contains(name);
        let missing: Vec<ModuleName> = wanted.iter().filter(|name| !is_there(name)).cloned().collect();
        if !missing.is_empty() {
            return Err(NeedsError::Missing(missing));
        }
        let mut loaded = Order { inventory: self, most, order: Vec::new(), states: BTreeMap::new() };
        wanted.iter().try_for_each(|name| loaded.load(name, 0))?;
        let must = self.must(wanted);
        let needed = loaded.order.into_iter().map(|name| {
            let loading = if must.contains(&name) { Loading::Must } else { Loading::May };
            Needed { name, loading }
        });
        Ok(needed.collect())
    }

    /// What is wanted and what that cannot be linked without.
    fn must(&self, wanted: Vec<ModuleName>) -> BTreeSet<ModuleName> {
        let (mut must, mut open) = (BTreeSet::new(), wanted);
        while let Some(name) = open.pop() {
            if must.insert(name.clone()) {
                open.extend(self.modules.get(&name).iter().flat_map(|info| info.depends.clone()));
            }
        }
        must
    }

    /// The modules that are known by a name; none where the kernel itself is.
    fn known_by<'a>(&'a self, name: &'a ModuleName) -> impl Iterator<Item = &'a ModuleName> {
        let is = move |(own, info): &(&'a ModuleName, &'a ModuleInfo)| *own == name || info.aliases.contains(name);
        let modules = (!self.builtin.contains(name)).then_some(&self.modules);
        modules.into_iter().flatten().filter(is).map(|(own, _)| own)
    }
}

/// Modules as they are put in order.
struct Order<'a> {
    inventory: &'a Inventory,
    most: usize,
    order: Vec<ModuleName>,
    states: BTreeMap<&'a ModuleName, State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begun,
    Done,
}

impl<'a> Order<'a> {
    fn load(&mut self, name: &ModuleName, depth: usize) -> Result<(), NeedsError> {
        if self.inventory.builtin.contains(name) {
            return Ok(());
        }
        // Whoever calls has looked.
        let Some((name, info)) = self.inventory.modules.get_key_value(name) else { return Ok(()) };
        match self.states.insert(name, State::Begun) {
            None if KernelBounds::DEPTH <= depth => return Err(NeedsError::Deep),
            None => {}
            Some(State::Begun) => return Err(NeedsError::Circle(name.clone())),
            Some(State::Done) => {
                self.states.insert(name, State::Done);
                return Ok(());
            }
        }
        for needs in &info.depends {
            if !self.inventory.modules.contains_key(needs) && !self.inventory.builtin.contains(needs) {
                return Err(NeedsError::Broken { module: name.clone(), needs: needs.clone() });
            }
            self.load(needs, depth + 1)?;
        }
        let inventory: &'a Inventory = self.inventory;
        for asked in &info.asks_for {
            for known in inventory.known_by(asked) {
                self.load(known, depth + 1)?;
            }
        }
        if self.order.len() == self.most {
            return Err(NeedsError::Many(self.most));
        }
        self.states.insert(name, State::Done);
        self.order.push(name.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ModuleName {
        ModuleName::new(text).unwrap()
    }

    fn names(words: &str) -> Vec<ModuleName> {
        words.split(' ').filter(|word| !word.is_empty()).map(name).collect()
    }

    /// A module for each line: its name, what it depends on, asks for, and is known by.
    fn inventory(modules: &[(&str, &str, &str, &str)], builtin: &str) -> Inventory {
        let info = |depends, asks_for, aliases| ModuleInfo {
            release: "6.1".parse().unwrap(),
            depends: names(depends),
            asks_for: names(asks_for),
            aliases: names(aliases),
        };
        Inventory {
            modules: modules.iter().map(|(own, needs, asks, known)| (name(own), info(needs, asks, known))).collect(),
            builtin: names(builtin).into_iter().collect(),
        }
    }

    /// In order, with a mark at those that a guest can do without.
    fn needed(inventory: &Inventory, wanted: &[&str]) -> Result<String, NeedsError> {
        let needed = inventory.needed(wanted, 20)?;
        let word =
            |needed: &Needed| format!("{}{}", if needed.loading == Loading::May { "-" } else { "" }, needed.name);
        Ok(needed.iter().map(word).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn what_is_needed_comes_before_who_needs_it_and_once() {
        let inventory = inventory(
            &[
                ("mmio", "virtio ring", "", ""),
                ("blk", "ring virtio", "", ""),
                ("ring", "virtio", "", ""),
                ("virtio", "", "", ""),
            ],
            "overlay",
        );
        assert_eq!(needed(&inventory, &["mmio", "blk", "overlay"]).unwrap(), "virtio ring mmio blk");
        assert_eq!(needed(&inventory, &["overlay"]).unwrap(), "");
    }

    #[test]
    fn what_a_module_asks_for_is_loaded_by_whatever_it_is_known_by() {
        let modules = [
            ("erofs", "lib", "", ""),
            ("lib", "", "crc", ""),
            ("crc_fast", "simd", "", "crc crypto_crc"),
            ("crc_slow", "", "", "crc"),
            ("simd", "", "", ""),
        ];
        assert_eq!(needed(&inventory(&modules, ""), &["erofs"]).unwrap(), "-simd -crc_fast -crc_slow lib erofs");
        // What somebody else cannot do without is no matter of choice.
        assert_eq!(
            needed(&inventory(&modules, ""), &["erofs", "crc_slow"]).unwrap(),
            "-simd -crc_fast crc_slow lib erofs"
        );
        assert_eq!(needed(&inventory(&modules, "crc"), &["erofs"]).unwrap(), "lib erofs");
        assert_eq!(needed(&inventory(&modules[..2], ""), &["erofs"]).unwrap(), "lib erofs");
    }

    #[test]
    fn all_that_is_missing_is_said_at_once() {
        let inventory = inventory(&[("a", "b", "", "")], "");
        assert_eq!(needed(&inventory, &["x", "a", "y"]), Err(NeedsError::Missing(names("x y"))));
        let broken = needed(&inventory, &["a"]).unwrap_err();
        assert_eq!(broken.to_string(), "its module `a` needs `b`, which is not there");
    }

    #[test]
    fn circles_and_chains_without_end_are_refused() {
        let circle = inventory(&[("a", "b", "", ""), ("b", "c", "", ""), ("c", "a", "", "")], "");
        assert_eq!(needed(&circle, &["a"]), Err(NeedsError::Circle(name("a"))));
        let asks = inventory(&[("a", "", "b", ""), ("b", "a", "", "")], "");
        assert_eq!(needed(&asks, &["a"]), Err(NeedsError::Circle(name("a"))));
        let long: Vec<String> = (0..100).map(|number| format!("m{number}")).collect();
        let chain: Vec<_> = long.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str(), "", "")).collect();
        assert_eq!(needed(&inventory(&chain, "m99"), &["m0"]), Err(NeedsError::Deep));
        let many: Vec<_> = long.iter().map(|own| (own.as_str(), "", "", "")).collect();
        let all: Vec<&str> = long.iter().map(String::as_str).collect();
        assert_eq!(needed(&inventory(&many, ""), &all), Err(NeedsError::Many(20)));
    }
}
