//! A job without its files: everything that can be decided, and refused, before anything is opened.

use std::collections::BTreeMap;

use firebox_job::{Isolation, Job, Limits, OptionValue, Policy, Require, Seed, Sources, TraceId};

use crate::args::{IsolationArg, LimitArgs, OptionArg, RequireArg, Variable, flag_of, option_value};
use crate::failure::Failure;
use firebox_engine::fresh_trace_id;

/// A job without its files.
#[derive(Debug)]
pub(crate) struct Draft {
    trace_id: TraceId,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    options: BTreeMap<String, OptionValue>,
    limits: Limits,
    isolation: Isolation,
    require: Require,
    seed: Seed,
}

/// What of the command line a draft is made from; by default what a command line without flags says.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// The job's name.
    pub(crate) trace_id: Option<String>,
    /// Arguments of the program.
    pub(crate) args: Vec<String>,
    /// Its environment; the last of one name counts.
    pub(crate) env: Vec<Variable>,
    /// Options of the language, by name.
    pub(crate) options: Vec<OptionArg>,
    /// The language's edition.
    pub(crate) edition: Option<String>,
    /// How to build.
    pub(crate) profile: Option<String>,
    /// The limits.
    pub(crate) limits: LimitArgs,
    /// Where it may run.
    pub(crate) isolation: IsolationArg,
    /// Which protections must hold.
    pub(crate) require: Option<RequireArg>,
    /// What its tools may have in common with those of other jobs.
    pub(crate) seed: Seed,
}

impl Draft {
    /// Checks what was wished for.
    pub(crate) fn new(wishes: Wishes, policy: &Policy) -> Result<Draft, Failure> {
        let Wishes { trace_id, args, env, options, edition, profile, limits, isolation, require, seed } = wishes;
        let trace_id = match trace_id {
            Some(id) => TraceId::new(id).map_err(Failure::request)?,
            None => fresh_trace_id()
                .map_err(|error| Failure::host(anyhow::Error::new(error).context("cannot make up a trace id")))?,
        };
        let limits = Limits::within(limits.ask(), policy).map_err(|error| {
            let flag = flag_of(error.name());
            Failure::request(error).with_help(format!("the flag is `{flag}`"))
        })?;
        Ok(Draft {
            trace_id,
            args,
            env: env.into_iter().map(|Variable { name, value }| (name, value)).collect(),
            options: merged(options, edition, profile)?,
            limits,
            isolation: isolation.into(),
            require: match require {
                None => Require::Required,
                Some(RequireArg::Enforced) => Require::Enforced,
            },
            seed,
        })
    }

    /// Where it may run.
    pub(crate) fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// The limits that were granted.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The job.
    pub(crate) fn into_job(self, language: &str, sources: Sources) -> Job {
        let Draft { trace_id, args, env, options, limits, isolation, require, seed } = self;
        let language = language.to_owned();
        Job { trace_id, language, sources, args, env, options, limits, isolation, require, seed }
    }
}

/// An option said twice is a mistake, whichever flag said it: unlike variables, options are not layered.
fn merged(
    options: Vec<OptionArg>,
    edition: Option<String>,
    profile: Option<String>,
) -> Result<BTreeMap<String, OptionValue>, Failure> {
    let named = |name: &str, value: Option<String>| {
        value.map(|value| OptionArg { name: name.to_owned(), value: option_value(&value) })
    };
    let mut merged = BTreeMap::new();
    for OptionArg { name, value } in
        options.into_iter().chain(named("edition", edition)).chain(named("profile", profile))
    {
        if merged.insert(name.clone(), value).is_some() {
            return Err(Failure::request(anyhow::anyhow!("option `{name}` is given twice")));
        }
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use firebox_job::ByteSize;

    use super::*;

    fn draft(wishes: Wishes) -> Result<Draft, String> {
        let policy = Policy::for_host(NonZeroU32::MIN, ByteSize::gib(1));
        Draft::new(wishes, &policy).map_err(|failure| failure.message().unwrap_or_default())
    }

    fn variable(text: &str) -> Variable {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_variable_of_one_name_counts() {
        let env = vec![variable("A=1"), variable("B=2"), variable("A=3")];
        let draft = draft(Wishes { env, ..Wishes::default() }).unwrap();
        assert_eq!(draft.env, BTreeMap::from([("A".into(), "3".into()), ("B".into(), "2".into())]));
    }

    #[test]
    fn edition_and_profile_are_options_like_others() {
        let edition = Some("2021".to_owned());
        let draft = draft(Wishes { edition, profile: Some("release".to_owned()), ..Wishes::default() }).unwrap();
        assert_eq!(draft.options["edition"], OptionValue::Number(2021));
        assert_eq!(draft.options["profile"], OptionValue::Text("release".to_owned()));
    }

    #[test]
    fn an_option_given_twice_is_refused() {
        let options = vec!["edition=2018".parse().unwrap()];
        let error = draft(Wishes { options, edition: Some("2021".to_owned()), ..Wishes::default() }).unwrap_err();
        assert!(error.contains("`edition` is given twice"), "{error}");
    }

    #[test]
    fn a_limit_that_is_refused_is_named_with_its_flag() {
        let of = |limits| draft(Wishes { limits, ..Wishes::default() }).unwrap_err();
        for (error, words) in [
            (of(LimitArgs { timeout: Some(Duration::ZERO), ..LimitArgs::default() }), "`--timeout`"),
            (of(LimitArgs { run_time: Some(Duration::from_secs(61)), ..LimitArgs::default() }), "`--run-time`"),
            (of(LimitArgs { memory: Some(ByteSize::gib(2)), ..LimitArgs::default() }), "2 GiB, the ceiling is 1 GiB"),
            (of(LimitArgs { vcpus: Some(2), ..LimitArgs::default() }), "`--vcpus`"),
            (of(LimitArgs { output: Some(ByteSize::bytes(1)), ..LimitArgs::default() }), "`--output`"),
            (of(LimitArgs { input: Some(ByteSize::gib(1)), ..LimitArgs::default() }), "`--input`"),
        ] {
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_job_without_a_name_gets_one_of_its_own() {
        let id = || draft(Wishes::default()).unwrap().trace_id;
        assert_ne!(id(), id());
    }
}
