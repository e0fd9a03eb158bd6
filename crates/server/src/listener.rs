//! Connections: taken, bounded, and let go of in the end.

use std::convert::Infallible;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use firebox_engine::{Engine, RunError};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tower::ServiceExt;
use tracing::{debug, info, warn};

use crate::body::Bodies;
use crate::routes::{House, routes};
use crate::service::{Makings, Service};

/// What a head may hold, all its lines together.
const HEAD_BYTES: usize = 64 << 10;
/// How many requests one connection of HTTP/2 may have on their way.
const STREAMS: u32 = 128;
/// How long to leave a listener alone that cannot take a connection, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

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
    /// A cell could not be removed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Serves until a signal says to stop, and returns when nothing is left of any job.
///
/// To be called when privileges are dropped: it makes threads.
pub fn serve(makings: Makings, listener: StdListener) -> Result<(), ServeError> {
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        // One for each job that runs, and a few for what else takes its time.
        .max_blocking_threads(makings.settings.running + 8)
        .build()
        .map_err(|source| ServeError::Kernel { doing: "start the threads of a server", source })?;
    let service = Arc::new(Service::new(makings));
    let served = runtime.block_on(until_told_to_stop(&service, listener));
    // Waits for the threads of all jobs: those that are left were cancelled when their connections went.
    drop(runtime);
    let closed = match Arc::into_inner(service).map(|service| Arc::into_inner(service.engine)) {
        Some(Some(engine)) => Engine::close(engine).map_err(ServeError::from),
        _ => Ok(()),
    };
    served.and(closed)
}

async fn until_told_to_stop(service: &Arc<Service>, listener: StdListener) -> Result<(), ServeError> {
    let kernel = |doing| move |source| ServeError::Kernel { doing, source };
    listener.set_nonblocking(true).map_err(kernel("use the listening socket"))?;
    let listener = TcpListener::from_std(listener).map_err(kernel("use the listening socket"))?;
    let mut stop = Stop::listen().map_err(kernel("watch for signals"))?;
    let settings = &service.settings;
    let bodies = Arc::new(Bodies::new(settings.bodies, settings.body, settings.request_within));
    let router = routes(House { service: Arc::clone(service), bodies });
    let connections = Arc::new(Semaphore::new(settings.connections));
    let graceful = GracefulShutdown::new();
    let builder = builder(settings.request_within);
    loop {
        // Whoever finds no room waits in the kernel's own queue.
        let permit = tokio::select! {
            permit = Arc::clone(&connections).acquire_owned() => permit,
            () = stop.came() => break,
        };
        let Ok(permit) = permit else { break };
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.came() => break,
        };
        match stream {
            Ok((stream, _)) => attend(stream, permit, &builder, &graceful, router.clone()),
            Err(error) => {
                warn!(%error, "cannot take a connection");
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    service.admission.close();
    info!(grace_seconds = settings.grace.as_secs_f64(), "stopping: no new jobs, and those that run may end");
    tokio::select! {
        () = graceful.shutdown() => {}
        () = sleep(settings.grace) => warn!("the grace period is over: jobs that still run are cancelled"),
        () = stop.came() => warn!("told again to stop: jobs that still run are cancelled"),
    }
    Ok(())
}

fn builder(within: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(within).max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES as u32)
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(within)
        .keep_alive_timeout(within);
    builder
}

/// Serves one connection, as long as it lasts.
fn attend(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    builder: &Builder<TokioExecutor>,
    graceful: &GracefulShutdown,
    router: Router,
) {
    // An answer is written at once, and waits for no acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            debug!(%error, "a connection ended early");
        }
        drop(permit);
    });
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
