//! Giving up every capability, and the ways back to one.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, capabilities_secure_bits,
    capability_is_in_bounding_set, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_capabilities_secure_bits,
};

use crate::error::{ConfineError, Failure};
use crate::layer::Layer;

/// What became of the bounding set, the list of capabilities that an `execve` could ever give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundingSet {
    /// It is empty, and the special treatment of user 0 is locked off.
    Emptied,
    /// CAP_SETPCAP was missing, so it stays as inherited. [`forbid_new_privileges`](crate::forbid_new_privileges)
    /// bars the same way.
    Inherited,
}

/// Empties the effective, permitted, inheritable and ambient sets, and the bounding set where that is permitted.
///
/// Works for root, for the first process of a user namespace (which has them all) and for a user who has none.
pub fn drop_capabilities() -> Result<BoundingSet, ConfineError> {
    if Layer::Capabilities.is_left_out() {
        return Ok(BoundingSet::Inherited);
    }
    let refused = ConfineError::refused(Layer::Capabilities);
    // The bounding set first: emptying it needs CAP_SETPCAP, which is among those that go.
    let bounding_set = empty_bounding_set().map_err(&refused)?;
    clear_ambient_capability_set().map_err(&refused)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).map_err(&refused)?;

    let CapabilitySets { effective, permitted, inheritable } = capabilities(None).map_err(&refused)?;
    match (effective | permitted | inheritable).is_empty() {
        true => Ok(bounding_set),
        false => Err(ConfineError::new(Layer::Capabilities, Failure::NotKept)),
    }
}

fn empty_bounding_set() -> Result<BoundingSet, Errno> {
    match lock_secure_bits() {
        Err(Errno::PERM) => return Ok(BoundingSet::Inherited),
        other => other?,
    }
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        match capability_is_in_bounding_set(capability) {
            Ok(true) => remove_capability_from_bounding_set(capability)?,
            Ok(false) => {}
            // Past the last capability of this kernel.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(BoundingSet::Emptied)
}

/// User 0 gets nothing for being user 0, neither by `execve` nor by changing its id, and this stays so.
fn lock_secure_bits() -> Result<(), Errno> {
    let locked = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    // Already so when we were started confined; setting it again would need CAP_SETPCAP.
    if capabilities_secure_bits()? == locked { Ok(()) } else { set_capabilities_secure_bits(locked) }
}
