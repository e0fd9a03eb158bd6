//! The system calls that `rustix` does not wrap, each under a safe function that answers the kernel's conditions.
#![expect(unsafe_code, reason = "namespaces, mount attributes and range locks have no safe wrapper elsewhere")]

mod holder;
mod lock;
mod mount;
mod network;
mod process;

use rustix::io::Errno;

pub(crate) use holder::NamespaceHolder;
pub(crate) use lock::{Range, try_lock_range};
pub(crate) use mount::{no_set_user_id, read_only, set_mount_attributes, show_owners_by};
pub(crate) use network::bring_up_loopback;
pub(crate) use process::{
    Cloned, clone_into_pid_namespace, enter_cgroup_namespace, enter_mount_namespace, enter_namespaces,
    enter_user_namespace,
};

/// A result as `rustix` has it.
fn checked(result: Result<usize, syscalls::Errno>) -> Result<usize, Errno> {
    result.map_err(|errno| Errno::from_raw_os_error(errno.into_raw()))
}
