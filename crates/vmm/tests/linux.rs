//! Linux in a machine: how it is told what it was started with, and how far Debian's comes where KVM emulates each of its instructions.

mod kit;

use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firebox_vmm::virtio::Entropy;
use firebox_vmm::{BusDevice, Ending, Go, Linux, Machine, MemorySize, Ran, Settings, WORDS, unpack};
use kit::debian::Debian;
use kit::kernel::{elf, file};
use kit::{Assembler, PLENTY};

fn machine(test: &str, mib: u64, cpus: u8) -> Option<Machine> {
    let hypervisor = kit::hypervisor(test)?;
    Some(Machine::new(&hypervisor, Settings { memory: MemorySize::mib(mib).unwrap(), cpus }).unwrap())
}

fn said(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.log.bytes()).into_owned()
}

/// A kernel that says its command line, which it finds by the zero page in `rsi`, and resets.
fn kernel_that_says_its_command_line() -> Assembler {
    // mov edx, 0x3F8; mov ebx, [rsi + 0x228]
    let code = Assembler::new().raw(&[0xBA, 0xF8, 3, 0, 0, 0x8B, 0x9E, 0x28, 2, 0, 0]);
    // mov al, [rbx]; test al, al; jz over the rest; out dx, al; inc ebx; jmp to the mov
    code.raw(&[0x8A, 0x03, 0x84, 0xC0, 0x74, 5, 0xEE, 0xFF, 0xC3, 0xEB, 0xF5]).reset().spin()
}

/// In a bzImage with one sector of set-up, at its 64-bit entry.
fn bzimage(code: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 1024 + 0x200];
    bytes[0x1F1] = 1;
    bytes[0x202..0x208].copy_from_slice(b"HdrS\x0F\x02");
    (bytes[0x211], bytes[0x236]) = (1, 1);
    bytes.extend_from_slice(code);
    bytes
}

/// Where the kernel of a few instructions wants to be.
const PLACE: u64 = 2 << 20;

#[test]
fn a_kernel_of_either_kind_begins_and_finds_its_command_line() {
    const NAME: &str = "a_kernel_of_either_kind_begins_and_finds_its_command_line";
    let code = kernel_that_says_its_command_line();
    for kernel in [bzimage(code.code()), elf(PLACE, code.code())] {
        let Some(mut machine) = machine(NAME, 4, 1) else { return };
        let linux = Linux { kernel: file(&kernel), command_line: "quiet panic=-1", initramfs: None };
        let start = machine.load_linux(linux).unwrap();
        let ran = machine.run(&start, PLENTY).unwrap().ended().unwrap();
        assert_eq!((ran.ending, said(&ran).as_str()), (Ending::Reset, format!("{WORDS} quiet panic=-1").as_str()));
    }
}

#[test]
fn a_kernel_that_begins_anew_by_the_bios_has_asked_for_a_reset() {
    const NAME: &str = "a_kernel_that_begins_anew_by_the_bios_has_asked_for_a_reset";
    // mov eax, 0xFFFF0; jmp rax
    let code = Assembler::new().raw(&[0xB8, 0xF0, 0xFF, 0x0F, 0, 0xFF, 0xE0]).spin();
    let Some(mut machine) = machine(NAME, 4, 1) else { return };
    let linux = Linux { kernel: file(&elf(PLACE, code.code())), command_line: "", initramfs: None };
    let start = machine.load_linux(linux).unwrap();
    assert_eq!(machine.run(&start, PLENTY).unwrap().ended().unwrap().ending, Ending::Reset);
}

/// A second serial port, which ends the machine when it has heard what it waits for.
struct Listener {
    heard: Vec<u8>,
    until: &'static str,
}

impl Listener {
    const PORTS: Range<u64> = 0x2F8..0x300;
    const DATA: u64 = 0;
    const LINE_STATUS: u64 = 5;
    /// There is room for more, and nothing is under way.
    const IDLE: u8 = 0x60;
}

impl BusDevice for Listener {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(if offset == Listener::LINE_STATUS { Listener::IDLE } else { 0 });
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Go {
        if offset == Listener::DATA {
            self.heard.extend_from_slice(data);
        }
        let has_it = self.heard.ends_with(self.until.as_bytes());
        if has_it { ControlFlow::Break(Ending::PoweredOff) } else { ControlFlow::Continue(()) }
    }
}

/// A kernel emulated instruction by instruction takes some ten seconds to where this ends, and would take minutes to user space, if
/// the emulation knew all of its instructions.
#[test]
fn debians_kernel_finds_its_command_line_its_memory_and_the_tables() {
    const NAME: &str = "debians_kernel_finds_its_command_line_its_memory_and_the_tables";
    const COMMAND_LINE: &str = "earlyprintk=serial,ttyS0,115200 earlycon=uart8250,io,0x2f8 for=firebox";
    let Some(mut machine) = machine(NAME, 128, 2) else { return };
    let Some(debian) = Debian::find(NAME) else { return };
    let kernel = unpack(&debian.kernel).unwrap_or_else(|error| panic!("{error}"));
    machine.add_virtio(Box::new(Entropy)).unwrap();
    let listener = Listener { heard: Vec::new(), until: "Booting paravirtualized kernel on KVM" };
    machine.add_ports(Listener::PORTS, Arc::new(Mutex::new(listener))).unwrap();
    let initramfs = Some(file(&[0; 0x1800]));
    let linux = Linux { kernel: file(&kernel), command_line: COMMAND_LINE, initramfs };
    let start = machine.load_linux(linux).unwrap();

    let ran = machine.run(&start, Duration::from_secs(300)).unwrap().ended().unwrap();

    let said = said(&ran);
    assert_eq!(ran.ending, Ending::PoweredOff, "{said}");
    for line in [
        "Linux version ",
        &format!("Command line: {WORDS} {COMMAND_LINE}"),
        "BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable",
        "BIOS-e820: [mem 0x00000000000e0000-0x00000000000eefff] ACPI data",
        "BIOS-e820: [mem 0x00000000000ef000-0x00000000000fffff] reserved",
        "BIOS-e820: [mem 0x0000000000100000-0x0000000007ffffff] usable",
        "Hypervisor detected: KVM",
        "RAMDISK: [mem 0x07ffe000-0x07ffffff]",
        "ACPI: RSDP 0x00000000000E0000 ",
        "ACPI: XSDT ",
        "ACPI: FACP ",
        "ACPI: DSDT ",
        "ACPI: APIC ",
        "IOAPIC[0]: apic_id 0, version 17, address 0xfec00000, GSI 0-23",
        "ACPI: Using ACPI (MADT) for SMP configuration information",
        "smpboot: Allowing 2 CPUs, 0 hotplug CPUs",
    ] {
        assert!(said.contains(line), "it has not said `{line}`, but:\n{said}");
    }
    // What Linux says of tables that it finds fault with.
    assert!(!said.contains("ACPI BIOS") && !said.contains("ACPI Error"), "{said}");
}
