//! A hostile agent, played by a double: whatever it says and whenever it says it, the engine keeps its promises.
//!
//! The double holds the agent's end of a real stream. The other end is in a real cell, whose host is a fake that counts
//! what it is asked and answers what a test tells it to. A [`trial::Trial`] takes one course against one double, and
//! finds out which of these does not hold:
//! - the course ends within its limits and a bounded patience, and nothing panics;
//! - it ends as an outcome, or as an error that says what the agent did;
//! - the cell is removed or dropped exactly once, and removed if there is an outcome;
//! - no more output is kept or passed on than the limit, and no more of what was built than the store takes in;
//! - no verdict is about a limit unless the host's measures or the engine's clock said so.
//!
//! ```text
//! play    what an honest agent says and awaits: the places at which a double can turn hostile
//! frames  what it can say wrongly
//! double  says it
//! host    the fake host
//! trial   one course against one double; many of them at once
//! claims  every frame at every place, and what else an agent can do wrong
//! lies    what it can say of a file that it hands out
//! chance  all of it in any order
//! pools   the cells of a whole engine, that waited before their jobs came
//! ```

mod chance;
mod claims;
mod double;
mod frames;
mod host;
mod lies;
mod play;
mod pools;
mod trial;
