//! What a machine begins with: Debian's kernel as `firebox kernel fetch` keeps it, with the guest as its first process.

use std::fs::File;
use std::io::Read;
use std::sync::OnceLock;

use firebox_image::{KernelBounds, KernelRequest, KernelSource, Kernels, fetch_kernel};

use crate::debian::Debian;

static GUEST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/firebox-guest"));

/// The kernel, unpacked, and the archive of files.
pub(crate) struct Beginning {
    pub(crate) kernel: Vec<u8>,
    pub(crate) initramfs: Vec<u8>,
}

/// Made once for all tests. None where there is no kernel, which is said.
pub(crate) fn beginning(test: &str) -> Option<&'static Beginning> {
    static MADE: OnceLock<Beginning> = OnceLock::new();
    let debian = Debian::find(test)?;
    Some(MADE.get_or_init(|| make(&debian)))
}

fn make(debian: &Debian) -> Beginning {
    let directory = tempfile::tempdir().unwrap();
    let kernels = Kernels::open(&directory.path().join("kernels")).unwrap();
    let request = KernelRequest {
        name: None,
        from: "Debian's package".to_owned(),
        check: &|_| Ok(None),
        tell: &|_| (),
        unpack: &|packed| firebox_vmm::unpack(packed).map_err(Into::into),
        init: GUEST,
        bounds: KernelBounds::default(),
    };
    let source = KernelSource::File { path: debian.image(), modules: Some(debian.folder().to_owned()) };
    let (name, _) = fetch_kernel(&kernels, &source, &request).unwrap_or_else(|error| panic!("{error}"));
    let ready = kernels.ready(&name, GUEST).unwrap().expect("it was fetched a moment ago");
    let bytes = |mut file: File| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    };
    Beginning { kernel: bytes(ready.kernel), initramfs: bytes(ready.initramfs) }
}
