//! A machine that was frozen, as bytes and a file, and clones of it.

use std::fs::File;
use std::path::Path;

use firebox_vmm::virtio::Device;
use firebox_vmm::{Hypervisor, Paused, Prepared, Snapshot};
use tempfile::NamedTempFile;

pub(crate) struct Frozen {
    pub(crate) bytes: Vec<u8>,
    memory: NamedTempFile,
}

impl Frozen {
    /// The machine stays as it is.
    pub(crate) fn of(hypervisor: &Hypervisor, paused: &Paused) -> Frozen {
        let memory = NamedTempFile::new().unwrap();
        let snapshot = paused.save(hypervisor, memory.as_file()).unwrap();
        snapshot.verify_memory(memory.as_file()).unwrap();
        Frozen { bytes: snapshot.encode(), memory }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::decode(&self.bytes).unwrap()
    }

    /// As a clone gets it: nobody can write to it.
    pub(crate) fn memory(&self) -> File {
        File::open(self.memory_path()).unwrap()
    }

    pub(crate) fn memory_path(&self) -> &Path {
        self.memory.path()
    }

    /// A clone without devices.
    pub(crate) fn prepare(&self, hypervisor: &Hypervisor) -> Prepared {
        self.prepare_with(hypervisor, Vec::new())
    }

    pub(crate) fn prepare_with(&self, hypervisor: &Hypervisor, devices: Vec<Box<dyn Device>>) -> Prepared {
        self.snapshot().restore(hypervisor, self.memory(), devices).unwrap()
    }
}
