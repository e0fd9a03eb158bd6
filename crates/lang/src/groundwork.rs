//! Groundwork: what the jobs of a language need and a toolchain may lack, such as its own library compiled. It is made once of
//! each toolchain, in a cell like everything that is run, and from then on is a part of what jobs see of that toolchain.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use firebox_cell::{Layout, Mount};
use firebox_job::{SourceFile, StepKind};

use crate::find::{PassReason, PassedOver};
use crate::language::Language;
use crate::pattern::Pattern;
use crate::plan::{Step, Values};
use crate::toolchain::{MissingToolchain, Toolchain};

/// Where it appears in a cell.
const PLACE: &str = "/opt/groundwork";

/// How a language's groundwork is made.
#[derive(Debug, Clone)]
pub(crate) struct GroundworkSpec {
    /// Where toolchains have it that bring it along, in the toolchain of the first program.
    pub(crate) there: Option<PathBuf>,
    pub(crate) argv: Vec<Pattern>,
    pub(crate) environment: BTreeMap<String, Pattern>,
    /// What that finds in the work directory.
    pub(crate) files: Vec<SourceFile>,
}

/// Where the groundwork is that jobs on a toolchain need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Groundwork {
    /// The language has none.
    NotNeeded,
    /// By this path in a cell.
    At(PathBuf),
    /// It is still to be made.
    Lacking,
}

/// What makes a groundwork. It says on standard output which files, right in the work directory, are to be taken: a line with the
/// file's name, a blank, and its path in the groundwork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laying {
    /// What is put into the cell.
    pub files: Vec<SourceFile>,
    /// What is started.
    pub step: Step,
}

impl Language {
    /// What makes its groundwork of this toolchain, in a cell of this layout; none if it has none.
    pub fn laying(&self, toolchain: &Toolchain, layout: &Layout) -> Option<Laying> {
        let GroundworkSpec { there: _, argv, environment, files } = self.groundwork.as_ref()?;
        let values = Values::without_job(self, toolchain, layout);
        let own = values.environment(environment);
        let step = Step {
            name: "groundwork".to_owned(),
            kind: StepKind::Build,
            argv: values.argv(argv),
            env: toolchain.environment_in(layout, StepKind::Build, &own).into_iter().collect(),
            crash_codes: Vec::new(),
            makes: None,
        };
        Some(Laying { files: files.clone(), step })
    }

    /// What to say where its groundwork was not laid, though its first program is there.
    pub fn lacks_groundwork(&self, program: Option<&Path>) -> MissingToolchain {
        let first = self.programs.first();
        let path = program.map(Path::to_owned).unwrap_or_default();
        MissingToolchain {
            language: self.name.clone(),
            program: first.map(|spec| spec.name.clone()).unwrap_or_default(),
            looked_for: first.map(|spec| spec.find.clone()).unwrap_or_default().into(),
            searched: Box::default(),
            passed_over: [PassedOver { path, reason: PassReason::NoGroundwork { language: self.name.clone() } }].into(),
            install: self.install.clone(),
        }
    }

    /// Where it is in a toolchain that nobody has laid any of. The directory is the first program's toolchain, outside and inside.
    pub(crate) fn groundwork_in(&self, outside: &Path, inside: &Path) -> Groundwork {
        let Some(spec) = &self.groundwork else { return Groundwork::NotNeeded };
        let has_some = |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        match &spec.there {
            Some(there) if has_some(&outside.join(there)) => Groundwork::At(inside.join(there)),
            Some(_) | None => Groundwork::Lacking,
        }
    }
}

impl Toolchain {
    /// Whether jobs need a groundwork that is still to be made.
    pub fn lacks_groundwork(&self) -> bool {
        self.groundwork == Groundwork::Lacking
    }

    /// Has jobs see this directory of the host as their groundwork.
    pub fn lay(&mut self, groundwork: &Path) {
        let inside = PathBuf::from(PLACE);
        // An image may have something there.
        self.view.mounts.retain(|mount| !mount.inside.starts_with(&inside));
        self.view.links.retain(|link| !link.inside.starts_with(&inside));
        self.view.mounts.push(Mount { outside: groundwork.to_owned(), inside: inside.clone() });
        self.groundwork = Groundwork::At(inside);
    }
}
