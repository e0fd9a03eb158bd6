//! The programs of a language on this host, and what a cell must see for them to work.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use firebox_cell::{Layout, Link, Mount, Supply, View};
use firebox_job::StepKind;

use crate::base;
use crate::find::{self, Found, PassedOver, Place};
use crate::groundwork::Groundwork;
use crate::host::{Host, Linker};
use crate::language::{Language, LinksSpec, ProgramSpec};

/// The directory among what firebox brings along that holds its linker.
const LINKER: &str = "linker";

/// What firebox brings along to do the work of a driver: the same program, under another name.
pub(crate) const DRIVER: &str = "driver";

/// The programs of a language on this host, and what a cell must see for them to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The programs, in the order of the language's file.
    pub programs: Vec<Program>,
    /// What every cell for this language sees of the host.
    pub view: View,
    /// The environment of every step, before the job's own.
    pub environment: BTreeMap<String, String>,
    /// Where what else its jobs need is.
    pub groundwork: Groundwork,
    /// What goes to the front of `PATH` where something is built.
    pub first_to_build: Option<PathBuf>,
    /// The image that all of it is of, by its name; none for this host's.
    pub image: Option<String>,
}

/// A program of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What the language's file calls it.
    pub name: String,
    /// The name it was found by.
    pub found: String,
    /// The file itself, on the host.
    pub outside: PathBuf,
    /// Its path in the cell.
    pub inside: PathBuf,
}

/// A program that a language needs is not on this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{language} needs `{program}`, and there is no {} in {}{}{}",
    one_of(.looked_for), places(.searched), passed(.passed_over), otherwise(.passed_over, .install))]
pub struct MissingToolchain {
    /// The language.
    pub language: String,
    /// What the language's file calls the program.
    pub program: String,
    /// The names it was looked for by.
    pub looked_for: Box<[String]>,
    /// The directories it was looked for in.
    pub searched: Box<[PathBuf]>,
    /// What had one of the names and was not taken.
    pub passed_over: Box<[PassedOver]>,
    /// What to install, unless something that was passed over has a better cure.
    pub install: String,
}

impl Language {
    /// Finds the language's programs on a host, by reading alone: nothing that is found is run.
    pub fn find_toolchain(&self, host: &Host) -> Result<Toolchain, MissingToolchain> {
        let root = Path::new("/");
        let mut view = View { steps: self.steps.len(), ..base::view(root) };
        for mount in &self.mounts {
            base::add(&mut view, root, mount);
        }
        let mut environment = BTreeMap::from([("HOME".to_owned(), base::HOME.to_owned())]);
        let mut first_on_path = Vec::new();
        let mut programs: Vec<Program> = Vec::new();
        for spec in &self.programs {
            if let Some(path) = &spec.beside {
                programs.push(self.find_beside(spec, path, &programs, &view)?);
                continue;
            }
            let (name, found, place) = self.find_program(spec, &view, host)?;
            let inside = place.inside().to_owned();
            match &place {
                Place::System { .. } => {}
                Place::Shared { parts, .. } => {
                    parts.iter().for_each(|part| base::add(&mut view, root, part));
                }
                Place::Elsewhere { prefix, at, .. } => {
                    let mount = Mount { outside: prefix.clone(), inside: at.clone() };
                    if !view.mounts.contains(&mount) {
                        view.mounts.push(mount);
                    }
                    environment.extend(spec.elsewhere.iter().flat_map(|elsewhere| elsewhere.environment.clone()));
                    // What has links is on the language's own path through them.
                    if spec.links.is_none() {
                        first_on_path.push(at.join("bin"));
                    }
                }
            }
            if let Some(links) = &spec.links {
                view.links.extend(links_to(links, &found, &inside));
            }
            programs.push(Program { name: spec.name.clone(), found: name, outside: found.real, inside });
        }
        let groundwork = self.groundwork_beside(&programs, &view);
        let first_to_build = self.supply(&mut view, &programs, host.linker);
        environment.extend(self.environment.clone());
        let path = environment.entry("PATH".to_owned()).or_insert_with(|| base::SEARCH_PATH.to_owned());
        for directory in first_on_path.iter().rev() {
            *path = format!("{}:{path}", directory.display());
        }
        Ok(Toolchain { programs, view, environment, groundwork, first_to_build, image: None })
    }

    /// Adds what firebox brings along to a view. What is to go to the front of `PATH` where something is built.
    pub(crate) fn supply(&self, view: &mut View, programs: &[Program], linker: Option<Linker>) -> Option<PathBuf> {
        let Linker(program) = linker?;
        if self.has_a_driver(programs) {
            view.supplies.push(Supply::new(DRIVER, program));
        }
        let name = self.linker.as_ref()?;
        view.supplies.push(Supply::new(Path::new(LINKER).join(name), program));
        Some(Path::new(Supply::PLACE).join(LINKER))
    }

    /// Whether one of these is the driver of others, and tells what it would have them do.
    fn has_a_driver(&self, programs: &[Program]) -> bool {
        self.programs.iter().any(|spec| {
            programs.iter().any(|program| program.name == spec.name && spec.tells.contains_key(&program.found))
        })
    }

    /// A program of the toolchain that the first one is of.
    fn find_beside(
        &self,
        spec: &ProgramSpec,
        path: &Path,
        programs: &[Program],
        view: &View,
    ) -> Result<Program, MissingToolchain> {
        let (outside, inside) = prefix(programs, view).unwrap_or_default();
        let passed = |reason| PassedOver { path: outside.join(path), reason };
        let found = find::program_at(&outside.join(path)).map_err(passed);
        found.map_err(|passed| self.lacks_beside(spec, &outside, path, passed)).map(|real| Program {
            name: spec.name.clone(),
            found: path.to_string_lossy().into_owned(),
            outside: real,
            inside: inside.join(path),
        })
    }

    /// What to say where a toolchain has no such program.
    pub(crate) fn lacks_beside(
        &self,
        spec: &ProgramSpec,
        toolchain: &Path,
        path: &Path,
        passed: PassedOver,
    ) -> MissingToolchain {
        MissingToolchain {
            language: self.name.clone(),
            program: spec.name.clone(),
            looked_for: [path.to_string_lossy().into_owned()].into(),
            searched: [toolchain.to_owned()].into(),
            passed_over: [passed].into(),
            install: spec.install.as_ref().unwrap_or(&self.install).clone(),
        }
    }

    fn groundwork_beside(&self, programs: &[Program], view: &View) -> Groundwork {
        let (outside, inside) = prefix(programs, view).unwrap_or_default();
        self.groundwork_in(&outside, &inside)
    }

    /// The first name that leads to a usable program wins, wherever on the search path it does.
    fn find_program(
        &self,
        spec: &ProgramSpec,
        view: &View,
        host: &Host,
    ) -> Result<(String, Found, Place), MissingToolchain> {
        let mut passed_over: Vec<PassedOver> = Vec::new();
        for name in &spec.find {
            for candidate in find::search(name, host) {
                let placed = candidate.and_then(|found| match find::place(&found, spec, view, host) {
                    Ok(place) => Ok((found, place)),
                    Err(reason) => Err(PassedOver { path: found.called, reason }),
                });
                match placed {
                    Ok((found, place)) => return Ok((name.clone(), found, place)),
                    // A directory may stand on the search path twice.
                    Err(passed) if passed_over.contains(&passed) => {}
                    Err(passed) => passed_over.push(passed),
                }
            }
        }
        Err(MissingToolchain {
            language: self.name.clone(),
            program: spec.name.clone(),
            looked_for: spec.find.clone().into(),
            searched: host.path.clone().into(),
            passed_over: passed_over.into(),
            install: spec.install.as_ref().unwrap_or(&self.install).clone(),
        })
    }
}

impl Toolchain {
    /// The environment of a step of this kind with variables of its own, in a cell of this layout.
    pub(crate) fn environment_in(
        &self,
        layout: &Layout,
        kind: StepKind,
        own: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut environment = self.environment.clone();
        environment.extend(own.clone());
        if let (StepKind::Build, Some(first), Some(path)) = (kind, &self.first_to_build, environment.get_mut("PATH")) {
            *path = format!("{}:{path}", first.display());
        }
        if let Layout::OnHost { temporary, .. } = layout {
            for value in environment.values_mut() {
                *value = self.moved(value, layout);
            }
            // What programs take for granted at `/tmp` has another place here, and this is how they are told.
            for name in ["HOME", "TMPDIR"] {
                environment.insert(name.to_owned(), temporary.to_string_lossy().into_owned());
            }
        }
        environment
    }

    /// A list of paths, each where it is in a cell of this layout.
    fn moved(&self, list: &str, layout: &Layout) -> String {
        let moved =
            list.split(':').map(|path| layout.place(&self.view, Path::new(path)).to_string_lossy().into_owned());
        moved.collect::<Vec<_>>().join(":")
    }
}

/// The toolchain of the first program: on the host, and in a cell.
fn prefix(programs: &[Program], view: &View) -> Option<(PathBuf, PathBuf)> {
    let outside = programs.first()?.outside.parent()?.parent()?;
    let shows = |mount: &&Mount| outside.starts_with(&mount.outside);
    let mount = view.mounts.iter().filter(shows).max_by_key(|mount| mount.outside.as_os_str().len())?;
    Some((outside.to_owned(), mount.inside.join(outside.strip_prefix(&mount.outside).ok()?)))
}

/// Links to those siblings of a program that are there.
fn links_to(links: &LinksSpec, found: &Found, inside: &Path) -> Vec<Link> {
    // A program that is called through a link from somewhere else has its siblings where it really is.
    let beside = if found.called == inside { &found.called } else { &found.real };
    let (Some(outside), Some(inside)) = (beside.parent(), inside.parent()) else { return Vec::new() };
    let there = links.names.iter().filter(|name| fs::metadata(outside.join(name)).is_ok());
    there.map(|name| Link { inside: links.at.join(name), target: inside.join(name) }).collect()
}

fn one_of(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(" or ")
}

fn places(searched: &[PathBuf]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for directory in searched.iter().map(|directory| directory.display().to_string()) {
        if !shown.contains(&directory) {
            shown.push(directory);
        }
    }
    if shown.is_empty() { "PATH, which is empty".to_owned() } else { format!("PATH ({})", shown.join(":")) }
}

fn passed(passed_over: &[PassedOver]) -> String {
    passed_over.iter().map(|passed| format!("; {passed}")).collect()
}

fn otherwise(passed_over: &[PassedOver], install: &str) -> String {
    let cured = passed_over.iter().any(|passed| passed.reason.is_cured_by_the_manager());
    if cured { String::new() } else { format!("; {install}") }
}
