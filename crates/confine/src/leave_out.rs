//! Leaving one layer out, so that a test can see that nothing else does that layer's work.
//!
//! Only in builds with the feature `leave-out`, which are for tests and never for use. In every other build
//! [`Layer::is_left_out`] is the constant `false`, and not one instruction of this is there.
//!
//! The choice is made once, in the process that firebox is started as. Processes that are forked from it inherit it; the
//! agent, which is another program, is told by its argument.

use crate::layer::Layer;

#[cfg(feature = "leave-out")]
mod choice {
    use core::sync::atomic::{AtomicUsize, Ordering};

    use super::Layer;

    /// No layer's place.
    const NONE: usize = usize::MAX;

    static LEFT_OUT: AtomicUsize = AtomicUsize::new(NONE);

    /// Leaves a layer out of all that this process does from here on.
    pub fn leave_out(layer: Layer) {
        LEFT_OUT.store(layer as usize, Ordering::Relaxed);
    }

    /// The layer that is left out.
    pub fn left_out() -> Option<Layer> {
        Layer::ALL.get(LEFT_OUT.load(Ordering::Relaxed)).copied()
    }

    /// The layer of this name.
    pub fn layer_named(name: &[u8]) -> Option<Layer> {
        Layer::ALL.into_iter().find(|layer| layer.name().as_bytes() == name)
    }

    /// What an agent is told by its argument besides the layer, which stands behind a comma and is left out from here on.
    pub fn heed(argument: &[u8]) -> &[u8] {
        let mut parts = argument.splitn(2, |byte| *byte == b',');
        let rest = parts.next().unwrap_or_default();
        if let Some(layer) = parts.next().and_then(layer_named) {
            leave_out(layer);
        }
        rest
    }

    impl Layer {
        /// Whether this is the layer that a test has left out.
        pub fn is_left_out(self) -> bool {
            left_out() == Some(self)
        }
    }
}

#[cfg(not(feature = "leave-out"))]
mod choice {
    use super::Layer;

    /// No layer is ever left out.
    pub const fn left_out() -> Option<Layer> {
        None
    }

    /// The whole of what an agent is told by its argument.
    pub const fn heed(argument: &[u8]) -> &[u8] {
        argument
    }

    impl Layer {
        /// No layer is ever left out.
        pub const fn is_left_out(self) -> bool {
            false
        }
    }
}

pub use choice::*;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "leave-out"))]
    #[test]
    fn nothing_can_be_left_out_of_an_ordinary_build() {
        assert_eq!(heed(b"fence,seccomp"), b"fence,seccomp");
        assert!(!Layer::Seccomp.is_left_out() && left_out().is_none());
    }

    // The choice is the process's, so there is one test of it.
    #[cfg(feature = "leave-out")]
    #[test]
    fn an_agent_hears_what_to_leave_out_and_nothing_of_it_by_mistake() {
        assert_eq!(heed(b"fence"), b"fence");
        assert_eq!(heed(b"4,no-such-layer"), b"4");
        assert_eq!(left_out(), None);
        assert_eq!(heed(b"4,seccomp"), b"4");
        assert!(Layer::Seccomp.is_left_out() && !Layer::Landlock.is_left_out());
    }
}
