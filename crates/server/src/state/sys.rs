//! SQLite's own way to files, but for one thing: a path is used as it was given.
//!
//! SQLite resolves every link in a path before it opens anything. The path of a descriptor (`/proc/self/fd/N`) is such a link,
//! and where it leads only root could go.

#![expect(unsafe_code, reason = "SQLite is asked for its own functions, and given one of ours")]

use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi;

/// What the way is called.
pub(super) const AS_GIVEN: &CStr = c"firebox";

/// Makes it known to SQLite, once for this process. False if SQLite has no way to files at all.
pub(super) fn register() -> bool {
    static DONE: OnceLock<bool> = OnceLock::new();
    *DONE.get_or_init(|| {
        // SAFETY: a null name asks for the default one, which lives as long as the process; null comes back if there is none.
        let default = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        // SAFETY: it is null or points to a whole structure that nobody changes but under SQLite's lock, and only its link
        // to the next one, which is not used from the copy.
        let Some(default) = (unsafe { default.as_ref() }) else { return false };
        let ours = ffi::sqlite3_vfs {
            zName: AS_GIVEN.as_ptr(),
            xFullPathname: Some(as_given),
            pNext: ptr::null_mut(),
            ..*default
        };
        let ours = Box::leak(Box::new(ours));
        // SAFETY: it is whole, is never freed, and its functions but one are those of the default with the default's data.
        unsafe { ffi::sqlite3_vfs_register(ours, 0) == ffi::SQLITE_OK }
    })
}

/// The path as it is.
unsafe extern "C" fn as_given(_: *mut ffi::sqlite3_vfs, path: *const c_char, room: c_int, out: *mut c_char) -> c_int {
    // SAFETY: SQLite gives a text that ends with a NUL.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes_with_nul();
    if usize::try_from(room).is_ok_and(|room| path.len() <= room) {
        // SAFETY: so many bytes are there by the line above, and the two are SQLite's and do not overlap.
        unsafe { ptr::copy_nonoverlapping(path.as_ptr().cast(), out, path.len()) };
        ffi::SQLITE_OK
    } else {
        ffi::SQLITE_CANTOPEN
    }
}
