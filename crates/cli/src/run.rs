//! `firebox run`: one job from the command line to its exit code.

use std::io;
use std::slice;

use firebox_api::Response;
use firebox_cell::CellMaker;
use firebox_engine::{Cancel, Engine, Installed, PreparedCell, RunError, Stdin};
use firebox_job::{Isolation, Job, Outcome, Policy, Verdict};
use firebox_lang::Catalogue;
use firebox_microvm::MicroVms;

use crate::args::{IsolationArg, RunArgs};
use crate::choice::choose_language;
use crate::draft::Draft;
use crate::ending::Ending;
use crate::errand::{Errand, Show};
use crate::failure::Failure;
use crate::host;
use crate::inputs::{self, Inputs, Wanted};
use crate::isolation::{self, Housed};
use crate::live::Live;
use crate::machine::{self, HousedInMachine, Steps, Wish};
use crate::notice;
use crate::outlet;
use crate::printer::Printer;
use crate::signals::{SignalWatch, StopSignal};
use crate::sys;
use crate::toolchains::{Found, Toolchains};

/// What a job runs in where nobody says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usual {
    /// `firebox run`: a jail, which is there at once; or a microVM where there is a snapshot.
    Jail,
    /// `firebox host`: a microVM, where this host has all that one takes.
    MicroVm,
}

/// Runs a job and exits as its program did.
///
/// One straight line, because its order is what keeps the caller safe. Until the warden has been split off there is
/// one thread and nothing hostile has been read; until privileges are dropped everything is done as the caller, since
/// it is the caller's files that are read; after that this process can do no more than anybody.
pub(crate) fn run(mut args: RunArgs, usual: Usual) -> Result<Ending, Failure> {
    // What was typed becomes what is meant. Looks at names, opens nothing.
    let policy = host::policy()?;
    // Whoever says how a microVM begins wants one.
    let is_about_one = args.snapshot || args.boot || (usual == Usual::MicroVm && args.kernel.is_some());
    if is_about_one && args.isolation == IsolationArg::Auto {
        args.isolation = IsolationArg::Microvm;
    }
    let Errand { target, lang, image, kernel, start, entry, files, stdin, wishes, show } = Errand::new(args)?;
    let catalogue = Catalogue::builtin();
    let language = choose_language(&catalogue, &target, lang.as_deref(), entry.as_ref())?.clone();
    let draft = Draft::new(wishes, &policy)?;

    // Finds the compiler or interpreter. Reads the host or an image, runs nothing: where something is to be made first, another
    // process does. The image stays until the end.
    let toolchains = Toolchains::find();
    let found = toolchains.ready(&language, image.as_ref())?;

    // Splits off the process that makes cells: the only one that keeps its privileges. It knows what a cell may show
    // of the host, and never hears anything that came from the job. Whether it can make one is seen at once.
    let steps = Steps { run: draft.limits(), building: language.builds().then_some(&policy.building) };
    let kernel = kernel.as_ref();
    let wish = Wish { toolchains: &toolchains, language: &language, found: &found, kernel, steps, start };
    let in_machine = match (draft.isolation(), usual) {
        (Isolation::MicroVm, _) => Some(wish.house()?),
        (Isolation::Auto, Usual::MicroVm) => match wish.house_where_possible()? {
            machine::Wanted::Housed(in_machine) => Some(*in_machine),
            machine::Wanted::Lacks(why) => {
                outlet::remark(&format!(
                    "firebox: this runs in no microVM, since {why}; `--isolation microvm` tells more\n"
                ));
                None
            }
        },
        (Isolation::Auto, Usual::Jail) => wish.house_where_frozen(),
        (Isolation::Jail | Isolation::Fence, _) => None,
    };
    let (Housed { warden, cell }, welcomes) = match in_machine {
        Some(HousedInMachine { housed, welcomes }) => (housed, Some(welcomes)),
        None => (isolation::house(draft.isolation(), slice::from_ref(&found.toolchain.view))?, None),
    };
    let Found { toolchain, image: _image, groundwork: _groundwork } = found;

    // Reads the job's files, as the caller. Whether that went well is looked at when the warden can be let go in peace.
    let (nameless, limit) = (language.entry().clone(), draft.limits().input);
    let read = inputs::read(Wanted { target, files, entry, nameless, stdin, limit }).map_err(Failure::from);

    // From here on we are nobody. Threads may exist from here on, and not before: each has credentials of its own.
    let cells = warden.drop_privileges().map_err(Failure::host)?;
    let cells: Box<dyn CellMaker> = match welcomes {
        None => Box::new(cells),
        Some(welcomes) => Box::new(MicroVms::new(cells, welcomes)),
    };
    let engine = Engine::new(vec![Installed::new(language.clone(), toolchain)], cells, policy);
    let done = read.and_then(|Inputs { sources, stdin }| {
        let job = draft.into_job(language.name(), sources);
        let cell = engine.take_in(0, cell).map_err(refused)?;
        carry_out(&engine, cell, &job, stdin, show, &policy)
    });

    // Whatever happened, nothing of the job and no process of ours is left when we are gone. What happened comes
    // first, if both went wrong.
    let closed = engine.close().map_err(Failure::host);
    let ending = done?;
    closed?;
    Ok(ending)
}

/// Runs the job and shows what comes of it. Signals are watched for meanwhile: before, they end a firebox that has
/// not begun, and afterwards they do not keep it from clearing up.
fn carry_out(
    engine: &Engine,
    cell: PreparedCell,
    job: &Job,
    stdin: Stdin,
    show: Show,
    policy: &Policy,
) -> Result<Ending, Failure> {
    let (cancel, canceller) = Cancel::new().map_err(|error| cannot(error, "make a way to stop the job"))?;
    // What is typed at a terminal while firebox is in its background is not for the program, and no reason to be
    // stopped. Not earlier: the warden has no use for it, and code from a terminal is waited for as others do.
    sys::ignore_sigttin().map_err(|error| cannot(error, "ignore SIGTTIN"))?;
    let watch = SignalWatch::start(canceller.clone()).map_err(|error| cannot(error, "watch for signals"))?;
    match show {
        Show::Live(warnings) => {
            let printer = Printer::start(canceller).map_err(|error| cannot(error, "start printing"))?;
            let mut live = Live::new(printer, warnings);
            let outcome = engine.run_in(cell, job, stdin, &mut live, &cancel);
            show_live(live, outcome, policy, &watch)
        }
        Show::Json(detail) => {
            let outcome = engine.run_in(cell, job, stdin, &mut (), &cancel).map_err(refused)?;
            let ending = ending(&outcome, watch.came());
            outlet::say_json(&Response::new(outcome, detail))?;
            Ok(ending)
        }
    }
}

/// Shows what has not been shown yet, and says what the program could not say itself.
fn show_live(
    live: Live,
    outcome: Result<Outcome, RunError>,
    policy: &Policy,
    watch: &SignalWatch,
) -> Result<Ending, Failure> {
    let missing = outcome.as_ref().map(|outcome| live.show_rest_of(outcome)).unwrap_or_default();
    // When nobody reads any more, whatever else went wrong follows from that.
    live.into_printer().finish()?;
    let outcome = outcome.map_err(refused)?;
    let came = watch.came();
    let lines = [notice::of_missing(missing, outcome.limits.output), notice::of_verdict(&outcome, policy, came)];
    outlet::remark(&lines.into_iter().flatten().collect::<String>());
    Ok(ending(&outcome, came))
}

fn ending(outcome: &Outcome, came: Option<StopSignal>) -> Ending {
    match (outcome.verdict, came) {
        (Verdict::Cancelled, Some(StopSignal::CtrlC)) => Ending::CtrlC,
        // The kernel keeps eight bits of an exit code, so none is ever larger.
        _ => Ending::Code(u8::try_from(outcome.verdict.exit_code()).unwrap_or(u8::MAX)),
    }
}

fn refused(error: RunError) -> Failure {
    if error.is_request() { Failure::request(error) } else { Failure::host(error) }
}

/// The kernel refuses us something small that every program needs.
fn cannot(error: io::Error, doing: &'static str) -> Failure {
    Failure::host(anyhow::Error::new(error).context(format!("cannot {doing}")))
}
