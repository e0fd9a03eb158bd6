//! Kernels as `firebox kernel` shows them.

use firebox_image::{KernelName, KernelOrigin, KernelRecord, Loading, NamedKernel, Trust};
use serde::Serialize;

use crate::rootfs::{printable, size};
use crate::table::table;

/// A kernel, as data.
#[derive(Debug, Serialize)]
pub(super) struct ListedKernel {
    name: String,
    release: String,
    /// What it and its modules take.
    bytes: u64,
    /// Of the kernel, unpacked.
    kernel: String,
    modules: Vec<ListedModule>,
    /// As it was asked for.
    from: String,
    /// Of the package, if it came in one.
    package: Option<String>,
    /// Why it is believed to be what its name says: the file was given, a mirror said so, or Debian has signed it.
    trust: &'static str,
}

#[derive(Debug, Serialize)]
struct ListedModule {
    name: String,
    /// Whether a guest cannot do without it.
    must: bool,
    digest: String,
}

impl ListedKernel {
    pub(super) fn of(name: &KernelName, kernel: &NamedKernel) -> ListedKernel {
        // Exhaustive: what else is known of a kernel has to be decided here.
        let NamedKernel { record, origin } = kernel;
        let KernelRecord { release, kernel, modules } = record;
        let KernelOrigin { from, package, trust } = origin;
        let listed = modules.iter().map(|module| ListedModule {
            name: module.name.to_string(),
            must: module.loading == Loading::Must,
            digest: module.file.digest.to_string(),
        });
        ListedKernel {
            name: name.to_string(),
            release: release.to_string(),
            bytes: kernel.bytes + modules.iter().map(|module| module.file.bytes).sum::<u64>(),
            kernel: kernel.digest.to_string(),
            modules: listed.collect(),
            from: from.clone(),
            package: package.map(|digest| digest.to_string()),
            trust: match trust {
                Trust::Given => "given",
                Trust::Mirror => "mirror",
                Trust::Signature => "signature",
            },
        }
    }
}

/// One line for each.
pub(super) fn in_table(kernels: &[ListedKernel]) -> String {
    let mut rows = vec![["NAME", "RELEASE", "SIZE", "MODULES", "FROM"].map(str::to_owned)];
    for kernel in kernels {
        rows.push([
            kernel.name.clone(),
            kernel.release.clone(),
            size(kernel.bytes),
            kernel.modules.len().to_string(),
            printable(&kernel.from),
        ]);
    }
    table(&rows)
}
