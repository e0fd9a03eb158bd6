//! Where a file that is not there was looked for.

use std::env;
use std::io;
use std::path::Path;

/// Says from where a relative path was followed, if following it led to nothing: whoever stands in another directory
/// than they think sees it here.
pub(crate) fn looked_for(path: &Path, error: &io::Error) -> Option<String> {
    if error.kind() != io::ErrorKind::NotFound || path.is_absolute() {
        return None;
    }
    let here = env::current_dir().ok()?;
    Some(format!("it was looked for in `{}`", here.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_relative_path_that_leads_nowhere_depends_on_the_directory() {
        let (missing, denied) = (io::ErrorKind::NotFound.into(), io::ErrorKind::PermissionDenied.into());
        let here = env::current_dir().unwrap().display().to_string();
        assert!(looked_for(Path::new("x"), &missing).unwrap().contains(&here));
        assert_eq!(looked_for(Path::new("/x"), &missing), None);
        assert_eq!(looked_for(Path::new("x"), &denied), None);
    }
}
