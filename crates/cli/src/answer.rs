//! `firebox answer`: requests in, responses out, in one process. Hidden, and without promises: what lives longer than one
//! job is tested through it.

use std::io::{self, BufRead};
use std::process::ExitCode;
use std::time::Duration;

use firebox_api::{Parts, Request, Response};
use firebox_engine::{Cancel, Engine, Installed, Kept, Partition, PoolPolicy, Stdin};
use firebox_job::{ByteSize, Policy};
use firebox_lang::Catalogue;
use serde_json::json;

use crate::agent::AGENT;
use crate::args::AnswerArgs;
use crate::failure::Failure;
use crate::host;
use crate::outlet;
use crate::toolchains::{Found, Toolchains};
use firebox_engine::fresh_trace_id;

/// What all cells that wait may cost: no bound that a test meets.
const POOLS: ByteSize = ByteSize::mib(4096);
/// Longer than any test.
const IDLE: Duration = Duration::from_secs(3600);
/// Each job finds a cell that waits, if that is to be had.
const FILLED_WITHIN: Duration = Duration::from_secs(30);

/// Answers until standard input ends.
pub(crate) fn answer(args: AnswerArgs) -> Result<ExitCode, Failure> {
    let AnswerArgs { lang, keep_mb, warm } = args;
    // The order is the one that `run` explains.
    let policy = host::policy()?;
    let catalogue = Catalogue::builtin();
    let (toolchains, mut stay) = (Toolchains::find(), Vec::new());
    let installed = lang.iter().map(|name| {
        let language = catalogue.find(name).map_err(Failure::request)?.clone();
        let Found { toolchain, image, groundwork } = toolchains.ready(&language, None)?;
        stay.push((image, groundwork));
        Ok(Installed::new(language, toolchain))
    });
    let mut installed = installed.collect::<Result<Vec<Installed>, Failure>>()?;
    let views: Vec<_> = installed.iter().map(|installed| installed.toolchain.view.clone()).collect();
    let warden = firebox_jail::start(&views, AGENT).map_err(Failure::host)?;
    // After the warden was split off, which has no use for them, and with the rights that the toolchains were found with.
    let held = installed.iter_mut().try_for_each(Installed::take_hold);
    let cells = warden.drop_privileges().map_err(Failure::host)?;
    held.map_err(Failure::host)?;
    let kept = Kept::new(ByteSize::mib(keep_mb));
    let engine = Engine::new(installed, Box::new(cells), policy).with_kept(kept);
    let engine = match warm {
        0 => engine,
        each => engine.with_pools(PoolPolicy { each, memory: POOLS, idle: IDLE }).map_err(Failure::host)?,
    };
    let answered = answer_each_line(&engine, &policy);
    let closed = engine.close().map_err(Failure::host);
    answered.and(closed).map(|()| ExitCode::SUCCESS)
}

fn answer_each_line(engine: &Engine, policy: &Policy) -> Result<(), Failure> {
    for line in io::stdin().lock().lines() {
        let line = line.map_err(Failure::host)?;
        engine.wait_for_pools(FILLED_WITHIN);
        let (partition, request) = line.split_once('\t').unwrap_or(("", &line));
        match answer_one(engine, policy, &Partition::named(partition), request) {
            Ok(response) => outlet::say_json(&response)?,
            Err(error) => outlet::say_json(&json!({ "error": format!("{error:#}") }))?,
        }
    }
    Ok(())
}

fn answer_one(engine: &Engine, policy: &Policy, partition: &Partition, request: &str) -> anyhow::Result<Response> {
    let parts = Parts::try_from(Request::from_json(request.as_bytes())?)?;
    let detail = parts.detail;
    let asked = engine.installed().iter().find(|installed| installed.language.answers_to(&parts.language));
    let asked = asked.ok_or_else(|| anyhow::anyhow!("`{}` is not among the languages of `--lang`", parts.language))?;
    let (job, stdin) = parts.into_job(asked.language.entry(), policy, fresh_trace_id()?)?;
    let stdin = stdin.map_or(Stdin::Empty, |text| Stdin::Bytes(text.into_bytes()));
    let (cancel, _canceller) = Cancel::new()?;
    let outcome = engine.within(partition).run(&job, stdin, &mut (), &cancel)?;
    Ok(Response::new(outcome, detail))
}
