//! Jobs, one after the other or by several clients at once.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use firebox_engine::{Cancel, Engine, Installed, Kept, Partition, PoolPolicy, Stdin};
use firebox_image::{Held, ImageName};
use firebox_job::{ByteSize, Isolation, Job, Outcome, Policy, Stages};
use firebox_lang::{Catalogue, Language};
use serde_json::{Map, Value, json};

use super::program::{Program, first_seed};
use super::{QUIET, for_each_line, microseconds, quiet};
use crate::args::{JobsArgs, OptionArg, Variable};
use crate::choice::{Target, choose_language};
use crate::draft::{Draft, Wishes};
use crate::failure::Failure;
use crate::groundwork::Laid;
use crate::host;
use crate::isolation::{self, Housed};
use crate::outlet;
use crate::toolchains::{Found, Toolchains};

/// Room for what is built: more than a measurement builds.
const KEPT: ByteSize = ByteSize::mib(256);
/// What all cells that wait may cost: no bound that a measurement meets.
const POOLS: ByteSize = ByteSize::mib(4096);
/// Longer than any measurement.
const IDLE: Duration = Duration::from_secs(3600);
/// The first job finds full pools, if that is to be had.
const FILLED_WITHIN: Duration = Duration::from_secs(30);

/// What is run for each line.
struct Measurement<'e> {
    engine: &'e Engine,
    policy: &'e Policy,
    programs: Vec<Program>,
    args: Vec<String>,
    env: Vec<Variable>,
    options: Vec<OptionArg>,
    clients: NonZeroUsize,
    seeds: Seeds,
    /// Whose jobs they are.
    partition: Partition,
}

/// The numbers that make code new.
struct Seeds {
    next: AtomicU64,
    same: bool,
}

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Question {
    /// So many jobs.
    Jobs {
        count: usize,
        /// The place of the program in the list.
        program: usize,
    },
    /// To wait until nothing goes on in the background, such as making ready for the next job.
    Quiet,
}

pub(super) fn jobs(args: JobsArgs) -> Result<(), Failure> {
    let JobsArgs { files, lang, image, same, clients, warm, kept, env, options, args } = args;
    // The order is the one that `run` explains.
    let policy = host::policy()?;
    let catalogue = Catalogue::builtin();
    let mut targets: Vec<(Target, Language)> = Vec::new();
    for file in files {
        let target = Target::find(file)?;
        let language = choose_language(&catalogue, &target, lang.as_deref(), None)?.clone();
        targets.push((target, language));
    }
    // What is held stays what it is until the end.
    let (mut installed, _held) = installed(&targets, image.as_ref())?;
    let views: Vec<_> = installed.iter().map(|language| language.toolchain.view.clone()).collect();
    let Housed { warden, cell } = isolation::house(Isolation::Auto, &views)?;
    let programs: Result<Vec<Program>, Failure> =
        targets.into_iter().map(|(target, language)| Program::read(target, &language, &policy)).collect();
    // With the rights that the toolchains were found with.
    let held = installed.iter_mut().try_for_each(Installed::take_hold);
    let cells = warden.drop_privileges().map_err(Failure::host)?;
    // That there is one was the question.
    drop(cell);
    held.map_err(Failure::host)?;
    let engine = Engine::new(installed, Box::new(cells), policy);
    let engine = match warm {
        0 => engine,
        each => engine.with_pools(PoolPolicy { each, memory: POOLS, idle: IDLE }).map_err(Failure::host)?,
    };
    let engine = match kept {
        false => engine,
        true => engine.with_kept(Kept::new(KEPT)),
    };
    engine.wait_for_pools(FILLED_WITHIN);
    let measured = programs.and_then(|programs| {
        let partition = Partition::named("");
        let seeds = Seeds { next: AtomicU64::new(first_seed()?), same };
        let measurement =
            Measurement { engine: &engine, policy: &policy, programs, args, env, options, clients, seeds, partition };
        for_each_line(|line| {
            outlet::say_json(&match question(line)? {
                Question::Jobs { count, program } => measurement.run(count, program)?,
                Question::Quiet => quiet(std::process::id()),
            })
        })
    });
    let closed = engine.close().map_err(Failure::host);
    measured.and(closed)
}

/// What a toolchain is of, and what it lacked. It stays as it is as long as this lives.
type Ground = (Option<Held>, Option<Laid>);

/// The languages of the programs, each once, by the image or by this host; and the image, for each of them.
fn installed(
    targets: &[(Target, Language)],
    image: Option<&ImageName>,
) -> Result<(Vec<Installed>, Vec<Ground>), Failure> {
    let mut installed: Vec<Installed> = Vec::new();
    let (toolchains, mut grounds) = (Toolchains::find(), Vec::new());
    for (_, language) in targets {
        if installed.iter().all(|known| known.language.name() != language.name()) {
            let found = match image {
                None => toolchains.ready_on_host(language),
                Some(name) => toolchains.ready(language, Some(name)),
            };
            let Found { toolchain, image, groundwork } = found?;
            grounds.push((image, groundwork));
            installed.push(Installed::new(language.clone(), toolchain));
        }
    }
    Ok((installed, grounds))
}

/// How many, and which program.
fn question(line: &str) -> Result<Question, Failure> {
    if line.trim() == QUIET {
        return Ok(Question::Quiet);
    }
    let mut words = line.split_whitespace();
    let mut number = |default: usize| match words.next() {
        None => Ok(default),
        Some(word) => word.parse().map_err(|_| Failure::request(anyhow::anyhow!("`{word}` in `{line}` is no number"))),
    };
    Ok(Question::Jobs { count: number(1)?, program: number(0)? })
}

impl Measurement<'_> {
    /// Runs the jobs of one line, each client's one after the other without a pause.
    fn run(&self, count: usize, program: usize) -> Result<Value, Failure> {
        let program = self.programs.get(program);
        let program = program.ok_or_else(|| Failure::request(anyhow::anyhow!("there is no program of that number")))?;
        let left = AtomicUsize::new(count);
        let start = Instant::now();
        let answers: Vec<Value> = thread::scope(|scope| {
            let clients: Vec<_> =
                (0..self.clients.get()).map(|_| scope.spawn(|| self.be_a_client(program, &left))).collect();
            let answers = clients.into_iter().map(|client| client.join().unwrap_or_else(|_| Err(lost_client())));
            answers.collect::<Result<Vec<_>, Failure>>()
        })?
        .concat();
        Ok(json!({"wall_us": microseconds(start.elapsed()), "jobs": answers}))
    }

    fn be_a_client(&self, program: &Program, left: &AtomicUsize) -> Result<Vec<Value>, Failure> {
        let (cancel, _canceller) = Cancel::new().map_err(Failure::host)?;
        let mut answers = Vec::new();
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            let job = self.job(program)?;
            let engine = self.engine.within(&self.partition);
            let outcome = engine.run(&job, Stdin::Empty, &mut (), &cancel).map_err(Failure::host)?;
            answers.push(told(&outcome));
        }
        Ok(answers)
    }

    fn job(&self, program: &Program) -> Result<Job, Failure> {
        let (args, env, options) = (self.args.clone(), self.env.clone(), self.options.clone());
        let draft = Draft::new(Wishes { args, env, options, ..Wishes::default() }, self.policy)?;
        Ok(draft.into_job(program.language.name(), program.seeded(self.seeds.next())?))
    }
}

impl Seeds {
    fn next(&self) -> u64 {
        if self.same { self.next.load(Ordering::Relaxed) } else { self.next.fetch_add(1, Ordering::Relaxed) }
    }
}

/// What is said of a job. What it printed is not, but how it began: whoever measures knows what it had to say.
fn told(outcome: &Outcome) -> Value {
    const BEGINNING: usize = 16;
    let stdout = outcome.stdout.bytes();
    let timing = outcome.timing;
    let Stages { cell, store, prepare, limit, start, compile, run, measure, end } = timing.stages;
    json!({
        "status": outcome.verdict.status().name(),
        "isolation": outcome.isolation.name(),
        "stdout": String::from_utf8_lossy(&stdout[..stdout.len().min(BEGINNING)]),
        "total_us": microseconds(timing.total),
        "cpu_us": outcome.steps.iter().map(|step| (step.name.clone(), microseconds(step.usage.cpu).into())).collect::<Map<_, _>>(),
        "stages_us": {
            "cell": microseconds(cell),
            "store": microseconds(store),
            "prepare": microseconds(prepare),
            "limit": microseconds(limit),
            "start": microseconds(start),
            "compile": microseconds(compile),
            "run": microseconds(run),
            "measure": microseconds(measure),
            "end": microseconds(end),
        },
    })
}

fn lost_client() -> Failure {
    Failure::host(anyhow::anyhow!("a client of the measurement broke down"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_how_many_and_which_and_both_may_be_left_out() {
        let asked = |line: &str| question(line).map_err(|failure| failure.message().unwrap_or_default());
        assert_eq!(asked(""), Ok(Question::Jobs { count: 1, program: 0 }));
        assert_eq!(asked("20 1"), Ok(Question::Jobs { count: 20, program: 1 }));
        assert_eq!(asked("quiet"), Ok(Question::Quiet));
        assert!(asked("some").unwrap_err().contains("`some`"));
    }

    #[test]
    fn the_same_code_again_keeps_its_number() {
        let numbers = |same| {
            let seeds = Seeds { next: AtomicU64::new(5), same };
            [seeds.next(), seeds.next()]
        };
        assert_eq!((numbers(true), numbers(false)), ([5, 5], [5, 6]));
    }
}
