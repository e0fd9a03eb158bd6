//! The guest that the probe times: the same loop in ring 0 and in ring 3.

use super::descriptors::{USER_CODE, USER_DATA, selector};
use super::layout::{PROGRAM, STACK};

/// May use ports, which are closed to ring 3 otherwise; and the flag that is always set.
const PORTS_FOR_RING_3: u32 = 3 << 12 | 1 << 1;

/// Says a word at `port` before and after `rounds` rounds of a loop of two instructions, as a kernel and then as a program.
pub(crate) fn loops(port: u16, rounds: u32) -> Vec<u8> {
    let mut code = timed_loop(port, rounds);
    // As if an interrupt had come in ring 3: what `iretq` takes from the stack is pushed, from the last to the first.
    push(&mut code, u32::from(selector(USER_DATA, 3)));
    push(&mut code, STACK as u32);
    push(&mut code, PORTS_FOR_RING_3);
    push(&mut code, u32::from(selector(USER_CODE, 3)));
    // Behind this push, of 5 bytes, and `iretq`, of 2.
    let program = (PROGRAM as u32).saturating_add(code.len() as u32).saturating_add(7);
    push(&mut code, program);
    code.extend([0x48, 0xCF]); // iretq
    code.extend(timed_loop(port, rounds));
    code.extend([0xEB, 0xFE]); // jmp $: the last word has ended the machine
    code
}

fn timed_loop(port: u16, rounds: u32) -> Vec<u8> {
    let [low, high] = port.to_le_bytes();
    let mut code = vec![0x66, 0xBA, low, high]; // mov dx, port
    code.push(0xB9); // mov ecx, rounds
    code.extend(rounds.to_le_bytes());
    code.push(0xEE); // out dx, al
    code.extend([0xFF, 0xC9]); // dec ecx
    code.extend([0x75, 0xFC]); // jnz, to the dec
    code.push(0xEE); // out dx, al
    code
}

/// `push value`, as eight bytes.
fn push(code: &mut Vec<u8>, value: u32) {
    code.push(0x68);
    code.extend(value.to_le_bytes());
}
