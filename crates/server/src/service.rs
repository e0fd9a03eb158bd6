//! What the service is made of, whoever asks: requests become jobs, jobs get places, places run them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use firebox_api::{Detail, Listing, Parts, Refusal, RefusalCode};
use firebox_engine::{Engine, Stdin, fresh_trace_id};
use firebox_job::{Job, Policy, TraceId};
use firebox_lang::{Catalogue, Language, MissingToolchain};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::admission::{Admission, NoPlace, Ticket};
use crate::answer::Refusing;
use crate::body::Share;
use crate::caller::Caller;
use crate::health::Health;
use crate::jobs::Jobs;
use crate::keys::Ring;
use crate::metrics::Metrics;
use crate::spans::{Spans, TraceContext};
use crate::{Database, Settings, Tls, languages};

/// Runs jobs for whoever comes in.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) engine: Arc<Engine>,
    pub(crate) settings: Settings,
    pub(crate) admission: Arc<Admission>,
    pub(crate) metrics: Metrics,
    pub(crate) spans: Spans,
    pub(crate) health: Health,
    /// Who may ask, where not everybody may.
    pub(crate) keys: Arc<Ring>,
    /// Who asks where there are no keys.
    pub(crate) everybody: Caller,
    catalogue: Catalogue,
    absent: Vec<MissingToolchain>,
    pub(crate) policy: Policy,
    listings: Arc<OnceCell<Vec<Listing>>>,
    /// Those that outlive a connection; none where nothing is kept.
    pub(crate) jobs: Option<Jobs>,
}

/// A job that can be run.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) job: Job,
    pub(crate) stdin: Stdin,
    pub(crate) detail: Detail,
    /// The language's own name, whichever the client used.
    pub(crate) language: String,
}

/// A job that can be run, and its place in the queue.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) job: Job,
    pub(crate) stdin: Stdin,
    pub(crate) detail: Detail,
    pub(crate) caller: Caller,
    /// The language's own name, whichever the client used.
    pub(crate) language: String,
    pub(crate) ticket: Ticket,
    /// What was in the request is held until the job has begun, and counted as long.
    pub(crate) share: Option<Share>,
    pub(crate) since: Instant,
    /// The trace that the client has it in.
    pub(crate) context: Option<TraceContext>,
}

/// What a service is made of.
#[derive(Debug)]
pub struct Makings {
    /// Runs the jobs.
    pub engine: Engine,
    /// The languages that clients may name, those included that are not on this host.
    pub catalogue: Catalogue,
    /// What those lack that are not.
    pub absent: Vec<MissingToolchain>,
    /// What is granted.
    pub policy: Policy,
    /// The rest of what the operator decides.
    pub settings: Settings,
    /// What clients are shown who this is by; none where they speak without TLS.
    pub tls: Option<Tls>,
    /// What outlives the service, if anything is to.
    pub database: Option<Database>,
    /// Who may ask, where not everybody may.
    pub keys: Ring,
}

impl Service {
    pub(crate) fn new(makings: Makings) -> Service {
        let Makings { engine, catalogue, absent, policy, settings, tls: _, database, keys } = makings;
        let admission = Admission::new(settings.running, settings.waiting);
        let spans = Spans::new(settings.otlp_endpoint.is_some());
        let jobs = database.map(|database| Jobs::new(Arc::new(database), settings.jobs.clone(), settings.running));
        Service {
            engine: Arc::new(engine),
            settings,
            admission,
            metrics: Metrics::new(&spans),
            spans,
            health: Health::default(),
            keys: Arc::new(keys),
            everybody: Caller::everybody(),
            catalogue,
            absent,
            policy,
            listings: Arc::default(),
            jobs,
        }
    }

    /// Makes a job of a request, if it can be run here and there is a place for it, or room to wait for one.
    pub(crate) fn admit(&self, parts: Parts, caller: &Caller) -> Result<Admitted, Refusing> {
        let Prepared { job, stdin, detail, language } = self.prepare(parts, caller)?;
        let ticket = self.admission.enter(caller.owner).map_err(|why| no_place(why).of(job.trace_id.clone()))?;
        Ok(Admitted {
            job,
            stdin,
            detail,
            caller: caller.clone(),
            language,
            ticket,
            share: None,
            since: Instant::now(),
            context: None,
        })
    }

    /// Makes a job of a request, if it can be run here. Nobody waits for it yet.
    pub(crate) fn prepare(&self, parts: Parts, caller: &Caller) -> Result<Prepared, Refusing> {
        let made_up = || fresh_trace_id().map_err(|error| Refusing::fault("cannot make up a trace id", &error));
        let trace_id = parts.trace_id.clone().map_or_else(made_up, Ok)?;
        self.prepare_named(parts, &trace_id, caller).map_err(|refusing| refusing.of(trace_id))
    }

    fn prepare_named(&self, parts: Parts, trace_id: &TraceId, caller: &Caller) -> Result<Prepared, Refusing> {
        let detail = parts.detail;
        let language = self.catalogue.find(&parts.language).map_err(Refusing::unknown_language)?;
        caller.may_use(language.name())?;
        caller.may_run_in(parts.isolation, self.engine.kind())?;
        if !self.engine.installed().iter().any(|installed| installed.language.name() == language.name()) {
            return Err(Refusing::unavailable(language, self.lack_of(language)));
        }
        let (job, stdin) = parts.into_job(language.entry(), &caller.policy(&self.policy), trace_id.clone())?;
        let stdin = stdin.map_or(Stdin::Empty, |text| Stdin::Bytes(text.into_bytes()));
        self.engine.check(&job, &stdin)?;
        caller.may_begin()?;
        Ok(Prepared { job, stdin, detail, language: language.name().to_owned() })
    }

    /// The caller of this name, of whom something was kept.
    pub(crate) fn caller_named(&self, name: &str) -> Caller {
        if *self.everybody.name == *name {
            return self.everybody.clone();
        }
        let holder = name.parse().ok().and_then(|id| self.keys.holder(id));
        holder.map_or_else(|| Caller::gone(name), Caller::holding)
    }

    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What a language lacks on this host.
    pub(crate) fn lack_of(&self, language: &Language) -> Option<&MissingToolchain> {
        self.absent.iter().find(|missing| missing.language == language.name())
    }

    /// All languages, with the versions that their toolchains say they have. They are asked once, when somebody first wants
    /// to know, whether or not that one waits for the answer.
    pub(crate) async fn listings(self: &Arc<Service>) -> &[Listing] {
        if self.listings.get().is_none() {
            let (service, listings) = (Arc::clone(self), Arc::clone(&self.listings));
            let asking = tokio::spawn(async move {
                let ask = || async { spawn_blocking(move || languages::list(&service)).await.unwrap_or_default() };
                listings.get_or_init(ask).await;
            });
            // It fails only where the runtime ends.
            let _ = asking.await;
        }
        self.listings.get().map_or(&[], Vec::as_slice)
    }
}

pub(crate) fn no_place(why: NoPlace) -> Refusing {
    let again = |refusal: Refusal| Refusing::from(refusal.with_hint("try again in a moment"));
    match why {
        NoPlace::Full => again(Refusal::new(RefusalCode::Full, "every place is taken, and the queue is full")),
        NoPlace::Shared => again(Refusal::new(
            RefusalCode::Full,
            "every place is taken, and the jobs of this key have taken as much of the queue as is left to others",
        )),
        NoPlace::Late(waited) => again(Refusal::new(
            RefusalCode::Full,
            format!("the job's turn did not come within {} s", waited.as_secs_f64()),
        )),
        NoPlace::Bound => Refusing::quota("as many jobs of this key wait as may", Duration::from_secs(1))
            .hinting("try again in a moment"),
        NoPlace::Closed => {
            Refusal::new(RefusalCode::ShuttingDown, "the service is about to end and takes no more jobs")
                .with_hint("try again when it is back")
                .into()
        }
    }
}
