//! From a job to the ordered steps that carry it out.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;

use firebox_cell::Layout;
use firebox_job::{Job, Limits, OptionValue, SourcePath, Sources, StepKind};

use crate::driver::Driver;
use crate::excerpt::excerpt;
use crate::groundwork::Groundwork;
use crate::language::{Ahead, Copied, Language, StepSpec};
use crate::nearest::{did_you_mean, nearest};
use crate::option::{OptionSpec, value_text};
use crate::pattern::{Pattern, Piece};
use crate::toolchain::Toolchain;

/// The ordered steps of a job. The last one runs the program, those before it build it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

/// One step: a program to start in the work directory of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name, such as `compile` or `run`.
    pub name: String,
    /// What it is for.
    pub kind: StepKind,
    /// The program, by its absolute path in the cell, and its arguments.
    pub argv: Vec<Vec<u8>>,
    /// The whole environment, in the order of the names.
    pub env: Vec<(String, String)>,
    /// Exit codes by which a compiler says that it broke down, rather than that the code is wrong.
    pub crash_codes: Vec<u8>,
    /// The file that it makes in the work directory, if it builds.
    pub makes: Option<SourcePath>,
}

/// A step that can be started before its job has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepAhead {
    /// The step.
    pub step: Step,
    /// How far it can be.
    pub ahead: Ahead,
    /// How a copy of it is told that it is one.
    pub copied: Option<Copied>,
    /// A text on which it does what it does on most.
    pub typical: Option<String>,
    /// What does the step's work in place of its program, if that is only the driver of others.
    pub driver: Option<Driver>,
}

/// Why a job has no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The language takes no such option.
    #[error("{language} has no option `{option}`{}", offer(.nearest, .known))]
    UnknownOption {
        /// The language.
        language: String,
        /// The option as given, shortened when it is long.
        option: String,
        /// The names closest to it, best first.
        nearest: Vec<String>,
        /// All options of the language.
        known: Vec<String>,
    },
    /// The option does not take this value.
    #[error("option `{option}` of {language} is {given:?}; it takes {allowed}")]
    WrongValue {
        /// The language.
        language: String,
        /// The option.
        option: String,
        /// The value as given, shortened when it is long.
        given: String,
        /// The values it takes, as a text.
        allowed: String,
    },
    /// A step makes a file of this name, so the job's own would be gone before the program could read it.
    #[error("file {:?} is in the way of what the {step} step makes, `{makes}`; call it something else", .path.as_str())]
    NameTaken {
        /// The job's file.
        path: SourcePath,
        /// The step.
        step: String,
        /// What the step makes.
        makes: SourcePath,
    },
    /// What the language's jobs need besides the toolchain was not made yet.
    #[error("the groundwork of {language} was not laid yet; `firebox languages prepare {language}` does it once")]
    NoGroundwork {
        /// The language.
        language: String,
    },
    /// The toolchain is another language's.
    #[error("the toolchain at hand has no `{program}`, which {language} needs; find the toolchain of this language")]
    OtherToolchain {
        /// The language.
        language: String,
        /// The program that is not in the toolchain.
        program: String,
    },
}

fn offer(nearest: &[String], known: &[String]) -> String {
    match (nearest, known) {
        ([], []) => "; it takes none".to_owned(),
        ([], known) => format!("; there are `{}`", known.join("`, `")),
        (nearest, _) => did_you_mean(nearest),
    }
}

impl Language {
    /// Plans a job with the programs of a toolchain of this language, in a cell of this layout. Whether there is a plan
    /// does not depend on the layout.
    pub fn plan(&self, job: &Job, toolchain: &Toolchain, layout: &Layout) -> Result<Plan, PlanError> {
        // Exhaustive: whether a new field bears on the plan must be decided here.
        let Job { trace_id: _, language: _, sources, args, env, options, limits, isolation: _, require: _, seed: _ } =
            job;
        if let Some(option) = options.keys().find(|name| !self.options.iter().any(|own| own.name == **name)) {
            return Err(self.unknown_option(option));
        }
        let at_hand = |name: &str| toolchain.programs.iter().any(|program| program.name == name);
        if let Some(missing) = self.programs.iter().find(|spec| !at_hand(&spec.name)) {
            let (language, program) = (self.name.clone(), missing.name.clone());
            return Err(PlanError::OtherToolchain { language, program });
        }
        if toolchain.groundwork == Groundwork::Lacking {
            return Err(PlanError::NoGroundwork { language: self.name.clone() });
        }
        let mut values = Values::without_job(self, toolchain, layout);
        for option in &self.options {
            let chosen = self.chosen(option, options.get(&option.name))?;
            values.options.push((option, chosen));
        }
        values.job = Some(sources);
        values.limits = Some(limits);
        values.entry = Some(file_argument(sources.entry()));
        values.sources = self.own_sources(sources).map(file_argument).collect();

        let mut steps = Vec::new();
        for spec in &self.steps {
            refuse_taken_names(spec, sources)?;
            let mut step = values.step(spec);
            if spec.kind == StepKind::Run {
                step.argv.extend(args.iter().map(|arg| arg.clone().into_bytes()));
                let own: BTreeMap<String, String> = step.env.into_iter().chain(env.clone()).collect();
                step.env = own.into_iter().collect();
            }
            steps.push(step);
        }
        Ok(Plan { steps })
    }

    /// The first step of a job that asks for nothing particular, if that step can be started before there is a job: one file
    /// under the name that an entry has by default, all options at their defaults, no arguments and no variables.
    pub fn first_step_ahead(&self, toolchain: &Toolchain, layout: &Layout) -> Option<StepAhead> {
        let first = self.steps.first()?;
        let ahead = first.ahead?;
        if toolchain.groundwork == Groundwork::Lacking {
            return None;
        }
        let mut values = Values::without_job(self, toolchain, layout);
        for option in &self.options {
            values.options.push((option, option.position(&option.default)?));
        }
        values.entry = Some(file_argument(&self.entry));
        values.sources = vec![file_argument(&self.entry)];
        let step = values.step(first);
        let driver = match ahead {
            Ahead::Driver => Some(Driver::of(self, first, &step, toolchain, layout)?),
            Ahead::Loaded | Ahead::Started | Ahead::Template => None,
        };
        Some(StepAhead { step, ahead, copied: first.copied.clone(), typical: first.typical.clone(), driver })
    }

    /// Whether its first step can be started before there is a job.
    pub fn starts_ahead(&self) -> bool {
        self.steps.first().is_some_and(|first| first.ahead.is_some())
    }

    fn unknown_option(&self, option: &str) -> PlanError {
        let known: Vec<String> = self.options.iter().map(|own| own.name.clone()).collect();
        let nearest = nearest(option, known.iter().map(String::as_str));
        PlanError::UnknownOption { language: self.name.clone(), option: excerpt(option), nearest, known }
    }

    /// Where the chosen value stands among the option's.
    fn chosen(&self, option: &OptionSpec, given: Option<&OptionValue>) -> Result<usize, PlanError> {
        let value = given.unwrap_or(&option.default);
        option.position(value).ok_or_else(|| PlanError::WrongValue {
            language: self.name.clone(),
            option: option.name.clone(),
            given: excerpt(&value_text(value)),
            allowed: option.allowed(),
        })
    }

    /// The entry, whatever it is called, and then every other file that ends as the language's files do.
    fn own_sources<'a>(&'a self, sources: &'a Sources) -> impl Iterator<Item = &'a SourcePath> {
        let own = |path: &&SourcePath| path.extension().is_some_and(|end| self.extensions.iter().any(|own| own == end));
        let others = sources.files().iter().map(|file| &file.path).filter(|path| *path != sources.entry());
        std::iter::once(sources.entry()).chain(others.filter(own))
    }
}

/// Refuses files that a step would overwrite, or that keep it from making its own.
fn refuse_taken_names(spec: &StepSpec, sources: &Sources) -> Result<(), PlanError> {
    let Some(makes) = &spec.makes else { return Ok(()) };
    let taken = |path: &str| {
        let rest = path.strip_prefix(makes.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match sources.files().iter().find(|file| taken(file.path.as_str())) {
        Some(file) => {
            let (path, step, makes) = (file.path.clone(), spec.name.clone(), makes.clone());
            Err(PlanError::NameTaken { path, step, makes })
        }
        None => Ok(()),
    }
}

/// A file's path as an argument that every tool takes for a path.
///
/// `-x` would be an option, `@x` a list of arguments to a compiler, `+x` an option to a shell. Ordinary names stay as
/// they are, since they come back in diagnostics.
fn file_argument(path: &SourcePath) -> String {
    let ordinary = |first: char| !first.is_ascii_punctuation() || matches!(first, '.' | '_');
    let prefix = if path.as_str().starts_with(ordinary) { "" } else { "./" };
    format!("{prefix}{path}")
}

/// How many bytes of a run's memory its program should manage by itself: a runtime that did not know of the limit would take the
/// memory of the host for its own. A quarter is left for what is not on a heap.
fn heap(limits: &Limits) -> u64 {
    limits.memory.as_u64() / 4 * 3
}

/// What the placeholders of a language's patterns are filled with.
pub(crate) struct Values<'a> {
    language: &'a Language,
    toolchain: &'a Toolchain,
    layout: &'a Layout,
    options: Vec<(&'a OptionSpec, usize)>,
    job: Option<&'a Sources>,
    limits: Option<&'a Limits>,
    entry: Option<String>,
    sources: Vec<String>,
}

impl<'a> Values<'a> {
    /// Programs alone. The check of the file saw to it that nothing else is asked for.
    pub(crate) fn without_job(language: &'a Language, toolchain: &'a Toolchain, layout: &'a Layout) -> Values<'a> {
        Values {
            language,
            toolchain,
            layout,
            options: Vec::new(),
            job: None,
            limits: None,
            entry: None,
            sources: Vec::new(),
        }
    }

    /// A step, as long as the job adds nothing to it.
    fn step(&self, spec: &StepSpec) -> Step {
        Step {
            name: spec.name.clone(),
            kind: spec.kind,
            argv: self.argv(&spec.argv),
            env: self
                .toolchain
                .environment_in(self.layout, spec.kind, &self.environment(&spec.environment))
                .into_iter()
                .collect(),
            crash_codes: spec.crash_codes.clone(),
            makes: spec.makes.clone(),
        }
    }

    /// Fills an environment.
    pub(crate) fn environment(&self, patterns: &BTreeMap<String, Pattern>) -> BTreeMap<String, String> {
        let text = |pattern| String::from_utf8_lossy(&self.joined(pattern)).into_owned();
        patterns.iter().map(|(name, pattern)| (name.clone(), text(pattern))).collect()
    }

    /// Fills a whole argv.
    pub(crate) fn argv(&self, patterns: &[Pattern]) -> Vec<Vec<u8>> {
        patterns.iter().flat_map(|pattern| self.arguments(pattern)).collect()
    }

    fn arguments(&self, pattern: &Pattern) -> Vec<Vec<u8>> {
        let bytes = |texts: &[String]| texts.iter().map(|text| text.clone().into_bytes()).collect();
        match pattern.pieces.as_slice() {
            [Piece::Sources] => bytes(&self.sources),
            [Piece::Option(name)] => match self.option_arguments(name) {
                Some(arguments) => bytes(arguments),
                None => vec![self.joined(pattern)],
            },
            [Piece::Program(name)] => {
                let mut arguments = vec![self.joined(pattern)];
                arguments.extend(self.program_arguments(name).iter().map(|text| text.clone().into_bytes()));
                arguments
            }
            _ => vec![self.joined(pattern)],
        }
    }

    fn joined(&self, pattern: &Pattern) -> Vec<u8> {
        let mut argument = Vec::new();
        for piece in &pattern.pieces {
            match piece {
                Piece::Text(text) => argument.extend_from_slice(text.as_bytes()),
                Piece::Work => argument.extend_from_slice(self.layout.work().as_os_str().as_bytes()),
                Piece::Entry => argument.extend(self.entry.iter().flat_map(|entry| entry.as_bytes())),
                Piece::Groundwork => {
                    if let Groundwork::At(inside) = &self.toolchain.groundwork {
                        let place = self.layout.place(&self.toolchain.view, inside);
                        argument.extend_from_slice(place.as_os_str().as_bytes());
                    }
                }
                Piece::Vcpus => {
                    argument.extend(self.limits.iter().flat_map(|limits| limits.vcpus.to_string().into_bytes()));
                }
                Piece::Heap => {
                    argument.extend(self.limits.iter().flat_map(|limits| heap(limits).to_string().into_bytes()));
                }
                Piece::Sources => {}
                Piece::Option(name) => argument.extend(self.option_text(name).into_bytes()),
                Piece::Program(name) => {
                    let program = self.toolchain.programs.iter().find(|program| program.name == *name);
                    let place = program.map(|program| self.layout.place(&self.toolchain.view, &program.inside));
                    argument.extend(place.iter().flat_map(|place| place.as_os_str().as_bytes()));
                }
            }
        }
        argument
    }

    fn option_text(&self, name: &str) -> String {
        let chosen = self.options.iter().find(|(option, _)| option.name == name);
        chosen.and_then(|(option, at)| option.values.get(*at)).map_or_else(String::new, value_text)
    }

    fn option_arguments(&self, name: &str) -> Option<&[String]> {
        let (option, at) = self.options.iter().find(|(option, _)| option.name == name)?;
        option.arguments_for(*at, self.job)
    }

    /// The arguments that a program always gets under the name it was found by.
    fn program_arguments(&self, name: &str) -> &'a [String] {
        let spec = self.language.programs.iter().find(|spec| spec.name == name);
        let found = self.toolchain.programs.iter().find(|program| program.name == name);
        let arguments = spec.zip(found).and_then(|(spec, found)| spec.arguments.get(&found.found));
        arguments.map_or(&[], Vec::as_slice)
    }
}
