//! Connections: taken, bounded, and let go of in the end.

use std::net::TcpListener as StdListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use firebox_engine::{Cancel, Engine, RunError};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error, info, warn};

use crate::Tls;
use crate::answer::in_one_line;
use crate::body::Bodies;
use crate::connection::{self, Hangup, Manners};
use crate::jobs;
use crate::keys::{self, Ledger};
use crate::routes::routes;
use crate::service::{Makings, Service};
use crate::spans::Exporter;
use crate::state::StateError;
use crate::supervisor::Supervisor;
use crate::webhook::ASKED_AT_ONCE;

/// How long to leave a listener alone that cannot take a connection, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the others hear of somebody who waits for a connection.
const REMINDER: Duration = Duration::from_millis(100);
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

/// Serves until a signal says to stop, and returns when nothing is left of any job.
///
/// To be called when privileges are dropped: it makes threads.
pub fn serve(mut makings: Makings, listener: StdListener) -> Result<(), ServeError> {
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        // One for each job that runs, on its connection's own thread too, which leaves its work to another; and a few for what else
        // takes its time.
        .max_blocking_threads(makings.settings.running + ASKED_AT_ONCE + 8)
        .build()
        .map_err(|source| ServeError::Kernel { doing: "start the threads of a server", source })?;
    let tls = makings.tls.take().map(Arc::new);
    let service = Arc::new(Service::new(makings));
    let served = runtime.block_on(until_told_to_stop(&service, listener, tls));
    // Waits for the threads of all jobs: those that are left were told to stop, or are when their connections go.
    drop(runtime);
    Ledger::settle(&service);
    let closed = match Arc::into_inner(service).map(|service| Arc::into_inner(service.engine)) {
        Some(Some(engine)) => Engine::close(engine).map_err(ServeError::from),
        _ => Ok(()),
    };
    served.and(closed)
}

async fn until_told_to_stop(
    service: &Arc<Service>,
    listener: StdListener,
    tls: Option<Arc<Tls>>,
) -> Result<(), ServeError> {
    let kernel = |doing| move |source| ServeError::Kernel { doing, source };
    listener.set_nonblocking(true).map_err(kernel("use the listening socket"))?;
    let listener = TcpListener::from_std(listener).map_err(kernel("use the listening socket"))?;
    let mut stop = Stop::listen().map_err(kernel("watch for signals"))?;
    let supervisor = Arc::new(Supervisor::find().unwrap_or_else(|error| {
        warn!(%error, "whoever started this cannot be told how it is (`NOTIFY_SOCKET`)");
        Supervisor::default()
    }));
    // Without either it is what a terminal says when it closes, and ends the service.
    if tls.is_some() || supervisor.is_there() {
        let signals = signal(SignalKind::hangup()).map_err(kernel("watch for signals"))?;
        tokio::spawn(renew(signals, tls.clone()));
    }
    let alive = tokio::spawn({
        let supervisor = Arc::clone(&supervisor);
        async move { supervisor.stay_alive().await }
    });
    let settings = &service.settings;
    let exporter = settings.otlp_endpoint.clone().and_then(|endpoint| Exporter::start(endpoint, &service.spans));
    let bodies = Arc::new(Bodies::new(settings.bodies, settings.body, settings.request_within));
    let router = routes(Arc::clone(service), bodies);
    let connections = Connections::new(settings.connections);
    let (everything, end) = Cancel::new().map_err(kernel("make a way to stop jobs"))?;
    let (close, closing) = watch::channel(false);
    let crowded = Arc::clone(&connections.crowded);
    let manners = Manners { within: settings.request_within, crowded, everything, closing };
    // It ends with the runtime.
    tokio::spawn(keys::watch(Arc::clone(&service.keys)));
    if let Some(jobs) = &service.jobs {
        // Before a job begins.
        let ledger = Ledger::recall(&service.keys, jobs.database()).await?;
        tokio::spawn(ledger.watch(Arc::clone(service)));
    }
    jobs::resume(service).await?;
    supervisor.ready();
    let mut lost = pin!(service.loses_warden());
    let mut has_lost = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.came() => break,
            () = &mut lost => {
                has_lost = true;
                break;
            }
        };
        let watched = accepted.and_then(|(stream, _)| Hangup::of(&stream).map(|hangup| (stream, hangup)));
        let (stream, hangup) = match watched {
            Ok(watched) => watched,
            Err(error) => {
                warn!(%error, "cannot take a connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        // The others wait in the kernel's own queue.
        let permit = tokio::select! {
            permit = connections.take() => permit,
            () = stop.came() => break,
            () = &mut lost => {
                has_lost = true;
                break;
            }
        };
        attend(stream, hangup, permit, tls.as_ref().map(|tls| tls.acceptor()), manners.clone(), router.clone());
    }
    drop(listener);
    // Whichever was noticed first.
    has_lost = has_lost || service.has_lost_warden().await;
    let grace = if has_lost { settings.grace.min(WRITTEN_WITHIN) } else { settings.grace };
    if has_lost {
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
    // Nobody listens any more when there is no connection left.
    let _ = close.send(true);
    tokio::select! {
        () = async { tokio::join!(connections.all_ended(), idle(service)); } => {}
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
    if has_lost { Err(ServeError::WardenGone) } else { Ok(()) }
}

/// Returns when no job runs that outlives its connection.
async fn idle(service: &Service) {
    if let Some(jobs) = &service.jobs {
        jobs.idle().await;
    }
}

/// How many connections there may be, and what is done when there are as many.
#[derive(Debug)]
struct Connections {
    free: Arc<Semaphore>,
    most: u32,
    crowded: Arc<Notify>,
}

impl Connections {
    fn new(most: usize) -> Connections {
        let most =
            u32::try_from(most).unwrap_or(u32::MAX).min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        Connections { free: Arc::new(Semaphore::new(most as usize)), most, crowded: Arc::default() }
    }

    /// Waits for a place for a connection; those that are unused make room.
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.free).acquire_owned();
        let remind = async {
            let mut reminders = interval(REMINDER);
            loop {
                reminders.tick().await;
                self.crowded.notify_waiters();
            }
        };
        tokio::select! {
            biased;
            permit = permit => permit.ok(),
            () = remind => None,
        }
    }

    async fn all_ended(&self) {
        // It is never closed.
        let _ = self.free.acquire_many(self.most).await;
    }
}

/// Serves one connection, in a task of its own.
fn attend(
    stream: TcpStream,
    hangup: Hangup,
    permit: Option<OwnedSemaphorePermit>,
    tls: Option<TlsAcceptor>,
    manners: Manners,
    router: Router,
) {
    // An answer is written at once, and waits for no acknowledgement.
    let _ = stream.set_nodelay(true);
    tokio::spawn(async move {
        let attended = match tls {
            None => connection::attend(stream, hangup, manners, router).await,
            Some(tls) => match connection::beginning(tls.accept(stream), &manners).await {
                Ok(Some(stream)) => connection::attend(stream, hangup, manners, router).await,
                Ok(None) => Ok(()),
                Err(ended) => Err(ended),
            },
        };
        if let Err(error) = attended {
            debug!(error = in_one_line(&error), "a connection ended early");
        }
        drop(permit);
    });
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
