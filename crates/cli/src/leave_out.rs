//! A firebox for tests, which leaves out the one layer that `FIREBOX_LEAVE_OUT` names: see `tests/layers.rs`.
//!
//! Without some layers nothing but others would stand between a job, or a kill of everyone, and the machine. So such a
//! firebox does not start in the host's first PID namespace, where everyone is the machine: what tests start stands in a
//! namespace of the tests' own, and with that ends whatever was let loose.

#[cfg(not(debug_assertions))]
compile_error!("the feature `leave-out` is for tests and takes protection away: it is part of no release");

use std::env;
use std::path::Path;

use firebox_confine::{Layer, leave_out};

use crate::failure::Failure;
use crate::outlet;

/// What names the layer.
const VARIABLE: &str = "FIREBOX_LEAVE_OUT";

/// What the kernel calls the PID namespace that it boots with.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Why nothing is left out, although that was asked for.
#[derive(Debug, thiserror::Error)]
enum LeaveOutError {
    /// There is no such layer.
    #[error("there is no layer `{name}` to leave out; there are {}", names().join(", "))]
    Unknown { name: String },
    /// It could reach the whole machine.
    #[error("without `{0}` firebox does not start here: every process of the machine could be reached")]
    Uncontained(Layer),
}

/// Says loudly what kind of firebox this is, and leaves out what the environment names.
pub(crate) fn by_environment() -> Result<(), Failure> {
    let Some(name) = env::var_os(VARIABLE) else {
        outlet::remark("firebox: THIS IS A BUILD FOR TESTS, which can be told to leave layers out; do not use it\n");
        return Ok(());
    };
    let layer = leave_out::layer_named(name.as_encoded_bytes())
        .ok_or_else(|| LeaveOutError::Unknown { name: name.to_string_lossy().into_owned() })
        .map_err(Failure::request)?;
    if !is_contained() {
        return Err(Failure::request(LeaveOutError::Uncontained(layer))
            .with_help("start it through `unshare --pid --fork --mount-proc --kill-child`, as tests do"));
    }
    leave_out::leave_out(layer);
    outlet::remark(&format!("firebox: THIS IS A BUILD FOR TESTS, and it LEAVES OUT `{layer}`; do not use it\n"));
    Ok(())
}

/// Whether there is a PID namespace around us that is not the machine's.
fn is_contained() -> bool {
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|namespace| namespace != Path::new(FIRST_PID_NAMESPACE))
}

fn names() -> Vec<&'static str> {
    Layer::ALL.map(Layer::name).to_vec()
}
