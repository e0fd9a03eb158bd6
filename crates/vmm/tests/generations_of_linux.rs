//! What Debian's kernels draw by chance in clones of one machine, to which nobody says anything: the one that knows what a generation is draws anew in each, and the
//! one that does not draws the same in both.
//!
//! Where KVM emulates a guest's kernel this is skipped, and says so. The lab (`cargo xtask lab`) is where it always runs.

mod kit;

use std::fs::File;

use firebox_vmm::{Ending, Linux, Machine, MemorySize, Ran, Settings, Stopped, unpack};
use kit::counting::{PAUSE, add_pause_port, paused};
use kit::debian::Debian;
use kit::first_process::FirstProcess;
use kit::frozen::Frozen;
use kit::initramfs::Initramfs;
use kit::{PLENTY, kernel};

/// With what the kernel's generator says of itself.
const COMMAND_LINE: &str = "console=ttyS0 loglevel=6 panic=-1";
const BEFORE: &[u8] = b"drawn: ";
const AFTER: &[u8] = b"that is all";
const DRAWN: u64 = 32;
/// What a kernel says that has heard of another generation.
const HEARD: &str = "crng reseeded due to virtual machine fork";

/// Has the generator begin anew right before the machine is frozen, and draws when it goes on. By itself the generator begins anew when half as much time has passed as
/// since the kernel's start: so that is some seconds ago, and the second that is there for an interrupt to be heard is not enough.
fn initramfs() -> Vec<u8> {
    let first = FirstProcess::new().mount("devtmpfs", "dev").read("dev/random", 1).sleep(6).reseed();
    let first = first.read_port(PAUSE).sleep(1);
    let first = first.say(str::from_utf8(BEFORE).unwrap()).say_file("dev/urandom", DRAWN);
    let first = first.say(str::from_utf8(AFTER).unwrap()).reset();
    Initramfs::default().folder("dev").file("init", &first.program()).bytes()
}

/// What one has said.
struct Said(Vec<u8>);

impl Said {
    fn by(who: &str, stopped: Stopped) -> Said {
        let Ran { ending, log } = stopped.ended().unwrap();
        let said = Said(log.bytes().to_vec());
        assert_eq!(ending, Ending::Reset, "{who}: {}", said.text());
        said
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// As the console shows it: what the same bytes look like is the same.
    fn drawn(&self) -> &[u8] {
        let find = |what: &[u8]| self.0.windows(what.len()).position(|window| window == what);
        let (Some(begins), Some(ends)) = (find(BEFORE), find(AFTER)) else {
            panic!("it has drawn nothing: {}", self.text())
        };
        let drawn = &self.0[begins + BEFORE.len()..ends];
        assert!(DRAWN as usize <= drawn.len(), "{drawn:x?}");
        drawn
    }

    fn has_heard(&self) -> bool {
        self.text().contains(HEARD)
    }
}

/// The original and two clones, of a machine that boots this kernel.
fn frozen_and_gone_on(test: &str, kernel: impl FnOnce() -> Option<File>) -> Option<[Said; 3]> {
    let hypervisor = kit::hypervisor_at_speed(test)?;
    let kernel = kernel()?;
    let settings = Settings { memory: MemorySize::mib(256).unwrap(), cpus: 1 };
    let mut machine = Machine::new(&hypervisor, settings).unwrap();
    add_pause_port(&mut machine);
    let initramfs = Some(kernel::file(&initramfs()));
    let start = machine.load_linux(Linux { kernel, command_line: COMMAND_LINE, initramfs }).unwrap();
    let original = paused(machine.run(&start, PLENTY).unwrap());
    let frozen = Frozen::of(&hypervisor, &original);
    let clones = ["the first clone", "the second clone"].map(|who| {
        let prepared = frozen.prepare(&hypervisor);
        Said::by(who, prepared.go(PLENTY).unwrap())
    });
    let [one, other] = clones;
    Some([Said::by("the original", original.resume(PLENTY).unwrap()), one, other])
}

#[test]
fn a_kernel_that_knows_generations_draws_anew_in_each_clone() {
    const NAME: &str = "a_kernel_that_knows_generations_draws_anew_in_each_clone";
    let Some([original, one, other]) = frozen_and_gone_on(NAME, || {
        // Packed in a way that we do not unpack, so it does that itself.
        Some(kernel::file(&Debian::find_generic(NAME)?.kernel))
    }) else {
        return;
    };
    assert!(one.has_heard() && other.has_heard() && !original.has_heard(), "{}\n{}", one.text(), original.text());
    assert_ne!(one.drawn(), other.drawn());
    assert_ne!(one.drawn(), original.drawn());
    assert_ne!(other.drawn(), original.drawn());
}

/// That shows that the other test can fail; and why a clone is called besides.
#[test]
fn a_kernel_that_does_not_draws_the_same_in_both() {
    const NAME: &str = "a_kernel_that_does_not_draws_the_same_in_both";
    let kernel = || Some(kernel::file(&unpack(&Debian::find(NAME)?.kernel).unwrap()));
    let Some([_, one, other]) = frozen_and_gone_on(NAME, kernel) else { return };
    assert!(!one.has_heard() && !other.has_heard(), "{}", one.text());
    // For the original time has passed, so that its generator has begun anew by itself.
    assert_eq!(one.drawn(), other.drawn());
}
