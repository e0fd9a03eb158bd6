//! A language: what its file says, checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use firebox_job::{SourcePath, StepKind};

use crate::groundwork::GroundworkSpec;
use crate::option::OptionSpec;
use crate::pattern::Pattern;

/// An entry of the catalogue: says how a job in it becomes a plan, and which options it takes.
#[derive(Debug, Clone)]
pub struct Language {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) extensions: Vec<String>,
    pub(crate) entry: SourcePath,
    pub(crate) install: String,
    /// The container image that has it.
    pub(crate) image: Option<String>,
    pub(crate) options: Vec<OptionSpec>,
    pub(crate) programs: Vec<ProgramSpec>,
    pub(crate) mounts: Vec<PathBuf>,
    /// The program that links, as it is called: firebox's own stands in front of it under the same name.
    pub(crate) linker: Option<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// What its jobs need that a toolchain may lack, and how it is made.
    pub(crate) groundwork: Option<GroundworkSpec>,
    pub(crate) steps: Vec<StepSpec>,
    pub(crate) version: Vec<Pattern>,
}

/// A program that the language needs of the host.
#[derive(Debug, Clone)]
pub(crate) struct ProgramSpec {
    /// What placeholders call it.
    pub(crate) name: String,
    /// Where it is in the toolchain of the first program, if it is not looked for by itself.
    pub(crate) beside: Option<PathBuf>,
    /// The names it may have on the host, best first.
    pub(crate) find: Vec<String>,
    /// Arguments it always gets when it was found by a certain one of these names.
    pub(crate) arguments: BTreeMap<String, Vec<String>>,
    /// Arguments by which it tells, found by one of these names, what it would have others do, and does nothing.
    pub(crate) tells: BTreeMap<String, Vec<String>>,
    /// What to install when it is missing, if that is not what the language says.
    pub(crate) install: Option<String>,
    /// Where it appears when it comes from outside of what every job in the language sees.
    pub(crate) elsewhere: Option<Elsewhere>,
    /// Links to it and its siblings, wherever it comes from.
    pub(crate) links: Option<LinksSpec>,
}

/// Where a toolchain from outside of the system's directories appears in a cell.
#[derive(Debug, Clone)]
pub(crate) struct Elsewhere {
    /// Where its prefix (the parent of its `bin`) is mounted; `{toolchain}` is the prefix's own name.
    pub(crate) at: String,
    /// Environment that it needs there, and nowhere else.
    pub(crate) environment: BTreeMap<String, String>,
}

/// Links to a program and its siblings.
#[derive(Debug, Clone)]
pub(crate) struct LinksSpec {
    /// The directory of the links.
    pub(crate) at: PathBuf,
    /// Which siblings; those that are not there are left out.
    pub(crate) names: Vec<String>,
}

/// One step of every job in the language.
#[derive(Debug, Clone)]
pub(crate) struct StepSpec {
    pub(crate) name: String,
    pub(crate) kind: StepKind,
    pub(crate) argv: Vec<Pattern>,
    pub(crate) crash_codes: Vec<u8>,
    /// The file it makes in the work directory: no source may have that name.
    pub(crate) makes: Option<SourcePath>,
    /// Words of the language that stand for something else every time, such as the date.
    pub(crate) volatile: Vec<String>,
    /// Variables that no other step has, laid over the language's.
    pub(crate) environment: BTreeMap<String, Pattern>,
    /// How far it can be before its job has come.
    pub(crate) ahead: Option<Ahead>,
    /// How a copy of it is told that it is one.
    pub(crate) copied: Option<Copied>,
    /// A text on which it does what it does on most.
    pub(crate) typical: Option<String>,
}

/// How a copy of a program is told that it is one, so that it makes anew what copies must not share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Functions of its own or of its libraries, called one after the other: the first without an argument, the others with
    /// what that has answered.
    pub functions: Vec<String>,
    /// How many random bytes at once are drawn anew by that. Larger draws of any other size stay what no copy may have behind
    /// it.
    pub renews: u32,
}

/// How far the program of a first step can be before its job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// Loaded, in each cell anew, with its libraries: for a program that notes the time, or draws its luck, as it starts.
    Loaded,
    /// Started, in each cell anew, up to where it first asks for something in the work directory.
    Started,
    /// The same, but started only once: each cell gets a copy of what it has become by then. For a program that has settled
    /// nothing by then that must differ from one job to the next.
    Template,
    /// It only drives others, and tells what it would have them do. A program of ours does the same, and of that each cell
    /// gets a copy.
    Driver,
}

impl Ahead {
    pub(crate) const ALL: [Ahead; 4] = [Ahead::Loaded, Ahead::Started, Ahead::Template, Ahead::Driver];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Ahead::Loaded => "loaded",
            Ahead::Started => "started",
            Ahead::Template => "template",
            Ahead::Driver => "driver",
        }
    }
}

impl Language {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether something is built before it runs.
    pub fn builds(&self) -> bool {
        self.steps.iter().any(|step| step.kind == StepKind::Build)
    }

    /// Other names for it.
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// The container image that has its programs, as it is called at its registry.
    pub fn image(&self) -> Option<&str> {
        self.image.as_deref()
    }

    /// Whether a client who asks for this name means this language.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }

    /// What its files end in, without the dot.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The file name that bare `code` gets.
    pub fn entry(&self) -> &SourcePath {
        &self.entry
    }

    /// The options it takes.
    pub fn options(&self) -> &[OptionSpec] {
        &self.options
    }
}
