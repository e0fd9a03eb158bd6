//! Which crate may depend on which: the list in ARCHITECTURE.md against the manifests.
//!
//! The list is a fenced block after the marker, one line for each crate, by the name of its folder:
//!
//! ~~~text
//! <!-- edges: checked by cargo xtask rules -->
//! ```text
//! cli -> api, cell, engine
//! ```
//! ~~~
//!
//! Only normal dependencies count: what a crate's tests or build script use is not part of the product.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Result;

use super::Broken;
use crate::repository::{Package, Repository};

/// Where the list stands.
pub(super) const FILE: &str = "ARCHITECTURE.md";
const MARKER: &str = "<!-- edges: checked by cargo xtask rules -->";

/// A crate and the crates of ours it depends on.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// The edges as the manifests have them; crates without one are there too.
pub(super) fn real_edges(repository: &Repository) -> Result<Edges> {
    Ok(edges_of(&repository.metadata()?.packages))
}

fn edges_of(packages: &[Package]) -> Edges {
    let folders: BTreeMap<&str, String> =
        packages.iter().map(|package| (package.name.as_str(), folder_of(package))).collect();
    packages
        .iter()
        .map(|package| {
            let normal = package.dependencies.iter().filter(|dependency| dependency.kind.is_none());
            let ours = normal.filter_map(|dependency| folders.get(dependency.name.as_str()).cloned()).collect();
            (folder_of(package), ours)
        })
        .collect()
}

fn folder_of(package: &Package) -> String {
    let folder = package.manifest_path.parent().and_then(|folder| folder.file_name());
    folder.map_or_else(|| package.name.clone(), |folder| folder.to_string_lossy().into_owned())
}

/// Compares both ways: an edge nobody allowed, and an allowance nobody uses.
pub(super) fn check(architecture: &str, real: &Edges) -> Vec<Broken> {
    let listed = match listed_edges(architecture) {
        Ok(listed) => listed,
        Err((line, what)) => return vec![Broken { file: PathBuf::from(FILE), line, what }],
    };
    let mut broken = Vec::new();
    for (name, dependencies) in real {
        let allowed = listed.iter().find(|edges| edges.from == *name).map(|edges| &edges.to);
        for dependency in dependencies.iter().filter(|one| !allowed.is_some_and(|allowed| allowed.contains(*one))) {
            broken.push(Broken {
                file: PathBuf::from(format!("{}/Cargo.toml", place_of(name))),
                line: None,
                what: format!(
                    "`{name}` depends on `{dependency}`, which {FILE} does not allow: take the dependency out, or, if \
                     the architecture is meant to change, add it to the line `{name} -> ...` there"
                ),
            });
        }
    }
    for edges in &listed {
        let here = |what| Broken { file: PathBuf::from(FILE), line: Some(edges.line), what };
        let Some(dependencies) = real.get(&edges.from) else {
            broken.push(here(format!("there is no crate `{}`: take the line out", edges.from)));
            continue;
        };
        for unused in edges.to.difference(dependencies) {
            broken.push(here(format!(
                "allows `{0} -> {unused}`, but {1}/Cargo.toml has no such dependency: take `{unused}` out of the line",
                edges.from,
                place_of(&edges.from)
            )));
        }
    }
    broken
}

fn place_of(name: &str) -> String {
    if name == "xtask" { name.to_owned() } else { format!("crates/{name}") }
}

#[derive(Debug, PartialEq, Eq)]
struct Listed {
    line: usize,
    from: String,
    to: BTreeSet<String>,
}

/// The list, or the line and the reason why there is none.
fn listed_edges(architecture: &str) -> Result<Vec<Listed>, (Option<usize>, String)> {
    let mut lines = architecture.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    if !lines.any(|(_, line)| line == MARKER) {
        return Err((None, format!("has no line `{MARKER}` with the allowed edges in a fenced block after it")));
    }
    let mut lines = lines.skip_while(|(_, line)| line.is_empty());
    match lines.next() {
        Some((_, line)) if line.starts_with("```") => {}
        Some((line, _)) => return Err((Some(line), "expected a fenced block with the allowed edges here".to_owned())),
        None => return Err((None, format!("ends after `{MARKER}`; the fenced block is missing"))),
    }
    let mut listed: Vec<Listed> = Vec::new();
    for (line, text) in lines {
        if text.starts_with("```") {
            return Ok(listed);
        }
        if text.is_empty() {
            continue;
        }
        let Some((from, to)) = text.split_once("->") else {
            return Err((Some(line), format!("`{text}` is not of the form `crate -> crate, crate`")));
        };
        let from = from.trim().to_owned();
        if listed.iter().any(|one| one.from == from) {
            return Err((Some(line), format!("`{from}` has a line already: put its edges together")));
        }
        let to = to.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        listed.push(Listed { line, from, to });
    }
    Err((None, "the fenced block with the allowed edges is never closed".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Dependency;

    const GOOD: &str = "# A\n\n<!-- edges: checked by cargo xtask rules -->\n```text\ncli -> job, wire\njob ->\n```\n";

    fn edges(pairs: &[(&str, &[&str])]) -> Edges {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        pairs.iter().map(|(from, to)| ((*from).to_owned(), owned(to))).collect()
    }

    #[test]
    fn a_list_that_agrees_is_fine_and_a_crate_without_edges_needs_no_line() {
        assert_eq!(check(GOOD, &edges(&[("cli", &["job", "wire"]), ("job", &[]), ("wire", &[])])), []);
    }

    #[test]
    fn an_edge_nobody_allowed_names_the_manifest() {
        let broken = check(GOOD, &edges(&[("cli", &["job", "wire"]), ("job", &["wire"])]));
        assert_eq!(broken.len(), 1);
        assert_eq!(broken[0].file, PathBuf::from("crates/job/Cargo.toml"));
        assert!(broken[0].what.contains("`job` depends on `wire`"), "{}", broken[0]);
    }

    #[test]
    fn an_allowance_nobody_uses_names_its_line() {
        let broken = check(GOOD, &edges(&[("cli", &["job"]), ("job", &[])]));
        assert_eq!(broken.len(), 1);
        assert!(broken[0].to_string().starts_with("ARCHITECTURE.md:5: allows `cli -> wire`"), "{}", broken[0]);
    }

    #[test]
    fn a_line_for_a_crate_that_is_gone_is_broken() {
        let broken = check(GOOD, &edges(&[("cli", &["job", "wire"])]));
        assert_eq!(broken[0].to_string(), "ARCHITECTURE.md:6: there is no crate `job`: take the line out");
    }

    #[test]
    fn a_list_that_cannot_be_read_says_where() {
        for (text, says) in [
            ("nothing here", "ARCHITECTURE.md: has no line"),
            ("<!-- edges: checked by cargo xtask rules -->\ntext", "ARCHITECTURE.md:2: expected a fenced block"),
            ("<!-- edges: checked by cargo xtask rules -->", "ARCHITECTURE.md: ends after"),
            ("<!-- edges: checked by cargo xtask rules -->\n```\na\n```", "ARCHITECTURE.md:3: `a` is not"),
            ("<!-- edges: checked by cargo xtask rules -->\n```\na -> b\na -> c\n```", "ARCHITECTURE.md:4: `a` has"),
            ("<!-- edges: checked by cargo xtask rules -->\n```\na -> b", "ARCHITECTURE.md: the fenced block"),
        ] {
            let broken = check(text, &Edges::new());
            assert!(broken[0].to_string().starts_with(says), "{text:?}: {}", broken[0]);
        }
    }

    #[test]
    fn only_normal_dependencies_of_ours_are_edges() {
        let dependency = |name: &str, kind: Option<&str>| Dependency {
            name: name.to_owned(),
            kind: kind.map(str::to_owned),
            features: Vec::new(),
        };
        let package = |name: &str, folder: &str, dependencies| Package {
            name: name.to_owned(),
            manifest_path: PathBuf::from(format!("/checkout/crates/{folder}/Cargo.toml")),
            dependencies,
            features: BTreeMap::new(),
            targets: Vec::new(),
        };
        let packages = [
            package("firebox-job", "job", vec![dependency("serde", None)]),
            package("firebox-wire", "wire", vec![]),
            package("firebox", "cli", vec![dependency("firebox-job", None), dependency("firebox-wire", Some("dev"))]),
        ];
        assert_eq!(edges_of(&packages), edges(&[("cli", &["job"]), ("job", &[]), ("wire", &[])]));
    }
}
