//! Not handing descriptors on to the program that this process becomes.

use crate::error::ConfineError;
use crate::layer::Layer;
use crate::sys;

/// Lets the next `execve` close every descriptor from `first` up; until then all stay open and owned.
///
/// For a launcher about to become another program: what that program inherits by accident is a way out.
pub fn forget_descriptors_from(first: u32) -> Result<(), ConfineError> {
    if Layer::Descriptors.is_left_out() {
        return Ok(());
    }
    sys::close_on_exec_from(first).map_err(ConfineError::refused(Layer::Descriptors))
}
