//! A request on its way: counted for whoever sent it, from the door until the last of its answer has been taken.
//!
//! Requests hold connections, and connections are for all: one key's requests, each of which may wait for minutes, hold no more
//! of them than are left to others. A connection of HTTP/2 that carries many of them is held once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use firebox_api::Refusal;

use crate::admission::Owner;
use crate::caller::Caller;
use crate::commons::{Commons, Part};

/// Who has requests on their way on one connection: one owner, mostly. It goes along with each request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seat(Arc<Mutex<HashMap<u64, Held>>>);

#[derive(Debug)]
struct Held {
    requests: usize,
    _connection: Part,
}

/// It goes along with the answer to where that is sent.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) owner: Owner,
    _counted: Option<Arc<Counted>>,
}

#[derive(Debug)]
struct Counted {
    owner: u64,
    seat: Seat,
}

impl Visit {
    /// `all` are as many as there may be connections.
    pub(crate) fn begin(all: &Arc<Commons>, seat: Option<&Seat>, caller: &Caller) -> Result<Visit, Refusal> {
        let owner = caller.owner;
        // One alone is bounded by what connections carry.
        let Some(seat) = seat.filter(|_| owner.bounds.shares) else { return Ok(Visit { owner, _counted: None }) };
        let mut held = seat.held();
        match held.get_mut(&owner.number) {
            Some(held) => held.requests += 1,
            None => {
                let mut connection = all.part(owner);
                connection.grow(1).map_err(|why| why.refusal("connections with requests"))?;
                held.insert(owner.number, Held { requests: 1, _connection: connection });
            }
        }
        drop(held);
        Ok(Visit { owner, _counted: Some(Arc::new(Counted { owner: owner.number, seat: seat.clone() })) })
    }
}

impl Seat {
    fn held(&self) -> MutexGuard<'_, HashMap<u64, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut held = self.seat.held();
        let Some(of_owner) = held.get_mut(&self.owner) else { return };
        of_owner.requests -= 1;
        if of_owner.requests == 0 {
            held.remove(&self.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Bounds;

    fn caller(number: u64) -> Caller {
        let owner = Owner { number, bounds: Bounds { shares: true, ..Bounds::default() } };
        let mut caller = Caller::everybody();
        caller.owner = owner;
        caller
    }

    #[test]
    fn a_connection_is_held_once_by_whoever_has_requests_on_it() {
        let (all, one, two) = (Commons::of(4), caller(1), caller(2));
        let (first, second, third) = (Seat::default(), Seat::default(), Seat::default());
        let begin = |seat: &Seat, caller: &Caller| Visit::begin(&all, Some(seat), caller);
        let many: Vec<Visit> = (0..100).map(|_| begin(&first, &one).unwrap()).collect();
        let other = begin(&second, &one).unwrap();
        assert!(begin(&third, &one).unwrap_err().message.contains("left to others"));
        assert!(begin(&third, &two).is_ok());
        drop(other);
        assert!(begin(&third, &one).is_ok());
        drop(many);
        assert!(first.held().is_empty() && begin(&second, &one).is_ok());
    }
}
