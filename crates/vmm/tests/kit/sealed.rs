//! The state of a snapshot as somebody has made it up who wants to be believed: with everything around it that makes it whole.

use firebox_vmm::{NoSnapshot, Snapshot};

/// Where what stands: the length of the state, the digest, the state.
pub(crate) const LENGTH: usize = 16;
pub(crate) const DIGEST: usize = 20;
pub(crate) const STATE: usize = 52;

/// Makes bytes whole in which something was changed, or added.
pub(crate) fn seal(bytes: &mut [u8]) {
    let length = (bytes.len() - STATE) as u32;
    bytes[LENGTH..DIGEST].copy_from_slice(&length.to_le_bytes());
    let digest = blake3::Hasher::new().update(&bytes[..DIGEST]).update(&bytes[STATE..]).finalize();
    bytes[DIGEST..STATE].copy_from_slice(digest.as_bytes());
}

/// Whatever the state: it is refused, or is a snapshot that is written down again as it was. Whether it is one.
pub(crate) fn check(state: &[u8]) -> bool {
    let mut bytes = [b"FBXVMSN\n".as_slice(), &2_u32.to_le_bytes(), &62_u32.to_le_bytes(), &[0; 36], state].concat();
    seal(&mut bytes);
    match Snapshot::decode(&bytes) {
        Ok(snapshot) => {
            assert!(snapshot.encode() == bytes, "it means something else");
            true
        }
        Err(NoSnapshot::Nonsense(_)) => false,
        Err(other) => panic!("{other}"),
    }
}
