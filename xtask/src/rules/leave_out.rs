//! The feature that leaves layers out is switched on by nothing but its own name.
//!
//! It is for one test, and no build that somebody might use is to have it: no other feature brings it along, least of
//! all a default one, and no dependency is wanted with it.

use std::path::Path;

use super::Broken;
use crate::repository::Package;

/// What it is called, in every crate that has it.
pub(crate) const FEATURE: &str = "leave-out";

pub(super) fn check(packages: &[Package], root: &Path) -> Vec<Broken> {
    packages.iter().flat_map(|package| check_package(package, root)).collect()
}

fn check_package(package: &Package, root: &Path) -> Vec<Broken> {
    let file = package.manifest_path.strip_prefix(root).unwrap_or(&package.manifest_path);
    let features =
        package.features.iter().filter(|(name, brings)| *name != FEATURE && brings.iter().any(|one| is_it(one)));
    let dependencies = package.dependencies.iter().filter(|one| one.features.iter().any(|feature| is_it(feature)));
    let features = features.map(|(name, _)| format!("its feature `{name}`"));
    let dependencies = dependencies.map(|one| format!("its dependency on `{}`", one.name));
    let brought = features.chain(dependencies).map(|who| Broken {
        file: file.to_owned(),
        line: None,
        what: format!("{who} switches `{FEATURE}` on, which takes protection away: only the feature of that name may"),
    });
    brought.collect()
}

/// Whether a feature, of this crate or of one it depends on, is the one.
fn is_it(feature: &str) -> bool {
    feature.rsplit('/').next() == Some(FEATURE)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::repository::Dependency;

    fn package(features: &[(&str, &[&str])], wanted: &[&str]) -> Package {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let features = features.iter().map(|(name, brings)| ((*name).to_owned(), words(brings)));
        Package {
            name: "firebox".to_owned(),
            manifest_path: "/checkout/crates/cli/Cargo.toml".into(),
            dependencies: vec![Dependency { name: "firebox-jail".to_owned(), kind: None, features: words(wanted) }],
            features: features.collect::<BTreeMap<_, _>>(),
            targets: Vec::new(),
        }
    }

    fn broken(features: &[(&str, &[&str])], wanted: &[&str]) -> Vec<String> {
        let broken = check(&[package(features, wanted)], Path::new("/checkout"));
        broken.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn by_its_own_name_alone_it_may_be_switched_on() {
        assert_eq!(broken(&[("leave-out", &["firebox-jail/leave-out"]), ("default", &["color"])], &["std"]), [""; 0]);
    }

    #[test]
    fn a_default_another_feature_and_a_dependency_are_told_apart() {
        let broken = broken(&[("default", &["leave-out"]), ("all", &["firebox-jail?/leave-out"])], &["leave-out"]);
        for (place, who) in
            ["its feature `all`", "its feature `default`", "its dependency on `firebox-jail`"].iter().enumerate()
        {
            assert!(broken[place].starts_with(&format!("crates/cli/Cargo.toml: {who}")), "{broken:?}");
        }
    }
}
