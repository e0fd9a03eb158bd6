//! What KVM is worth on this host. A microVM takes a kernel and an image as well, so none is made to be tried.

use std::time::Duration;

use firebox_job::CellKind;
use firebox_vmm::{NoKvm, Probe, Speed};

use super::finding::Examined;

const FIRST: &str = "`firebox kernel fetch`, and `firebox rootfs from-docker` for the language's image; then `firebox run \
    --isolation microvm`";
const ELSEWHERE: &str = "use bare metal, or a virtual machine whose provider offers nested virtualization by hardware; \
    else `--isolation jail`";
const GET_IT: &str = "switch virtualization on in the firmware and load the module, `modprobe kvm_intel` or `modprobe \
    kvm_amd`; in a virtual machine, have its provider switch nested virtualization on; in a container, `--device /dev/kvm`";
const GET_IN: &str = "let this user in: `sudo usermod -aG kvm \"$USER\"` and log in again, if `ls -l /dev/kvm` shows \
    the group `kvm`";
const NEWER: &str = "use a kernel that has all of KVM, as those of distributions have";

/// Runs a guest of a few instructions, and says what came of it.
pub(super) fn examine() -> Examined {
    told(&firebox_vmm::probe())
}

fn told(probe: &Probe) -> Examined {
    let (why, change) = match probe {
        Probe::Usable(speed) => {
            let why = format!(
                "KVM runs guests well here ({}); a microVM takes a kernel and an image, and is made where it is asked for",
                in_words(speed)
            );
            return Examined::untried(CellKind::MicroVm, why, FIRST);
        }
        Probe::Emulated(speed) => (
            format!("KVM is there but emulated, and a guest's kernel would boot for minutes ({})", in_words(speed)),
            ELSEWHERE,
        ),
        Probe::No(none) => (none.to_string(), of_none(none)),
        Probe::Broken(failed) => (format!("KVM is there but does not work: {failed}"), ELSEWHERE),
    };
    Examined::missing(CellKind::MicroVm, why, change)
}

/// What to do where KVM is emulated or does not work.
pub(crate) fn elsewhere() -> &'static str {
    ELSEWHERE
}

/// What to do about it.
pub(crate) fn of_none(none: &NoKvm) -> &'static str {
    match none {
        NoKvm::Missing => GET_IT,
        NoKvm::Forbidden => GET_IN,
        NoKvm::Version(_) | NoKvm::Lacks(_) => NEWER,
        NoKvm::Unopened(_) => ELSEWHERE,
    }
}

fn in_words(speed: &Speed) -> String {
    let ns = |each: Duration| match each.as_nanos() {
        0 => "less than 1".to_owned(),
        some => some.to_string(),
    };
    format!("{} ns for an instruction of a kernel, {} ns for one of a program", ns(speed.kernel), ns(speed.program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_of_kvm_has_words_and_a_way_of_its_own() {
        let speed =
            |kernel, program| Speed { kernel: Duration::from_nanos(kernel), program: Duration::from_nanos(program) };
        let unopened = || std::io::Error::from_raw_os_error(24);
        for (probe, why, change) in [
            (Probe::Usable(speed(1, 0)), "well here (1 ns for an instruction of a kernel, less than 1 ns", FIRST),
            (
                Probe::Emulated(speed(500, 1)),
                "emulated, and a guest's kernel would boot for minutes (500 ns",
                ELSEWHERE,
            ),
            (Probe::No(NoKvm::Missing), "this host has no /dev/kvm", GET_IT),
            (Probe::No(NoKvm::Forbidden), "may not open it", GET_IN),
            (Probe::No(NoKvm::Lacks("CPUID")), "KVM lacks CPUID", NEWER),
            (Probe::No(NoKvm::Version(11)), "11", NEWER),
            (Probe::No(NoKvm::Unopened(unopened())), "cannot open /dev/kvm: Too many open files", ELSEWHERE),
        ] {
            let told = told(&probe);
            assert!(told.why.as_deref().is_some_and(|said| said.contains(why)), "{:?} lacks {why}", told.why);
            assert_eq!(told.change.as_deref(), Some(change), "{:?}", told.why);
            assert_eq!(told.available, matches!(probe, Probe::Usable(_)), "{:?}", told.why);
        }
    }
}
