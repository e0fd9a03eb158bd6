//! One test at a time on this host: an inventory taken while another test runs would count its things.
//!
//! Tests of one binary are threads, hence the mutex; other test binaries are processes, hence the lock on a file.

use std::fs::File;
use std::sync::{Mutex, MutexGuard};

static THIS_PROCESS: Mutex<()> = Mutex::new(());

/// Held by the one test that runs now.
pub(crate) struct Serial {
    // Dropped in this order: the file first, so that a waiting thread of ours does not find it taken.
    _host: File,
    _process: MutexGuard<'static, ()>,
}

impl Serial {
    /// Waits until no other test of these runs on this host.
    pub(crate) fn wait() -> Serial {
        // A test that failed poisons the mutex, and says nothing about the next one.
        let process = THIS_PROCESS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let path = std::env::temp_dir().join("e2e-serial.lock");
        let host = File::options().create(true).append(true).open(&path);
        let host = host.unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
        host.lock().unwrap_or_else(|error| panic!("cannot lock {}: {error}", path.display()));
        Serial { _host: host, _process: process }
    }
}
