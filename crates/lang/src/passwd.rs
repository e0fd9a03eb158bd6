//! The home directory of whoever called us, when their environment does not say it.
//!
//! Read from `/etc/passwd` itself: what else a C library would ask (LDAP, a daemon) is code that runs with our rights.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The user's home directory, if `/etc/passwd` knows it.
pub(crate) fn home_of_user() -> Option<PathBuf> {
    home_in(&fs::read("/etc/passwd").ok()?, rustix::process::getuid().as_raw())
}

/// The home directory of a user id: the sixth field, of seven, of the first line that has it in the third. See
/// passwd(5).
fn home_in(passwd: &[u8], uid: u32) -> Option<PathBuf> {
    passwd.split(|&byte| byte == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b':').collect();
        let [_, _, number, _, _, home, _] = fields.as_slice() else { return None };
        let number: u32 = std::str::from_utf8(number).ok()?.parse().ok()?;
        let home = PathBuf::from(OsString::from_vec(home.to_vec()));
        (number == uid && home.is_absolute()).then_some(home)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_directory_is_that_of_the_user_id() {
        let passwd =
            b"# people\nroot:x:0:0:root:/root:/bin/sh\nbroken:x:7\n+::::::\nann:x:1000:100:Ann,,:/users/ann:\n\
            second:x:1000:100::/users/second:/bin/sh\nnowhere:x:8:8:::/bin/sh\nbytes:x:9:9::/\xff:/bin/sh";
        let home = |uid| home_in(passwd, uid).map(|home| home.into_os_string().into_vec());
        for (uid, expected) in [
            (0, Some(&b"/root"[..])),
            (1000, Some(b"/users/ann")),
            (9, Some(b"/\xff")),
            (7, None),
            (8, None),
            (10, None),
        ] {
            assert_eq!(home(uid).as_deref(), expected, "{uid}");
        }
    }
}
