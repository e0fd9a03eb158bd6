//! What all kinds of cell have in common.
//!
//! A [`Cell`] is one single-use isolated place: a connected stream that speaks agent frames, and the host's side of
//! it, whose drop removes the cell. Who makes cells is elsewhere (`jail`, `fence`, `microvm`); who uses them
//! (`engine`) cannot tell the kinds apart but for [`CellHost::kind`].

mod error;
mod host;
mod layout;
mod stream;
mod view;

pub use error::{CellError, LastWords};
pub use host::{Begun, Cell, CellHost, CellMaker, FrozenInto, Measured, Past, Removal, StepLimits};
pub use layout::Layout;
pub use stream::{AgentStream, StreamError};
pub use view::{Link, Mount, Supply, TextFile, View};
