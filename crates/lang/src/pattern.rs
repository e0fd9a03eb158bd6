//! One argument of a step as a language file writes it: text with placeholders, such as `--edition` or `{entry}`.
//!
//! Placeholders are resolved when the file is read, so a pattern in hand refers only to what there is. A brace itself is
//! written twice.

/// What an argument is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) pieces: Vec<Piece>,
}

/// A part of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Stands for itself.
    Text(String),
    /// The path of a program in the cell; alone, followed by the arguments that program always gets.
    Program(String),
    /// The text of an option's value; alone, the arguments the value stands for.
    Option(String),
    /// The file the job starts from.
    Entry,
    /// The entry and all other files with one of the language's extensions; only alone.
    Sources,
    /// The work directory.
    Work,
    /// Where the groundwork is.
    Groundwork,
    /// How many CPUs the run may use.
    Vcpus,
    /// How many bytes of its memory the run is to manage by itself.
    Heap,
}

/// What the placeholders of a pattern may refer to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// The programs of the language.
    pub(crate) programs: Vec<String>,
    /// Its options, and whether their values stand for arguments.
    pub(crate) options: Vec<(String, Stands)>,
    /// Whether the language has a groundwork.
    pub(crate) groundwork: bool,
    /// What else there is: nothing of a job when there is no job yet.
    pub(crate) job: JobPlaceholders,
}

/// What the value of an option stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    /// Its own text, anywhere in an argument.
    ForItsText,
    /// A list of arguments, so it fills a whole one.
    ForArguments,
}

/// Whether there is a job whose files can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum JobPlaceholders {
    /// There is.
    #[default]
    Offered,
    /// There is none.
    Absent,
}

impl Pattern {
    /// Reads an argument; the error is a reason for people.
    pub(crate) fn parse(text: &str, scope: &Scope) -> Result<Pattern, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let Some((name, after)) = (brace == "{").then(|| rest.split_once('}')).flatten() else {
                return Err(format!("`{brace}` has no partner in {text:?}; a brace itself is written twice"));
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(scope.piece(name)?);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        let pattern = Pattern { pieces };
        match pattern.pieces.iter().find(|piece| pattern.pieces.len() > 1 && scope.fills_an_argument(piece)) {
            Some(_) => Err(format!("{text:?} mixes text with a placeholder that stands for whole arguments")),
            None => Ok(pattern),
        }
    }

    /// The program that it is, if it is one and nothing else.
    pub(crate) fn program(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Program(name)] => Some(name),
            _ => None,
        }
    }

    /// Whether it depends on what a job is granted.
    pub(crate) fn is_of_limits(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Vcpus | Piece::Heap))
    }

    /// Whether what it makes is certainly an absolute path.
    pub(crate) fn is_absolute(&self) -> bool {
        match self.pieces.as_slice() {
            [Piece::Program(_)] => true,
            [Piece::Work, Piece::Text(text), ..] => text.starts_with('/'),
            [Piece::Text(text), ..] => text.starts_with('/'),
            _ => false,
        }
    }
}

impl Scope {
    fn piece(&self, name: &str) -> Result<Piece, String> {
        match name {
            "entry" if self.job == JobPlaceholders::Offered => return Ok(Piece::Entry),
            "sources" if self.job == JobPlaceholders::Offered => return Ok(Piece::Sources),
            "work" => return Ok(Piece::Work),
            "groundwork" if self.groundwork => return Ok(Piece::Groundwork),
            "vcpus" if self.job == JobPlaceholders::Offered => return Ok(Piece::Vcpus),
            "heap" if self.job == JobPlaceholders::Offered => return Ok(Piece::Heap),
            _ => {}
        }
        if self.programs.iter().any(|own| own == name) {
            return Ok(Piece::Program(name.to_owned()));
        }
        if self.options.iter().any(|(own, _)| own == name) {
            return Ok(Piece::Option(name.to_owned()));
        }
        Err(format!("unknown placeholder `{{{name}}}`; there are {}", self.names()))
    }

    fn names(&self) -> String {
        let job: &[&str] = match self.job {
            JobPlaceholders::Offered => &["entry", "sources", "work", "vcpus", "heap"],
            JobPlaceholders::Absent => &["work"],
        };
        let groundwork = self.groundwork.then_some("groundwork");
        let programs = self.programs.iter().map(String::as_str);
        let options = self.options.iter().map(|(name, _)| name.as_str());
        let names: Vec<String> = programs
            .chain(options)
            .chain(job.iter().copied())
            .chain(groundwork)
            .map(|name| format!("`{{{name}}}`"))
            .collect();
        names.join(", ")
    }

    fn fills_an_argument(&self, piece: &Piece) -> bool {
        match piece {
            Piece::Sources => true,
            Piece::Option(name) => self.options.iter().any(|own| *own == (name.clone(), Stands::ForArguments)),
            Piece::Text(_)
            | Piece::Program(_)
            | Piece::Entry
            | Piece::Work
            | Piece::Groundwork
            | Piece::Vcpus
            | Piece::Heap => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        let options = vec![("edition".to_owned(), Stands::ForItsText), ("profile".to_owned(), Stands::ForArguments)];
        Scope { programs: vec!["rustc".to_owned()], options, groundwork: false, job: JobPlaceholders::Offered }
    }

    #[test]
    fn placeholders_become_what_they_refer_to() {
        let text = |text: &str| Piece::Text(text.to_owned());
        for (pattern, pieces) in [
            ("-o", vec![text("-o")]),
            ("{rustc}", vec![Piece::Program("rustc".into())]),
            ("{work}/runbin", vec![Piece::Work, text("/runbin")]),
            ("--edition={edition}", vec![text("--edition="), Piece::Option("edition".into())]),
            ("{{{entry}}}", vec![text("{"), Piece::Entry, text("}")]),
            ("a{{b}}c", vec![text("a{b}c")]),
            ("{profile}", vec![Piece::Option("profile".into())]),
        ] {
            assert_eq!(Pattern::parse(pattern, &scope()), Ok(Pattern { pieces }), "{pattern}");
        }
    }

    #[test]
    fn a_bad_pattern_is_refused_with_its_reason() {
        for (pattern, reason) in [
            ("{entr}", "unknown placeholder `{entr}`; there are `{rustc}`, `{edition}`"),
            ("{}", "unknown placeholder `{}`"),
            ("{groundwork}", "unknown placeholder `{groundwork}`"),
            ("{entry", "has no partner"),
            ("entry}", "has no partner"),
            ("x{sources}", "whole arguments"),
            ("-O{profile}", "whole arguments"),
        ] {
            let error = Pattern::parse(pattern, &scope()).unwrap_err();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }
}
