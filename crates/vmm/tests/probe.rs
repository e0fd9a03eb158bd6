//! What the probe says of this host is what this host is.

use firebox_vmm::{NoKvm, Probe, probe};

#[test]
fn kvm_is_missing_exactly_where_it_cannot_be_opened() {
    let opened = std::fs::File::options().read(true).write(true).open("/dev/kvm");
    match (probe(), opened) {
        (Probe::No(NoKvm::Missing), Err(error)) => assert_ne!(error.kind(), std::io::ErrorKind::PermissionDenied),
        (Probe::No(NoKvm::Forbidden), Err(error)) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
        (Probe::Usable(speed), Ok(_)) => assert!(speed.kernel.as_nanos() < 150, "{speed:?}"),
        // A loop of two instructions cannot take a second of host time each; and something took its time.
        (Probe::Emulated(speed), Ok(_)) => {
            assert!((150..1_000_000_000).contains(&speed.kernel.max(speed.program).as_nanos()))
        }
        (said, opened) => panic!("{said:?}, and opening it gives {opened:?}"),
    }
}
