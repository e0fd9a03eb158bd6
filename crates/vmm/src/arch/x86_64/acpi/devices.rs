//! The devices as byte code: for each its name, its kind, its place and its interrupt, and which sleep the power is taken away by. Besides: where the
//! identifier of the machine's generation is, and what is done at the interrupt that says there is another one.

use acpi_tables::Aml;
use acpi_tables::aml::{
    Device, EISAName, IO, Interrupt, Memory32Fixed, Method, Name, Notify, Package, Path, ResourceTemplate, Scope,
};

use super::layout;

/// What a virtio device over registers in memory is called.
const VIRTIO: &str = "LNRO0005";
/// A serial port like the first PC's.
const SERIAL: &str = "PNP0501";
/// What the identifier of a generation is called by its specification, and the name that each maker has to have for its own.
const GENERATION: &str = "VM_Gen_Counter";
const OUR_GENERATION: &str = "FBOX0001";
/// Something that has byte code run at an interrupt: for machines without the registers for events of old.
const EVENTS: &str = "ACPI0013";
/// What a device is told that has changed.
const CHANGED: u8 = 0x80;

/// Of a machine with so many virtio devices.
pub(super) fn byte_code(devices: u32) -> Vec<u8> {
    let mut code = Vec::new();
    // Entering sleep 5 takes the power away.
    let sleep = layout::POWER_OFF_SLEEP;
    Name::new("_S5_".into(), &Package::new(vec![&sleep])).to_aml_bytes(&mut code);
    let mut found = vec![serial(), generation(), events()];
    found.extend((0..devices).map(virtio));
    Scope::new("_SB_".into(), found.iter().map(|device| device as &dyn Aml).collect()).to_aml_bytes(&mut code);
    code
}

/// Byte code that stands for itself.
struct Code(Vec<u8>);

impl Aml for Code {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        sink.vec(&self.0);
    }
}

fn serial() -> Code {
    let start = layout::SERIAL.start as u16;
    let length = layout::SERIAL.end.saturating_sub(layout::SERIAL.start) as u8;
    let ports = IO::new(start, start, 1, length);
    device("COM1", &EISAName::new(SERIAL), 0, &[&ports, &interrupt(layout::SERIAL_INTERRUPT)])
}

/// Where the identifier is, as two halves of an address.
fn generation() -> Code {
    let (low, high) = (layout::GENERATION as u32, (layout::GENERATION >> 32) as u32);
    let place = Package::new(vec![&low, &high]);
    let parts = [
        Name::new("_HID".into(), &OUR_GENERATION),
        Name::new("_CID".into(), &GENERATION),
        Name::new("_DDN".into(), &GENERATION),
        Name::new("ADDR".into(), &place),
    ];
    coded(&Device::new("VGEN".into(), parts.iter().map(|part| part as &dyn Aml).collect()))
}

/// One interrupt, and what is done when it is raised.
fn events() -> Code {
    let interrupt = interrupt(layout::GENERATION_INTERRUPT);
    let resources = ResourceTemplate::new(vec![&interrupt]);
    let (kind, number) = (Name::new("_HID".into(), &EVENTS), Name::new("_UID".into(), &0_u8));
    let interrupts = Name::new("_CRS".into(), &resources);
    let generation = Path::new("\\_SB_.VGEN");
    let tell = Notify::new(&generation, &CHANGED);
    // It is told which interrupt, of which there is one.
    let event = Method::new("_EVT".into(), 1, true, vec![&tell]);
    coded(&Device::new("GED_".into(), vec![&kind, &number, &interrupts, &event]))
}

fn virtio(number: u32) -> Code {
    let window = layout::virtio_window(number);
    let registers = Memory32Fixed::new(true, window.start as u32, layout::VIRTIO_WINDOW as u32);
    let interrupt = interrupt(layout::VIRTIO_INTERRUPT.saturating_add(number));
    device(&format!("V{number:03}"), &VIRTIO, number, &[&registers, &interrupt])
}

fn device(name: &str, kind: &dyn Aml, number: u32, resources: &[&dyn Aml]) -> Code {
    let resources = ResourceTemplate::new(resources.to_vec());
    let parts = [
        Name::new("_HID".into(), kind),
        Name::new("_UID".into(), &number),
        // Who writes to its memory need not tell anyone's cache.
        Name::new("_CCA".into(), &1_u8),
        Name::new("_CRS".into(), &resources),
    ];
    coded(&Device::new(name.into(), parts.iter().map(|part| part as &dyn Aml).collect()))
}

fn coded(it: &dyn Aml) -> Code {
    let mut code = Vec::new();
    it.to_aml_bytes(&mut code);
    Code(code)
}

/// Consumed by this device alone, and raised for a moment: nobody has to lower it.
fn interrupt(number: u32) -> Interrupt {
    let (consumed, edge, active_low, shared) = (true, true, false, false);
    Interrupt::new(consumed, edge, active_low, shared, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length as byte code has it: with what comes first in itself, and how many bytes it takes.
    fn length(code: &[u8]) -> (usize, usize) {
        let more = usize::from(code[0] >> 6);
        let rest = (0..more).map(|place| usize::from(code[1 + place]) << (4 + 8 * place)).sum::<usize>();
        let first = usize::from(code[0]) & if more == 0 { 0x3F } else { 0xF };
        (first + rest, 1 + more)
    }

    /// What stands between these bytes, a length and a name, and the end that length tells; and what comes after it.
    fn package<'a>(code: &'a [u8], begins: &[u8]) -> (String, &'a [u8], &'a [u8]) {
        let code = code.strip_prefix(begins).unwrap();
        let (length, bytes) = length(code);
        let (package, after) = code.split_at(length);
        let (name, within) = package[bytes..].split_at(4);
        (String::from_utf8(name.to_vec()).unwrap(), within, after)
    }

    /// The devices of a machine, by name, with what is said of each.
    fn devices(count: u32) -> Vec<(String, Vec<u8>)> {
        let code = byte_code(count);
        // A name, `_S5_`, for a package of one element, 5.
        let scope = code.strip_prefix(b"\x08_S5_\x12\x04\x01\x0A\x05").unwrap();
        let (name, mut within, after) = package(scope, &[0x10]);
        assert_eq!((name.as_str(), after), ("_SB_", [].as_slice()));
        let mut found = Vec::new();
        while !within.is_empty() {
            let (name, said, after) = package(within, &[0x5B, 0x82]);
            found.push((name, said.to_vec()));
            within = after;
        }
        found
    }

    fn has(said: &[u8], what: &[u8]) -> bool {
        said.windows(what.len()).any(|window| window == what)
    }

    #[test]
    fn there_are_as_many_devices_as_there_are() {
        for count in [0, 1, 9, 18] {
            let names = devices(count).into_iter().map(|(name, _)| name);
            let always = ["COM1", "VGEN", "GED_"].map(str::to_owned);
            let expected = always.into_iter().chain((0..count).map(|number| format!("V{number:03}")));
            assert!(names.eq(expected), "{count}");
        }
    }

    #[test]
    fn a_virtio_device_is_where_its_window_is() {
        let found = devices(3);
        let (name, said) = &found[5];
        assert!(name == "V002" && has(said, b"\x08_HID\x0DLNRO0005\0") && has(said, b"\x08_UID\x0A\x02"), "{said:x?}");
        // 4 KiB at 0xD0002000, to be read and written; interrupt 8, and the end.
        let resources = [0x86, 9, 0, 1, 0, 0x20, 0, 0xD0, 0, 0x10, 0, 0, 0x89, 6, 0, 3, 1, 8, 0, 0, 0, 0x79, 0];
        assert!(said.ends_with(&resources), "{said:x?}");
    }

    #[test]
    fn the_serial_port_is_where_it_has_always_been() {
        let found = devices(0);
        let (_, said) = &found[0];
        let resources = [0x47, 1, 0xF8, 3, 0xF8, 3, 1, 8, 0x89, 6, 0, 3, 1, 4, 0, 0, 0, 0x79, 0];
        // PNP0501, as letters of 5 bits and digits of 4.
        assert!(has(said, b"\x08_HID\x0C\x41\xD0\x05\x01") && said.ends_with(&resources), "{said:x?}");
    }

    #[test]
    fn the_identifier_of_a_generation_is_where_it_is_written_and_is_told_of_at_its_interrupt() {
        let found = devices(2);
        let (name, said) = &found[1];
        assert!(name == "VGEN" && has(said, b"\x08_CID\x0DVM_Gen_Counter\0"), "{said:x?}");
        // Two numbers: 0xEF000, and 0.
        assert!(said.ends_with(b"\x08ADDR\x12\x08\x02\x0C\x00\xF0\x0E\x00\x00"), "{said:x?}");
        let (name, said) = &found[2];
        // Interrupt 5, at an edge, and it is high.
        let interrupt = [0x89, 6, 0, 3, 1, 5, 0, 0, 0, 0x79, 0];
        assert!(name == "GED_" && has(said, b"\x08_HID\x0DACPI0013\0") && has(said, &interrupt), "{said:x?}");
        // A method of one argument, one at a time: `Notify(\_SB.VGEN, 0x80)`.
        assert!(said.ends_with(b"\x14\x13_EVT\x09\x86\\\x2E_SB_VGEN\x0A\x80"), "{said:x?}");
    }
}
