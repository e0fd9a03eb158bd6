//! Threads that have one connection at a time, and nothing else to do.
//!
//! Whoever sends one job after the other waits for every thread that has to wake up in between. Here none has to: the thread that reads the
//! request runs the job, answers, and waits for the next. There are as many as are of use; further connections share the
//! threads of the runtime, and so does whoever has not begun to speak.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tracing::warn;

/// What is done with a connection, made on the thread that does it.
type Attending = Pin<Box<dyn Future<Output = ()>>>;
type Connection = Box<dyn FnOnce() -> Attending + Send>;

/// They end with this, and every connection that is still on one.
pub(crate) struct Lanes {
    shared: Arc<Shared>,
    most: usize,
    /// Dropped when no connection is to go on.
    open: watch::Sender<()>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Connections that wait for a thread which is free and about to wake up: never more than there are of those.
    next: VecDeque<Connection>,
    free: usize,
    threads: Vec<JoinHandle<()>>,
    closed: bool,
}

impl Lanes {
    /// None yet, and never more than so many.
    pub(crate) fn new(most: usize) -> Lanes {
        let state = State { next: VecDeque::new(), free: 0, threads: Vec::new(), closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        Lanes { shared, most, open: watch::channel(()).0 }
    }

    /// Has a connection attended to on a thread of its own, when there is one; otherwise it is given back.
    pub(crate) fn take<T: Send + 'static, F: Future<Output = ()> + 'static>(
        &self,
        connection: T,
        attend: impl FnOnce(T) -> F + Send + 'static,
    ) -> Result<(), T> {
        let mut state = self.shared.state();
        if state.next.len() == state.free && !self.widen(&mut state) {
            return Err(connection);
        }
        let mut open = self.open.subscribe();
        state.next.push_back(Box::new(move || {
            Box::pin(async move {
                tokio::select! {
                    () = attend(connection) => {}
                    // It never changes, so it has been dropped.
                    _ = open.changed() => {}
                }
            })
        }));
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// One more, if there may be one more. It counts as free from now on.
    fn widen(&self, state: &mut State) -> bool {
        if self.most <= state.threads.len() {
            return false;
        }
        match start(Arc::clone(&self.shared)) {
            Ok(thread) => {
                state.threads.push(thread);
                state.free += 1;
                true
            }
            Err(error) => {
                warn!(%error, "a connection gets no thread of its own");
                false
            }
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        self.shared.changed.notify_all();
        self.open = watch::channel(()).0;
        for thread in threads {
            // One that broke down has said so.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a connection; none when there are to be no more.
    fn next(&self) -> Option<Connection> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(connection) = state.next.pop_front() {
                state.free -= 1;
                return Some(connection);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { free, threads, .. } = &*self.shared.state();
        f.debug_struct("Lanes").field("free", free).field("threads", &threads.len()).field("most", &self.most).finish()
    }
}

fn start(shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("connection".to_owned()).spawn(move || work(&shared, &runtime))
}

fn work(shared: &Shared, runtime: &Runtime) {
    while let Some(connection) = shared.next() {
        runtime.block_on(async { connection().await });
        shared.state().free += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread::ThreadId;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    /// A connection that tells its thread, and lasts until it is told to end.
    struct Visitor {
        told: mpsc::Sender<ThreadId>,
        last: oneshot::Receiver<()>,
    }

    fn visitor() -> (Visitor, mpsc::Receiver<ThreadId>, oneshot::Sender<()>) {
        let ((told, thread), (end, last)) = (mpsc::channel(), oneshot::channel());
        (Visitor { told, last }, thread, end)
    }

    async fn attend(Visitor { told, last }: Visitor) {
        told.send(thread::current().id()).unwrap();
        let _ = last.await;
    }

    #[test]
    fn each_has_a_thread_of_its_own_as_long_as_there_are_any_and_leaves_it_to_the_next() {
        let lanes = Lanes::new(2);
        let (first, its_thread, end) = visitor();
        lanes.take(first, attend).ok().unwrap();
        let (second, other_thread, _stays) = visitor();
        lanes.take(second, attend).ok().unwrap();
        let its_thread = its_thread.recv_timeout(SOON).unwrap();
        assert_ne!(its_thread, other_thread.recv_timeout(SOON).unwrap());

        let (mut next, thread, _stays) = visitor();
        next = lanes.take(next, attend).unwrap_err();
        end.send(()).unwrap();
        while let Err(back) = lanes.take(next, attend) {
            next = back;
            thread::yield_now();
        }
        assert_eq!(thread.recv_timeout(SOON).unwrap(), its_thread);
    }

    #[test]
    fn they_end_with_whatever_is_on_them() {
        let lanes = Lanes::new(1);
        let (visitor, thread, _stays) = visitor();
        let told = visitor.told.clone();
        lanes.take(visitor, attend).ok().unwrap();
        thread.recv_timeout(SOON).unwrap();
        drop(lanes);
        drop(told);
        assert_eq!(thread.recv_timeout(SOON), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
