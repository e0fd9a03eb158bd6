//! An assembler for guests of a few instructions, in 64-bit mode. Each method is one thing to do; what it clobbers it says.

use firebox_vmm::layout;

/// Instructions, as bytes.
#[derive(Default)]
pub(crate) struct Assembler(Vec<u8>);

/// Where an instruction leaves what it has found.
#[derive(Clone, Copy)]
pub(crate) enum Register {
    Eax,
    Ebx,
    Ecx,
    Edx,
}

/// A place in the program, to jump back to.
#[derive(Clone, Copy)]
pub(crate) struct Label(usize);

impl Assembler {
    /// Where the second processor begins, in real mode.
    pub(crate) const REAL_MODE: u64 = 0x1_0000;

    /// Wakes the second processor.
    pub(crate) fn wake_the_second(self) -> Self {
        const COMMAND: u64 = 0xFEE0_0300;
        const INIT: u32 = 0x4500;
        const START: u32 = 0x4600;
        let code = self.store32(COMMAND + 0x10, 1 << 24).store32(COMMAND, INIT);
        code.store32(COMMAND + 0x10, 1 << 24).store32(COMMAND, START | (Self::REAL_MODE >> 12) as u32)
    }

    pub(crate) fn new() -> Assembler {
        Assembler::default()
    }

    pub(crate) fn code(&self) -> &[u8] {
        &self.0
    }

    /// The address of the next instruction.
    pub(crate) fn here(&self) -> u64 {
        layout::PROGRAM + self.0.len() as u64
    }

    pub(crate) fn label(&self) -> Label {
        Label(self.0.len())
    }

    /// Whatever bytes.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// `mov edx, port; mov al, value; out dx, al`
    pub(crate) fn out8(self, port: u64, value: u8) -> Self {
        self.set_edx(port as u32).raw(&[0xB0, value, 0xEE])
    }

    /// `mov edx, port; mov eax, value; out dx, eax`
    pub(crate) fn out32(self, port: u64, value: u32) -> Self {
        self.set_edx(port as u32).raw(&[0xB8]).raw(&value.to_le_bytes()).raw(&[0xEF])
    }

    /// `mov edx, port; in al, dx`
    pub(crate) fn in8(self, port: u64) -> Self {
        self.set_edx(port as u32).raw(&[0xEC])
    }

    /// What is said on the serial port.
    pub(crate) fn say(self, text: &str) -> Self {
        text.bytes().fold(self, |code, byte| code.out8(layout::SERIAL.start, byte))
    }

    /// Its four bytes on the serial port, the least first. Clobbers edx.
    pub(crate) fn say_eax(self) -> Self {
        (0..4).fold(self.set_edx(layout::SERIAL.start as u32), |code, _| code.raw(&[0xEE, 0xC1, 0xE8, 8])) // out dx, al; shr eax, 8
    }

    /// What `cpuid` leaves there, on the serial port. Clobbers what `cpuid` does.
    pub(crate) fn say_cpuid(self, leaf: u32, register: Register) -> Self {
        let asked = self.raw(&[0xB8]).raw(&leaf.to_le_bytes()).raw(&[0x31, 0xC9, 0x0F, 0xA2]); // mov eax, leaf; xor ecx, ecx; cpuid
        let to_eax: &[u8] = match register {
            Register::Eax => &[],
            Register::Ebx => &[0x89, 0xD8],
            Register::Ecx => &[0x89, 0xC8],
            Register::Edx => &[0x89, 0xD0],
        };
        asked.raw(to_eax).say_eax()
    }

    /// The lower half of a model-specific register, on the serial port. Clobbers eax, ecx, edx.
    pub(crate) fn say_model_specific(self, index: u32) -> Self {
        self.raw(&[0xB9]).raw(&index.to_le_bytes()).raw(&[0x0F, 0x32]).say_eax() // mov ecx, index; rdmsr
    }

    /// What is in `al` is said on the serial port.
    pub(crate) fn say_al(self) -> Self {
        self.set_edx(layout::SERIAL.start as u32).raw(&[0xEE])
    }

    /// `mov rbx, address; mov dword [rbx], value`
    pub(crate) fn store32(self, address: u64, value: u32) -> Self {
        self.set_rbx(address).raw(&[0xC7, 0x03]).raw(&value.to_le_bytes())
    }

    /// `mov rbx, address; mov byte [rbx], value`
    pub(crate) fn store8(self, address: u64, value: u8) -> Self {
        self.set_rbx(address).raw(&[0xC6, 0x03, value])
    }

    /// `mov rbx, address; mov eax, [rbx]`
    pub(crate) fn load32(self, address: u64) -> Self {
        self.set_rbx(address).raw(&[0x8B, 0x03])
    }

    /// `mov rbx, address; mov [rbx], eax`
    pub(crate) fn store_eax(self, address: u64) -> Self {
        self.set_rbx(address).raw(&[0x89, 0x03])
    }

    /// `mov rbx, from; mov eax, [rbx]; mov rbx, to; mov [rbx], eax`
    pub(crate) fn copy32(self, from: u64, to: u64) -> Self {
        self.load32(from).store_eax(to)
    }

    /// `lidt [address]`, by way of rbx.
    pub(crate) fn load_interrupt_table(self, address: u64) -> Self {
        self.set_rbx(address).raw(&[0x0F, 0x01, 0x1B])
    }

    /// Notes at one place that it has come here, and goes on when something is noted at the other.
    pub(crate) fn wait_here(self, here: u64, go: u64) -> Self {
        // cmp dword [rbx], 0; je to the comparison
        self.store32(here, 1).set_rbx(go).raw(&[0x83, 0x3B, 0x00, 0x74, 0xFB])
    }

    /// Interrupts off.
    pub(crate) fn no_interrupts(self) -> Self {
        self.raw(&[0xFA])
    }

    /// Interrupts on, and wait for one.
    pub(crate) fn wait_for_interrupt(self) -> Self {
        self.raw(&[0xFB, 0xF4])
    }

    /// `cli; hlt`
    pub(crate) fn stop(self) -> Self {
        self.raw(&[0xFA, 0xF4])
    }

    /// `jmp $`
    pub(crate) fn spin(self) -> Self {
        self.raw(&[0xEB, 0xFE])
    }

    /// `jmp label`, no further than 128 bytes back.
    pub(crate) fn jump_back(self, label: Label) -> Self {
        let distance = i8::try_from(label.0 as i64 - (self.0.len() as i64 + 2)).unwrap();
        self.raw(&[0xEB, distance as u8])
    }

    /// `ud2`, for which there is no handler.
    pub(crate) fn fault(self) -> Self {
        self.raw(&[0x0F, 0x0B])
    }

    /// The command to the keyboard controller.
    pub(crate) fn reset(self) -> Self {
        self.out8(layout::KEYBOARD.start + 4, 0xFE)
    }

    /// `iretq`
    pub(crate) fn return_from_interrupt(self) -> Self {
        self.raw(&[0x48, 0xCF])
    }

    fn set_edx(self, value: u32) -> Self {
        self.raw(&[0xBA]).raw(&value.to_le_bytes())
    }

    fn set_rbx(self, value: u64) -> Self {
        self.raw(&[0x48, 0xBB]).raw(&value.to_le_bytes())
    }
}
