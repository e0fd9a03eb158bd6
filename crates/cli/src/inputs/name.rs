//! What a file is called in its cell.

use std::path::{Path, PathBuf};

use firebox_job::SourcePath;

use crate::choice::Target;
use crate::inputs::error::{InputError, Named};

/// The folder that other files' names are relative to.
pub(super) struct Base(PathBuf);

impl Base {
    /// The program's own folder; the current one when the program has none.
    pub(super) fn of(target: &Target) -> Result<Base, InputError> {
        let folder = match target {
            Target::Text(_) | Target::Stdin => Path::new("."),
            Target::File(path) => parent(path),
            Target::Folder(path) => path,
        };
        real(folder).map(Base)
    }

    /// A file's place relative to the base when it is below, and else its bare name.
    pub(super) fn name(&self, path: &Path) -> Result<SourcePath, InputError> {
        // The last part is left as typed: a link keeps its own name, not that of what it leads to.
        let folder = real(parent(path))?;
        let bare_name = bare(path, Named::Companion)?;
        match folder.strip_prefix(&self.0) {
            Err(_) => Ok(bare_name),
            Ok(below) => text(path, &below.join(bare_name.as_str()), Named::Companion),
        }
    }
}

/// The last part of a path.
pub(super) fn bare(path: &Path, of: Named) -> Result<SourcePath, InputError> {
    let name = path.file_name().ok_or_else(|| InputError::NoName { path: path.to_owned(), of })?;
    text(path, Path::new(name), of)
}

fn text(path: &Path, name: &Path, of: Named) -> Result<SourcePath, InputError> {
    let name = name.to_str().ok_or_else(|| InputError::NoName { path: path.to_owned(), of })?;
    Ok(SourcePath::new(name)?)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Without links and `..`, so that two spellings of one folder are the same.
fn real(folder: &Path) -> Result<PathBuf, InputError> {
    folder.canonicalize().map_err(|source| InputError::Unreadable { path: folder.to_owned(), source })
}
