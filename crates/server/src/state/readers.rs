//! Threads that read, each with a connection of its own: a reader waits for no writer, and no writer for a reader.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use rusqlite::Connection;

/// Something to be read, and who waits for it.
type Look = Box<dyn FnOnce(&Connection) + Send>;

/// The threads, and the way to them.
#[derive(Debug)]
pub(super) struct Readers {
    looks: Option<Sender<Look>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// One thread for each connection.
    pub(super) fn start(connections: Vec<Connection>) -> std::io::Result<Readers> {
        let (looks, waiting) = channel::<Look>();
        let waiting = Arc::new(Mutex::new(waiting));
        let mut readers = Readers { looks: Some(looks), threads: Vec::new() };
        for connection in connections {
            let waiting = Arc::clone(&waiting);
            let reader = Builder::new().name("state-reader".into()).spawn(move || read_all(&connection, &waiting))?;
            readers.threads.push(reader);
        }
        Ok(readers)
    }

    /// Has one of them look. It does not happen when they have ended.
    pub(super) fn look(&self, look: Look) {
        if let Some(looks) = &self.looks {
            let _ = looks.send(look);
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.looks = None;
        for thread in self.threads.drain(..) {
            // It does not panic, and there would be nobody to hear of it.
            let _ = thread.join();
        }
    }
}

fn read_all(connection: &Connection, waiting: &Mutex<Receiver<Look>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(look) = next else { return };
        look(connection);
    }
}
