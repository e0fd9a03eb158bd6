//! How a processor's thread is made to leave its guest: an order, and a signal that ends `KVM_RUN`.
//!
//! The signal is blocked in that thread, except while the guest runs ([`Cpu::hear_only`](crate::sys::Cpu::hear_only)): sent too early it
//! waits there, so no order is ever missed. And it is sent only to a thread that has blocked it already: before, it would end us.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;

use vmm_sys_util::signal::{Killable, SIGRTMIN, block_signal, clear_signal};

/// What a thread is to do when it is made to leave its guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing: somebody else has sent a signal.
    GoOn,
    /// Say whether the processor waits for nothing, and go on.
    Look,
    /// Run the guest no longer.
    Stop,
}

const GO_ON: u8 = 0;
const LOOK: u8 = 1;
const STOP: u8 = 2;

/// What goes between a processor's thread and the one that started it.
#[derive(Debug, Default)]
pub(crate) struct Kick {
    order: AtomicU8,
    listens: AtomicBool,
    waits_for_nothing: AtomicBool,
}

/// The signal. Real-time signals mean nothing to anybody else.
pub(crate) fn signal() -> i32 {
    SIGRTMIN()
}

impl Kick {
    /// Gives an order, and makes the thread hear of it.
    pub(crate) fn give(&self, order: Order, thread: &JoinHandle<impl Sized>) {
        match order {
            Order::GoOn => return,
            Order::Look => {
                self.waits_for_nothing.store(false, Ordering::SeqCst);
                // An order to stop stands.
                _ = self.order.compare_exchange(GO_ON, LOOK, Ordering::SeqCst, Ordering::SeqCst);
            }
            Order::Stop => self.order.store(STOP, Ordering::SeqCst),
        }
        // If it does not listen yet, it takes the order right after it has begun to.
        if self.listens.load(Ordering::SeqCst) {
            // A thread that has ended already needs no signal.
            _ = thread.kill(signal());
        }
    }

    /// In the thread itself, before its first order is taken.
    pub(crate) fn listen(&self) {
        // It fails only where the signal is blocked already.
        _ = block_signal(signal());
        self.listens.store(true, Ordering::SeqCst);
    }

    /// In the thread itself: takes the signal away that ended the run, and the order.
    pub(crate) fn take(&self) -> Order {
        // The signal first: an order given in between sends another.
        _ = clear_signal(signal());
        match self.order.compare_exchange(LOOK, GO_ON, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => Order::Look,
            Err(STOP) => Order::Stop,
            Err(_) => Order::GoOn,
        }
    }

    /// In the thread itself: what it saw.
    pub(crate) fn report(&self, waits_for_nothing: bool) {
        self.waits_for_nothing.store(waits_for_nothing, Ordering::SeqCst);
    }

    /// What the thread saw when it looked; false while it has not obeyed the last order to.
    pub(crate) fn waits_for_nothing(&self) -> bool {
        self.waits_for_nothing.load(Ordering::SeqCst)
    }
}
