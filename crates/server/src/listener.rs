//! The service from its start to its end: what runs beside the jobs, who stops it, and what becomes of those who are there then.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use firebox_engine::{Cancel, Engine, RunError};
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use crate::Tls;
use crate::answer::in_one_line;
use crate::body::Bodies;
use crate::connection::{Lanes, Manners};
use crate::jobs;
use crate::keys::{self, Ledger};
use crate::reception::{Places, Reception};
use crate::routes::routes;
use crate::service::{Makings, Service};
use crate::spans::Exporter;
use crate::state::StateError;
use crate::supervisor::Supervisor;
use crate::webhook::ASKED_AT_ONCE;

/// How many connections have a thread of their own: more threads than that are in each other's way.
const LANES: usize = 64;
/// How long jobs that are cut short may take to be back in the queue.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// Why the service did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The kernel refused us what every service needs.
    #[error("cannot {doing}")]
    Kernel {
        /// What was refused.
        doing: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// What was kept could not be taken up.
    #[error("cannot take up the jobs of the state directory")]
    State(#[from] StateError),
    /// Nothing makes cells any more.
    #[error("the warden is gone, without which no job runs; start the service again, and jobs that are kept go on")]
    WardenGone,
    /// A cell could not be removed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A service that can be told to stop, and takes nobody in yet.
///
/// Who says that there is a service says it between its two halves: a signal that comes on that word is heard.
pub struct Server {
    service: Arc<Service>,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    lanes: Arc<Lanes>,
    supervisor: Supervisor,
    signals: Signals,
    // Last: what is above is known to it.
    runtime: Runtime,
}

impl Server {
    /// To be called when privileges are dropped: it makes threads.
    pub fn start(mut makings: Makings, listener: StdListener) -> Result<Server, ServeError> {
        let kernel = |doing| move |source| ServeError::Kernel { doing, source };
        let runtime = runtime::Builder::new_multi_thread()
            .enable_all()
            // One for each job that runs, on its connection's own thread too, which leaves its work to another; and a few for what
            // else takes its time.
            .max_blocking_threads(makings.settings.running + ASKED_AT_ONCE + 8)
            .build()
            .map_err(kernel("start the threads of a server"))?;
        let supervisor = Supervisor::find().unwrap_or_else(|error| {
            warn!(%error, "whoever started this cannot be told how it is (`NOTIFY_SOCKET`)");
            Supervisor::default()
        });
        let tls = makings.tls.take().map(Arc::new);
        let inside = runtime.enter();
        // Without either a hangup is what a terminal says when it closes, and ends the service.
        let signals = Signals::listen(tls.is_some() || supervisor.is_there()).map_err(kernel("watch for signals"))?;
        listener.set_nonblocking(true).map_err(kernel("use the listening socket"))?;
        let listener = TcpListener::from_std(listener).map_err(kernel("use the listening socket"))?;
        drop(inside);
        let service = Arc::new(Service::new(makings));
        let lanes = Arc::new(Lanes::new(LANES));
        Ok(Server { runtime, service, listener, tls, lanes, supervisor, signals })
    }

    /// Serves until a signal says to stop, and returns when nothing is left of any job.
    pub fn serve(self) -> Result<(), ServeError> {
        let Server { runtime, service, listener, tls, lanes, supervisor, signals } = self;
        let served = runtime.block_on(until_told_to_stop(&service, listener, tls, &lanes, supervisor, signals));
        // Waits for the threads of all jobs: those that are left were told to stop, or are when their connections go.
        drop(runtime);
        drop(lanes);
        Ledger::settle(&service);
        let closed = match Arc::into_inner(service).map(|service| Arc::into_inner(service.engine)) {
            Some(Some(engine)) => Engine::close(engine).map_err(ServeError::from),
            _ => Ok(()),
        };
        served.and(closed)
    }
}

async fn until_told_to_stop(
    service: &Arc<Service>,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    lanes: &Arc<Lanes>,
    supervisor: Supervisor,
    signals: Signals,
) -> Result<(), ServeError> {
    let Signals { mut stop, renewal } = signals;
    if let Some(renewal) = renewal {
        tokio::spawn(renew(renewal, tls.clone()));
    }
    let supervisor = Arc::new(supervisor);
    let alive = tokio::spawn({
        let supervisor = Arc::clone(&supervisor);
        async move { supervisor.stay_alive().await }
    });
    let settings = &service.settings;
    let exporter = settings.otlp_endpoint.clone().and_then(|endpoint| Exporter::start(endpoint, &service.spans));
    let bodies = Arc::new(Bodies::new(settings.bodies, settings.body, settings.request_within));
    let router = routes(Arc::clone(service), bodies);
    let places = Places::new(settings.connections);
    let (everything, end) =
        Cancel::new().map_err(|source| ServeError::Kernel { doing: "make a way to stop jobs", source })?;
    let (close, closing) = watch::channel(false);
    let manners = Manners { within: settings.request_within, crowded: places.crowded(), everything, closing };
    let reception = Reception { places, manners, router, tls, lanes: Arc::clone(lanes) };
    // It ends with the runtime.
    tokio::spawn(keys::watch(Arc::clone(&service.keys)));
    if let Some(jobs) = &service.jobs {
        // Before a job begins.
        let ledger = Ledger::recall(&service.keys, jobs.database()).await?;
        tokio::spawn(ledger.watch(Arc::clone(service)));
    }
    jobs::resume(service).await?;
    supervisor.ready();
    let lost = tokio::select! {
        () = reception.open(&listener) => false,
        () = stop.came() => false,
        () = service.loses_warden() => true,
    };
    // Whichever was noticed first.
    let lost = lost || service.has_lost_warden().await;
    let grace = if lost { settings.grace.min(WRITTEN_WITHIN) } else { settings.grace };
    if lost {
        error!(
            "the warden is gone, so no job runs any more: the service ends, and jobs that are kept wait for the next start"
        );
    }
    supervisor.stopping();
    service.admission.close();
    if let Some(jobs) = &service.jobs {
        jobs.close();
    }
    info!(grace_seconds = grace.as_secs_f64(), "stopping: no new jobs, and those that run may end");
    if let Err(error) = reception.close(listener) {
        warn!(%error, "connections that nobody had taken yet are broken off");
    }
    // Nobody listens any more when there is no connection left.
    let _ = close.send(true);
    tokio::select! {
        () = async { tokio::join!(reception.places.all_free(), idle(service)); } => {}
        () = sleep(grace) => warn!("the grace period is over: jobs that still run are cancelled"),
        () = stop.came() => warn!("told again to stop: jobs that still run are cancelled"),
    }
    if let Err(error) = end.cancel() {
        warn!(%error, "jobs on connections cannot be cancelled, and are waited for");
    }
    if let Some(jobs) = &service.jobs
        && timeout(WRITTEN_WITHIN, jobs.cut()).await.is_err()
    {
        warn!("not all jobs that were cut short could be put back into the queue: the next start does it");
    }
    if let Some(exporter) = exporter {
        exporter.finish().await;
    }
    alive.abort();
    if lost { Err(ServeError::WardenGone) } else { Ok(()) }
}

/// Returns when no job runs that outlives its connection.
async fn idle(service: &Service) {
    if let Some(jobs) = &service.jobs {
        jobs.idle().await;
    }
}

/// Reads the certificate again whenever the operator says that there is a new one.
async fn renew(mut signals: Signal, tls: Option<Arc<Tls>>) {
    while signals.recv().await.is_some() {
        match tls.as_ref().map(|tls| tls.read_again()) {
            None => info!("there is no certificate that could be read again"),
            Some(Ok(())) => info!("the certificate was read again, and is shown to who connects from now on"),
            Some(Err(error)) => warn!(
                error = in_one_line(&error),
                "the certificate could not be read again, and the one from before stays; a service that was started as root \
                 has no right to read what only root may, and is restarted instead"
            ),
        }
    }
}

/// The signals that are heard.
struct Signals {
    stop: Stop,
    /// That there is a new certificate; none where a hangup means what it means to any program.
    renewal: Option<Signal>,
}

impl Signals {
    fn listen(to_hangups_too: bool) -> std::io::Result<Signals> {
        let renewal = to_hangups_too.then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Signals { stop: Stop::listen()?, renewal })
    }
}

/// The signals that mean "stop".
struct Stop {
    term: Signal,
    int: Signal,
}

impl Stop {
    fn listen() -> std::io::Result<Stop> {
        Ok(Stop { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Returns when one of them comes.
    async fn came(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
