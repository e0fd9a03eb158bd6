//! The entropy device: random bytes of the host's kernel, as many as fit into what the driver gives.

use super::{Broken, Device, Queues};

/// A source of random bytes.
#[derive(Debug, Default)]
pub struct Entropy;

/// What the specification numbers it as.
const KIND: u32 = 4;
const LENGTH: u16 = 64;
/// More than that at a time nobody is given: a kernel asks for some tens of bytes.
const MOST: usize = 4096;

impl Device for Entropy {
    fn kind(&self) -> u32 {
        KIND
    }

    fn queues(&self) -> &'static [u16] {
        &[LENGTH]
    }

    fn serve(&mut self, queue: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
        for _ in 0..queues.length(queue) {
            let Some(mut chain) = queues.take(queue)? else { break };
            let mut bytes = [0; MOST];
            let wanted = usize::try_from(chain.writable.left()).unwrap_or(MOST).min(MOST);
            let bytes = bytes.get_mut(..wanted).unwrap_or_default();
            // The kernel's own source, which is never short of any once the host has booted; then fewer are given, not worse ones.
            let given = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty()).unwrap_or(0);
            chain.writable.write(queues.memory(), bytes.get(..given).unwrap_or_default())?;
            queues.give_back(queue, &chain, chain.writable.done())?;
        }
        Ok(())
    }
}
