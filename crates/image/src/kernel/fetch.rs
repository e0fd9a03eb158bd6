//! A kernel on its way into the store.
//!
//! ```text
//! source --walk: what is there?--> modules in order --walk again: those, and the kernel--> unpacked in a draft --> kept --> named
//! ```
//!
//! Read twice, since what a module needs may come before or after it, and a package has hundreds of times what a guest needs.

use std::collections::BTreeMap;
use std::error::Error;

use crate::kernel::bounds::KernelBounds;
use crate::kernel::debian::{CheckSignature, Trust};
use crate::kernel::error::{FetchError, KernelExceeded};
use crate::kernel::module::ModuleName;
use crate::kernel::needs::{Needed, WANTED};
use crate::kernel::record::{KeptFile, KeptModule, KernelRecord};
use crate::kernel::release::Release;
use crate::kernel::shelf::{KernelDraft, KernelName, KernelOrigin, Kernels, NamedKernel};
use crate::kernel::source::{KernelSource, Opened, Survey, Taken};

/// Takes the program out of a kernel's file. What is in there, and how it is packed, the monitor knows, not we.
pub type Unpack<'u> = &'u dyn Fn(&[u8]) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>>;

/// How far a kernel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelProgress {
    /// A mirror is asked what there is.
    Asking,
    /// A file comes.
    Downloading {
        /// How much of it is here.
        bytes: u64,
        /// How much there is.
        of: u64,
    },
    /// All that there is, is looked at.
    Looking,
    /// What is needed of it is taken.
    Taking,
}

/// Who is told how far a kernel is.
pub type Tell<'t> = &'t dyn Fn(KernelProgress);

/// What is to become of a kernel.
pub struct KernelRequest<'r> {
    /// What to call it; as its release otherwise.
    pub name: Option<KernelName>,
    /// Where it comes from, as the user said it; a mirror's package says it itself.
    pub from: String,
    /// Who checks what Debian has signed.
    pub check: CheckSignature<'r>,
    /// Who is told how far it is.
    pub tell: Tell<'r>,
    /// How to unpack it.
    pub unpack: Unpack<'r>,
    /// The program that is the first process of its machines.
    pub init: &'r [u8],
    /// How much it may ask of us.
    pub bounds: KernelBounds,
}

/// Takes a kernel with the modules that a guest needs into the store, and has a name stand for it.
pub fn fetch_kernel(
    kernels: &Kernels,
    source: &KernelSource,
    request: &KernelRequest<'_>,
) -> Result<(KernelName, NamedKernel), FetchError> {
    kernels.sweep()?;
    let _entered = kernels.enter()?;
    let bounds = &request.bounds;
    let (downloaded, opened) = match source {
        KernelSource::File { path, modules } => (None, Opened::file(path, modules.as_deref(), bounds)?),
        KernelSource::Debian(debian) => {
            let downloaded = debian.download(kernels.staged("package")?, request)?;
            let opened = Opened::file(&downloaded.path, None, bounds)?;
            (Some(downloaded), opened)
        }
    };
    (request.tell)(KernelProgress::Looking);
    let Survey { release, inventory } = opened.survey(bounds)?;
    let needed = inventory.needed(&WANTED, bounds.modules);
    let needed = needed.map_err(|needs| FetchError::Needs { release: release.clone(), needs })?;
    (request.tell)(KernelProgress::Taking);
    let draft = kernels.draft()?;
    let (kernel, mut files) = taken(&opened, &release, &needed, &draft, request)?;
    let module = |Needed { name, loading }| {
        let file = files.remove(&name).ok_or(FetchError::Changed)?;
        Ok(KeptModule { name, loading, file })
    };
    let modules = needed.into_iter().map(module).collect::<Result<Vec<_>, FetchError>>()?;
    let record = KernelRecord { release, kernel, modules };
    let digest = draft.commit(&record)?;
    let name = request.name.clone().unwrap_or_else(|| KernelName::from(&record.release));
    let (from, trust) = downloaded.map_or_else(|| (request.from.clone(), Trust::Given), |package| package.said());
    let origin = KernelOrigin { from, package: opened.package, trust };
    kernels.name(&name, &digest, &origin)?;
    // So that no machine waits for it.
    kernels.ready(&name, request.init)?;
    Ok((name, NamedKernel { record, origin }))
}

/// Writes the kernel and what is needed of its modules into the draft.
fn taken(
    opened: &Opened<'_>,
    release: &Release,
    needed: &[Needed],
    draft: &KernelDraft<'_>,
    request: &KernelRequest<'_>,
) -> Result<(KeptFile, BTreeMap<ModuleName, KeptFile>), FetchError> {
    let bounds = &request.bounds;
    let mut kernel = None;
    let mut modules = BTreeMap::new();
    let mut kept = 0;
    let is_needed = |name: &ModuleName| needed.iter().any(|needed| needed.name == *name);
    opened.take(release, bounds, &is_needed, &mut |taken| match taken {
        Taken::Kernel(file) => {
            let program = if file.starts_with(b"\x7FELF") {
                file
            } else {
                (request.unpack)(&file).map_err(FetchError::Unpack)?
            };
            let before = kernel.replace(draft.kernel(&program)?);
            if before.is_some() { Err(FetchError::Changed) } else { Ok(()) }
        }
        Taken::Module(name, bytes) => {
            kept += bytes.len() as u64;
            if bounds.kept < kept {
                return Err(KernelExceeded::Kept(bounds.kept).into());
            }
            let before = modules.insert(name.clone(), draft.module(&name, &bytes)?);
            if before.is_some() { Err(FetchError::Changed) } else { Ok(()) }
        }
    })?;
    Ok((kernel.ok_or(FetchError::Changed)?, modules))
}
