//! A seccomp policy as its author wrote it, checked.
//!
//! Owns the file format and what makes a file wrong: a name that no architecture knows, a name twice, a missing reason.
//! Knows nothing of BPF (`assemble` does). Used by the build script, and by the tests as the other opinion on what the
//! compiled filter should answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    /// Let through, whatever the arguments.
    #[serde(default)]
    allow: Vec<Group>,
    /// Let through for some arguments.
    #[serde(default)]
    conditional: Vec<Conditional>,
    /// Answered with EPERM.
    #[serde(default)]
    refuse: Vec<Group>,
    /// Answered with ENOSYS, as is everything that no file names.
    #[serde(default)]
    absent: Vec<Group>,
    /// Answered with EOPNOTSUPP.
    #[serde(default)]
    unsupported: Vec<Group>,
}

/// Calls that share an answer for the same reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    reason: String,
    calls: Vec<String>,
}

/// A call whose answer depends on its arguments.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Conditional {
    call: String,
    reason: String,
    otherwise: Refusal,
    /// One of these alternatives must hold; an alternative holds when all its conditions do.
    allow: Vec<Vec<Condition>>,
}

/// What one argument must look like.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "WrittenCondition")]
pub(crate) struct Condition {
    /// Which argument, counted from 0.
    pub(crate) arg: u32,
    /// Which half of it.
    pub(crate) word: Word,
    /// The bits to look at.
    pub(crate) mask: u32,
    /// What they must be, or must not.
    pub(crate) values: Values,
}

/// A condition as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCondition {
    arg: u32,
    #[serde(default)]
    word: Word,
    mask: Option<u32>,
    is: Option<Vec<u32>>,
    is_not: Option<Vec<u32>>,
}

/// Half of an argument of 64 bits.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Word {
    /// Bits 0 to 31.
    #[default]
    Low,
    /// Bits 32 to 63.
    High,
}

/// The values that a condition names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// Any of these.
    Is(Vec<u32>),
    /// None of these.
    IsNot(Vec<u32>),
}

/// The errors that a conditional call may be refused with.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Refusal {
    /// It is not permitted.
    Eperm,
    /// The kernel does not know this value.
    Einval,
    /// This file has no such command.
    Enotty,
    /// This protocol has no such option.
    Enoprotoopt,
    /// The kernel has no such call.
    Enosys,
    /// This file system has no such thing.
    Eopnotsupp,
}

/// What the filter says to one call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Let it through.
    Allow,
    /// Refuse it.
    Refuse(Refusal),
    /// Let it through when an alternative holds, else refuse it.
    When { alternatives: Vec<Vec<Condition>>, otherwise: Refusal },
}

/// An architecture that we have filters for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Architecture {
    Aarch64,
    X86_64,
}

/// Why a policy is not one.
#[derive(Debug)]
pub(crate) enum PolicyError {
    Syntax(toml::de::Error),
    NoReason { call: String },
    UnknownCall { call: String },
    Twice { call: String },
    NoAlternative { call: String },
    ArgumentNumber { call: String, arg: u32 },
    ValueOutsideMask { call: String, value: u32 },
    UnknownArchitecture { name: String },
}

impl Policy {
    /// Reads a policy and refuses one that its author cannot have meant.
    pub(crate) fn parse(text: &str) -> Result<Policy, PolicyError> {
        let policy: Policy = toml::from_str(text).map_err(PolicyError::Syntax)?;
        let mut seen = BTreeSet::new();
        for (call, reason) in policy.entries() {
            if reason.trim().is_empty() {
                return Err(PolicyError::NoReason { call: call.to_owned() });
            }
            if Architecture::X86_64.number(call).or(Architecture::Aarch64.number(call)).is_none() {
                return Err(PolicyError::UnknownCall { call: call.to_owned() });
            }
            if !seen.insert(call) {
                return Err(PolicyError::Twice { call: call.to_owned() });
            }
        }
        for conditional in &policy.conditional {
            conditional.check()?;
        }
        Ok(policy)
    }

    /// What to say to each call that the policy names and the architecture has, by number.
    pub(crate) fn answers(&self, architecture: Architecture) -> BTreeMap<u32, Answer> {
        let mut answers = BTreeMap::new();
        let groups = [
            (&self.allow, Answer::Allow),
            (&self.refuse, Answer::Refuse(Refusal::Eperm)),
            (&self.absent, Answer::Refuse(Refusal::Enosys)),
            (&self.unsupported, Answer::Refuse(Refusal::Eopnotsupp)),
        ];
        for (groups, answer) in groups {
            for call in groups.iter().flat_map(|group| &group.calls) {
                answers.extend(architecture.number(call).map(|number| (number, answer.clone())));
            }
        }
        for Conditional { call, reason: _, otherwise, allow } in &self.conditional {
            let answer = Answer::When { alternatives: allow.clone(), otherwise: *otherwise };
            answers.extend(architecture.number(call).map(|number| (number, answer)));
        }
        answers
    }

    /// Every name with its reason.
    fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        let grouped = [&self.allow, &self.refuse, &self.absent, &self.unsupported]
            .into_iter()
            .flatten()
            .flat_map(|group| group.calls.iter().map(|call| (call.as_str(), group.reason.as_str())));
        grouped.chain(self.conditional.iter().map(|it| (it.call.as_str(), it.reason.as_str())))
    }
}

impl Conditional {
    fn check(&self) -> Result<(), PolicyError> {
        let call = || self.call.clone();
        // An alternative without conditions would hold always; that is what `allow` is for.
        if self.allow.is_empty() || self.allow.iter().any(Vec::is_empty) {
            return Err(PolicyError::NoAlternative { call: call() });
        }
        for condition in self.allow.iter().flatten() {
            if 5 < condition.arg {
                return Err(PolicyError::ArgumentNumber { call: call(), arg: condition.arg });
            }
            let (Values::Is(values) | Values::IsNot(values)) = &condition.values;
            if let Some(&value) = values.iter().find(|&&value| value & !condition.mask != 0) {
                return Err(PolicyError::ValueOutsideMask { call: call(), value });
            }
        }
        Ok(())
    }
}

impl Answer {
    /// Lets through what either does; what neither does is answered as the first has it.
    pub(crate) fn or(&self, other: &Answer) -> Answer {
        match (self, other) {
            (Answer::Allow, _) | (_, Answer::Allow) => Answer::Allow,
            (Answer::Refuse(_), other) => other.clone(),
            (one, Answer::Refuse(_)) => one.clone(),
            (Answer::When { alternatives, otherwise }, Answer::When { alternatives: more, .. }) => {
                Answer::When { alternatives: [alternatives.as_slice(), more].concat(), otherwise: *otherwise }
            }
        }
    }
}

impl Refusal {
    /// The number that the caller finds in `errno`, the same on both architectures.
    pub(crate) fn errno(self) -> u32 {
        match self {
            Refusal::Eperm => 1,
            Refusal::Einval => 22,
            Refusal::Enotty => 25,
            Refusal::Enosys => 38,
            Refusal::Enoprotoopt => 92,
            Refusal::Eopnotsupp => 95,
        }
    }
}

impl Architecture {
    /// The architecture by the name that Cargo gives it.
    pub(crate) fn named(name: &str) -> Result<Architecture, PolicyError> {
        match name {
            "aarch64" => Ok(Architecture::Aarch64),
            "x86_64" => Ok(Architecture::X86_64),
            _ => Err(PolicyError::UnknownArchitecture { name: name.to_owned() }),
        }
    }

    /// The value by which the kernel tells a filter how a call was made (`AUDIT_ARCH_*`).
    pub(crate) fn audit(self) -> u32 {
        match self {
            Architecture::Aarch64 => 0xc000_00b7,
            Architecture::X86_64 => 0xc000_003e,
        }
    }

    /// The number of a call, if this architecture has it.
    pub(crate) fn number(self, call: &str) -> Option<u32> {
        let number = match self {
            Architecture::Aarch64 => syscalls::aarch64::Sysno::from_str(call).ok()?.id(),
            Architecture::X86_64 => syscalls::x86_64::Sysno::from_str(call).ok()?.id(),
        };
        u32::try_from(number).ok()
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PolicyError::Syntax(error) => write!(f, "{error}"),
            PolicyError::NoReason { call } => write!(f, "`{call}` has no reason"),
            PolicyError::UnknownCall { call } => write!(f, "no architecture has a system call `{call}`"),
            PolicyError::Twice { call } => write!(f, "`{call}` is named twice"),
            PolicyError::NoAlternative { call } => write!(f, "an alternative of `{call}` has no condition"),
            PolicyError::ArgumentNumber { call, arg } => write!(f, "`{call}` has no argument {arg}: they are 0 to 5"),
            PolicyError::ValueOutsideMask { call, value } => {
                write!(f, "`{call}` is compared with {value:#x}, which has bits that the mask removes")
            }
            PolicyError::UnknownArchitecture { name } => write!(f, "there are no filters for {name}"),
        }
    }
}

impl std::error::Error for PolicyError {}

impl TryFrom<WrittenCondition> for Condition {
    type Error = &'static str;

    fn try_from(written: WrittenCondition) -> Result<Condition, &'static str> {
        let WrittenCondition { arg, word, mask, is, is_not } = written;
        let values = match (is, is_not) {
            (Some(values), None) => Values::Is(values),
            (None, Some(values)) => Values::IsNot(values),
            _ => return Err("a condition has either `is` or `is_not`"),
        };
        Ok(Condition { arg, word, mask: mask.unwrap_or(u32::MAX), values })
    }
}
