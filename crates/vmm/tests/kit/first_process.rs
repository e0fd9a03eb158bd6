//! The first process of a guest: system calls, one after the other, with no loop, no library and no compiler to make it.
//!
//! One that fails ends the process with the number of the step, from which the kernel panics, and says `exitcode=` and that number; so what a guest
//! reached is in its log.

/// A static program of two segments.
#[derive(Default)]
pub(crate) struct FirstProcess {
    code: Vec<u8>,
    data: Vec<u8>,
    steps: u8,
}

/// An argument of a system call.
#[derive(Clone, Copy)]
enum Value {
    Number(u64),
    /// What the last `open` or `socket` gave.
    Opened,
    /// What the last call gave.
    Result,
    /// What listens. A first argument alone.
    Listener,
}

use Value::{Listener, Number, Opened, Result};

const READ: u32 = 0;
const WRITE: u32 = 1;
const OPEN: u32 = 2;
const CLOSE: u32 = 3;
const CONTROL: u32 = 16;
const SLEEP: u32 = 35;
const SOCKET: u32 = 41;
const CONNECT: u32 = 42;
const ACCEPT: u32 = 43;
const BIND: u32 = 49;
const LISTEN: u32 = 50;
const EXIT: u32 = 60;
const MOUNT: u32 = 165;
const REBOOT: u32 = 169;
const PORTS: u32 = 173;
const LOAD_MODULE: u32 = 313;

/// The console, which every first process has open.
const CONSOLE: Value = Number(1);
const VSOCK: u16 = 40;
const STREAM: u64 = 1;
const HOST: u32 = 2;
/// Has the kernel's generator begin anew.
const RESEED: u64 = 0x5207;
/// Whatever number the guest has.
const ANY: u32 = u32::MAX;

const CODE: u64 = 0x40_0000;
const DATA: u64 = 0x80_0000;
/// Bytes that were read; behind all data.
const BUFFER: u64 = 0x90_0000;
const PAGE: usize = 0x1000;

impl FirstProcess {
    pub(crate) fn new() -> FirstProcess {
        FirstProcess::default()
    }

    pub(crate) fn mount(mut self, filesystem: &str, at: &str) -> Self {
        let (filesystem, at) = (self.text(filesystem), self.text(at));
        self.call(MOUNT, &[filesystem, at, filesystem, Number(0), Number(0)])
    }

    pub(crate) fn load_module(mut self, path: &str) -> Self {
        let nothing = self.text("");
        self.open(path).call(LOAD_MODULE, &[Opened, nothing, Number(0)]).call(CLOSE, &[Opened])
    }

    /// Says it on the console.
    pub(crate) fn say(mut self, text: &str) -> Self {
        let at = self.text(text);
        self.call(WRITE, &[CONSOLE, at, Number(text.len() as u64)])
    }

    /// Says on the console what the file begins with.
    pub(crate) fn say_file(self, path: &str, length: u64) -> Self {
        self.read(path, length).call(WRITE, &[CONSOLE, Number(BUFFER), Result])
    }

    /// Reads the beginning of a file, and that is all.
    pub(crate) fn read(self, path: &str, length: u64) -> Self {
        self.open(path).call(READ, &[Opened, Number(BUFFER), Number(length)])
    }

    /// Calls the host over the wire and says it there, waits for an answer, and says that on the console.
    pub(crate) fn ask_host(mut self, port: u32, text: &str) -> Self {
        let (address, length) = self.address(HOST, port);
        let at = self.text(text);
        self.call(SOCKET, &[Number(VSOCK.into()), Number(STREAM), Number(0)])
            .keep_opened()
            .call(CONNECT, &[Opened, address, length])
            .call(WRITE, &[Opened, at, Number(text.len() as u64)])
            .call(READ, &[Opened, Number(BUFFER), Number(PAGE as u64)])
            .call(WRITE, &[CONSOLE, Number(BUFFER), Result])
    }

    /// Lets the host call. There can be one who listens.
    pub(crate) fn listen(mut self, port: u32) -> Self {
        let (address, length) = self.address(ANY, port);
        self.call(SOCKET, &[Number(VSOCK.into()), Number(STREAM), Number(0)])
            .keep_opened()
            .raw(&[0x4D, 0x89, 0xEE]) // mov r14, r13
            .call(BIND, &[Opened, address, length])
            .call(LISTEN, &[Opened, Number(4)])
    }

    /// Waits until the host has called and said something, says that on the console, and this to the host.
    pub(crate) fn answer_host(mut self, text: &str) -> Self {
        let at = self.text(text);
        self.call(ACCEPT, &[Listener, Number(0), Number(0)])
            .keep_opened()
            .call(READ, &[Opened, Number(BUFFER), Number(PAGE as u64)])
            .call(WRITE, &[CONSOLE, Number(BUFFER), Result])
            .call(WRITE, &[Opened, at, Number(text.len() as u64)])
    }

    /// An address on the wire, and its length.
    fn address(&mut self, number: u32, port: u32) -> (Value, Value) {
        // Its family, two bytes of nothing, port, number, and four bytes of nothing.
        let address = [u32::from(VSOCK), port, number, 0].map(u32::to_le_bytes).concat();
        (self.bytes(&address), Number(address.len() as u64))
    }

    /// Ends the connection to the host.
    pub(crate) fn hang_up(self) -> Self {
        self.call(CLOSE, &[Opened])
    }

    pub(crate) fn sleep(mut self, seconds: u64) -> Self {
        let time = self.bytes(&[seconds, 0].map(u64::to_le_bytes).concat());
        self.call(SLEEP, &[time, Number(0)])
    }

    /// Has the kernel's generator of randomness begin anew, with what it has gathered. It says when it cannot yet.
    pub(crate) fn reseed(self) -> Self {
        self.open("dev/random").call(CONTROL, &[Opened, Number(RESEED)]).call(CLOSE, &[Opened])
    }

    /// Reads a byte from a port, which no process may before it has asked.
    pub(crate) fn read_port(mut self, port: u64) -> Self {
        self = self.call(PORTS, &[Number(port), Number(1), Number(1)]);
        // mov edx, port; in al, dx
        self.raw(&[0xBA]).raw(&(port as u32).to_le_bytes()).raw(&[0xEC])
    }

    /// Starts the machine again, which ends ours.
    pub(crate) fn reset(self) -> Self {
        self.call(REBOOT, &[Number(0xFEE1_DEAD), Number(672_274_793), Number(0x0123_4567)])
    }

    /// As an ELF program.
    pub(crate) fn program(self) -> Vec<u8> {
        const HEADER: u16 = 64;
        const SEGMENT: u16 = 56;
        let data_at = PAGE + self.code.len().next_multiple_of(PAGE);
        let mut elf = b"\x7FELF\x02\x01\x01".to_vec();
        elf.resize(16, 0);
        elf.extend([2_u16, 62].map(u16::to_le_bytes).concat()); // a program, for x86-64
        elf.extend(1_u32.to_le_bytes());
        elf.extend([CODE, HEADER.into(), 0].map(u64::to_le_bytes).concat());
        elf.extend(0_u32.to_le_bytes());
        elf.extend([HEADER, SEGMENT, 2, 64, 0, 0].map(u16::to_le_bytes).concat());
        let beyond_data = (BUFFER - DATA) as usize + PAGE;
        for (at, address, in_file, in_memory, rights) in
            [(PAGE, CODE, self.code.len(), self.code.len(), 5_u32), (data_at, DATA, self.data.len(), beyond_data, 6)]
        {
            elf.extend([1, rights].map(u32::to_le_bytes).concat());
            let fields = [at as u64, address, address, in_file as u64, in_memory as u64, PAGE as u64];
            elf.extend(fields.map(u64::to_le_bytes).concat());
        }
        elf.resize(PAGE, 0);
        elf.extend(self.code);
        elf.resize(data_at, 0);
        elf.extend(self.data);
        elf
    }

    fn open(mut self, path: &str) -> Self {
        let path = self.text(path);
        self.call(OPEN, &[path, Number(0)]).keep_opened()
    }

    /// `mov r12, r13`
    fn keep_opened(self) -> Self {
        self.raw(&[0x4D, 0x89, 0xEC])
    }

    fn call(mut self, number: u32, arguments: &[Value]) -> Self {
        // What is moved to rdi, rsi, rdx, r10 and r8: a number, r12, r13.
        const NUMBER: [[u8; 2]; 5] = [[0x48, 0xBF], [0x48, 0xBE], [0x48, 0xBA], [0x49, 0xBA], [0x49, 0xB8]];
        const OPENED: [[u8; 3]; 5] =
            [[0x4C, 0x89, 0xE7], [0x4C, 0x89, 0xE6], [0x4C, 0x89, 0xE2], [0x4D, 0x89, 0xE2], [0x4D, 0x89, 0xE0]];
        const RESULT: [[u8; 3]; 5] =
            [[0x4C, 0x89, 0xEF], [0x4C, 0x89, 0xEE], [0x4C, 0x89, 0xEA], [0x4D, 0x89, 0xEA], [0x4D, 0x89, 0xE8]];
        for (place, argument) in arguments.iter().enumerate() {
            self = match argument {
                Number(value) => self.raw(&NUMBER[place]).raw(&value.to_le_bytes()),
                Opened => self.raw(&OPENED[place]),
                Result => self.raw(&RESULT[place]),
                Listener => {
                    assert_eq!(place, 0);
                    self.raw(&[0x4C, 0x89, 0xF7]) // mov rdi, r14
                }
            };
        }
        self.steps += 1;
        let step = self.steps;
        // test rax, rax; jns over the two moves and the call; mov edi, step; mov eax, EXIT
        self.system_call(number)
            .raw(&[0x48, 0x85, 0xC0, 0x79, 12, 0xBF, step, 0, 0, 0])
            .system_call(EXIT)
            .raw(&[0x49, 0x89, 0xC5]) // mov r13, rax
    }

    /// `mov eax, number; syscall`
    fn system_call(self, number: u32) -> Self {
        self.raw(&[0xB8]).raw(&number.to_le_bytes()).raw(&[0x0F, 0x05])
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.code.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, text: &str) -> Value {
        self.bytes(&[text.as_bytes(), &[0]].concat())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Value {
        let at = DATA + self.data.len() as u64;
        self.data.extend_from_slice(bytes);
        Number(at)
    }
}
