//! EROFS, written in one pass.
//!
//! ```text
//! block 0                super block
//! block 1 ...            for each file, directory and link: inode, extended attributes, and what remains of its
//!                        content behind the last whole block
//! after those            whole blocks of contents and directories
//! ```
//!
//! Everything follows from the tree: where each inode is, from the sizes of those before it; what a directory holds,
//! from where the inodes are. So the whole is planned first and then written from the start to the end, without going
//! back. Files with the same content share its whole blocks.

mod format;
mod plan;
mod write;

pub(super) use plan::Plan;
pub use write::WriteError;
