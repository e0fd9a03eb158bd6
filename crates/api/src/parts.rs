//! What a request asks for, in the words of the domain: everything of a job but what the operator and the language
//! decide.

use std::collections::BTreeMap;

use firebox_job::{
    Ask, Isolation, Job, Limits, LimitsError, OptionValue, Policy, Require, Seed, SourceFile, SourcePath,
    SourcePathError, Sources, SourcesError, TraceId, TraceIdError,
};

use crate::{Detail, Number, Request, RequestFile};

/// A checked request. It becomes a job once its language and the operator's policy are at hand: see
/// [`Parts::into_job`].
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// The client's name for the job, if it gave one.
    pub trace_id: Option<TraceId>,
    /// The language's name or alias.
    pub language: String,
    /// The program.
    pub code: Code,
    /// What the program reads.
    pub stdin: Option<String>,
    /// Arguments of the program.
    pub args: Vec<String>,
    /// Environment of the program.
    pub env: BTreeMap<String, String>,
    /// Options of the language.
    pub options: BTreeMap<String, OptionValue>,
    /// The limits asked for.
    pub ask: Ask,
    /// Where it may run.
    pub isolation: Isolation,
    /// What its tools may have in common with those of other jobs.
    pub seed: Seed,
    /// How much the response is to say.
    pub detail: Detail,
}

/// The program of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// One text without a name; it gets the one its language starts from.
    Text(String),
    /// Files with names.
    Files(Sources),
}

/// Why a request of the right shape is refused all the same.
///
/// These messages go to clients as they are, so each holds its reason and none has a source below it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PartsError {
    /// There is no program.
    #[error("there is neither `code` nor `files`; give one of them")]
    NoCode,
    /// There are two programs.
    #[error("there are both `code` and `files`; give one of them")]
    TwoPrograms,
    /// An empty program is a mistake in the client, whatever a language would make of it.
    #[error("`{field}` is empty; give it the program's text")]
    EmptyCode {
        /// The field at fault.
        field: String,
    },
    /// A name among files that are not there.
    #[error("`entry` names one of `files`, and there are none; leave it out with `code`")]
    EntryWithoutFiles,
    /// A file's name is refused.
    #[error("`{field}` is refused: {reason}")]
    Path {
        /// The field at fault.
        field: String,
        /// What is wrong with it.
        reason: SourcePathError,
    },
    /// The files do not go together.
    #[error("`files` are refused: {0}")]
    Files(SourcesError),
    /// The client's name for the job is refused.
    #[error("`trace_id` is refused: {0}")]
    TraceId(TraceIdError),
    /// A number that no limit can take.
    #[error("`{field}` is {number}, which is more than can be counted; ask for less")]
    OutOfRange {
        /// The field at fault.
        field: &'static str,
        /// What was asked for.
        number: Number,
    },
    /// The kernel ends an argument at a NUL, so the rest would be lost.
    #[error("`{field}` has a NUL character; leave it out")]
    Nul {
        /// The field at fault.
        field: String,
    },
    /// A variable's name that no environment can hold.
    #[error("`env` has the name {name:?}; a name is not empty and has no `=`")]
    EnvName {
        /// The name at fault.
        name: String,
    },
}

impl TryFrom<Request> for Parts {
    type Error = PartsError;

    fn try_from(request: Request) -> Result<Parts, PartsError> {
        // Exhaustive: a new field must be decided here.
        let Request {
            trace_id,
            lang,
            code,
            files,
            entry,
            timeout,
            stdin,
            args,
            env,
            limits,
            options,
            isolation,
            fresh_seed,
            steps,
        } = request;
        if let Some(at) = args.iter().position(|arg| arg.contains('\0')) {
            return Err(PartsError::Nul { field: format!("args[{at}]") });
        }
        for (name, value) in &env {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(PartsError::EnvName { name: name.clone() });
            }
            if value.contains('\0') {
                return Err(PartsError::Nul { field: format!("env.{name}") });
            }
        }
        Ok(Parts {
            trace_id: trace_id.map(TraceId::new).transpose().map_err(PartsError::TraceId)?,
            language: lang,
            code: program(code, files, entry)?,
            stdin,
            args,
            env,
            options: options.into_iter().map(|(name, value)| (name, value.into())).collect(),
            ask: limits.with_timeout(timeout)?,
            isolation: isolation.into(),
            seed: if fresh_seed { Seed::Fresh } else { Seed::MayBeShared },
            detail: if steps { Detail::Steps } else { Detail::Summary },
        })
    }
}

fn program(code: Option<String>, files: Option<Vec<RequestFile>>, entry: Option<String>) -> Result<Code, PartsError> {
    match (code, files) {
        (None, None) => Err(PartsError::NoCode),
        (Some(_), Some(_)) => Err(PartsError::TwoPrograms),
        (Some(code), None) => {
            if entry.is_some() {
                return Err(PartsError::EntryWithoutFiles);
            }
            if code.is_empty() {
                return Err(PartsError::EmptyCode { field: "code".to_owned() });
            }
            Ok(Code::Text(code))
        }
        (None, Some(files)) => {
            let path = |field: String, path| SourcePath::new(path).map_err(|reason| PartsError::Path { field, reason });
            let entry = entry.map(|entry| path("entry".to_owned(), entry)).transpose()?;
            let mut named = Vec::with_capacity(files.len());
            for (at, RequestFile { path: name, content }) in files.into_iter().enumerate() {
                let path = path(format!("files[{at}].path"), name)?;
                named.push(SourceFile { path, content: content.into_bytes() });
            }
            let sources = Sources::new(named, entry).map_err(PartsError::Files)?;
            // Other files may well be empty, as many an `__init__.py` is.
            let start = sources.files().iter().position(|file| file.path == *sources.entry());
            match start {
                Some(at) if sources.files()[at].content.is_empty() => {
                    Err(PartsError::EmptyCode { field: format!("files[{at}].content") })
                }
                _ => Ok(Code::Files(sources)),
            }
        }
    }
}

impl Code {
    /// Gives a text the name its language starts from; files have theirs.
    pub fn into_sources(self, entry: &SourcePath) -> Result<Sources, SourcesError> {
        match self {
            Code::Files(sources) => Ok(sources),
            Code::Text(text) => {
                Sources::new(vec![SourceFile { path: entry.clone(), content: text.into_bytes() }], None)
            }
        }
    }
}

/// Why parts that were checked do not become a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The operator does not grant the limits.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The language's own name for a single file is unusable.
    #[error(transparent)]
    Sources(#[from] SourcesError),
}

impl Parts {
    /// The job, and what its program reads.
    ///
    /// `entry` is the name that the language starts from, `fresh` a name for the job when the client gave none.
    pub fn into_job(
        self,
        entry: &SourcePath,
        policy: &Policy,
        fresh: TraceId,
    ) -> Result<(Job, Option<String>), JobError> {
        let Parts { trace_id, language, code, stdin, args, env, options, ask, isolation, seed, detail: _ } = self;
        let job = Job {
            trace_id: trace_id.unwrap_or(fresh),
            language,
            sources: code.into_sources(entry)?,
            args,
            env,
            options,
            limits: Limits::within(ask, policy)?,
            isolation,
            // What a job may insist on beyond the operator's own word is not part of the public format yet.
            require: Require::default(),
            seed,
        };
        Ok((job, stdin))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use firebox_job::ByteSize;

    use super::*;

    fn parts(json: &str) -> Result<Parts, PartsError> {
        Parts::try_from(Request::from_json(json.as_bytes()).unwrap())
    }

    fn job(json: &str) -> Result<Job, JobError> {
        let policy = Policy::for_host(NonZeroU32::MIN, ByteSize::gib(8));
        let fresh = TraceId::new("fresh").unwrap();
        let entry = SourcePath::new("main.rs").unwrap();
        parts(json).unwrap().into_job(&entry, &policy, fresh).map(|(job, _)| job)
    }

    #[test]
    fn a_request_that_makes_no_job_is_told_why() {
        for (json, words) in [
            (r#"{"lang": "c"}"#, vec!["`code`", "`files`"]),
            (r#"{"lang": "c", "code": "x", "files": []}"#, vec!["both"]),
            (r#"{"lang": "c", "code": ""}"#, vec!["`code` is empty"]),
            (r#"{"lang": "c", "code": "x", "entry": "a"}"#, vec!["`entry`"]),
            (r#"{"lang": "c", "files": []}"#, vec!["`files`", "no files"]),
            (r#"{"lang": "c", "files": [{"path": "/a", "content": "x"}]}"#, vec!["`files[0].path`", "absolute"]),
            (r#"{"lang": "c", "files": [{"path": "../a", "content": "x"}]}"#, vec!["`files[0].path`", "\"..\""]),
            (r#"{"lang": "c", "files": [{"path": "a\u0000", "content": "x"}]}"#, vec!["`files[0].path`", "NUL"]),
            (r#"{"lang": "c", "files": [{"path": "a", "content": ""}]}"#, vec!["`files[0].content` is empty"]),
            (
                r#"{"lang": "c", "files": [{"path": "a", "content": "x"}, {"path": "a", "content": "y"}]}"#,
                vec!["`files`", "two files are named \"a\""],
            ),
            (r#"{"lang": "c", "files": [{"path": "a", "content": "x"}], "entry": "b"}"#, vec!["\"b\"", "none of"]),
            (r#"{"lang": "c", "code": "x", "trace_id": ""}"#, vec!["`trace_id`", "empty"]),
            (r#"{"lang": "c", "code": "x", "timeout": 1e300}"#, vec!["`timeout`", "more than can be counted"]),
            (r#"{"lang": "c", "code": "x", "limits": {"disk_mb": 1e300}}"#, vec!["`limits.disk_mb`"]),
            (r#"{"lang": "c", "code": "x", "args": ["a", "b\u0000"]}"#, vec!["`args[1]`", "NUL"]),
            (r#"{"lang": "c", "code": "x", "env": {"A=B": "c"}}"#, vec!["`env`", "\"A=B\""]),
            (r#"{"lang": "c", "code": "x", "env": {"A": "\u0000"}}"#, vec!["`env.A`", "NUL"]),
        ] {
            let error = parts(json).unwrap_err().to_string();
            for word in words {
                assert!(error.contains(word), "{json}: {error:?} does not say {word:?}");
            }
        }
    }

    #[test]
    fn code_gets_the_name_that_its_language_starts_from() {
        let job = job(r#"{"lang": "rust", "code": "fn main() {}"}"#).unwrap();
        assert_eq!(job.sources.entry().as_str(), "main.rs");
    }

    #[test]
    fn files_keep_their_names_and_may_be_empty_where_nothing_starts() {
        let json = r#"{"lang": "python", "entry": "app.py", "files": [
            {"path": "lib/__init__.py", "content": ""}, {"path": "app.py", "content": "import lib"}]}"#;
        let job = job(json).unwrap();
        assert_eq!(job.sources.entry().as_str(), "app.py");
        assert_eq!(job.sources.files().len(), 2);
    }

    #[test]
    fn limits_are_in_the_units_of_their_names() {
        let json = r#"{"lang": "c", "code": "x", "timeout": 2.5,
            "limits": {"memory_mb": 64, "disk_mb": 0.5, "output_kb": 2, "run_seconds": 1, "tasks": 7}}"#;
        let limits = job(json).unwrap().limits;
        assert_eq!(limits.timeout, Duration::from_millis(2500));
        assert_eq!(limits.run, Duration::from_secs(1));
        assert_eq!(limits.memory, ByteSize::mib(64));
        assert_eq!(limits.disk, ByteSize::kib(512));
        assert_eq!(limits.output, ByteSize::kib(2));
        assert_eq!(limits.tasks.get(), 7);
    }

    #[test]
    fn the_clients_name_is_kept_and_made_when_absent() {
        assert_eq!(job(r#"{"lang": "c", "code": "x", "trace_id": "t"}"#).unwrap().trace_id.as_str(), "t");
        assert_eq!(job(r#"{"lang": "c", "code": "x"}"#).unwrap().trace_id.as_str(), "fresh");
    }

    #[test]
    fn a_limit_that_is_not_granted_is_named() {
        let error = job(r#"{"lang": "c", "code": "x", "limits": {"memory_mb": 0}}"#).unwrap_err();
        assert!(error.to_string().contains("`memory_mb` is zero"), "{error}");
    }
}
