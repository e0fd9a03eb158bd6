//! One test at a time on this host: an inventory taken while another test runs would count its things.
//!
//! Tests of one binary are threads, hence the mutex; other test binaries are processes, hence the lock on a file.

use std::cell::Cell;
use std::fs::File;
use std::sync::{Mutex, MutexGuard};

static THIS_PROCESS: Mutex<()> = Mutex::new(());

thread_local! {
    /// A second wait by who has the turn already would keep everybody on this host waiting for ever.
    static HELD: Cell<bool> = const { Cell::new(false) };
}

/// Held by the one test that runs now.
pub(crate) struct Serial {
    // Dropped in this order: the file first, so that a waiting thread of ours does not find it taken.
    _host: File,
    _process: MutexGuard<'static, ()>,
}

impl Serial {
    /// Waits until no other test of these runs on this host.
    pub(crate) fn wait() -> Serial {
        assert!(!HELD.replace(true), "this test takes its turn twice: let go of the first inventory");
        // A test that failed poisons the mutex, and says nothing about the next one.
        let process = THIS_PROCESS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let path = std::env::temp_dir().join("e2e-serial.lock");
        let host = File::options().create(true).append(true).open(&path);
        let host = host.unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
        host.lock().unwrap_or_else(|error| panic!("cannot lock {}: {error}", path.display()));
        Serial { _host: host, _process: process }
    }
}

impl Drop for Serial {
    fn drop(&mut self) {
        HELD.set(false);
    }
}
