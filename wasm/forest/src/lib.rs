//! Isolation forests (Liu, Ting and Zhou, 2008) with scikit-learn's exact semantics, small enough for an edge isolate.
//!
//! [`Artifact`] reads and checks the bytes described in `wasm/SPEC.md`; [`Forest`] lays the checked trees out for speed and
//! scores. Neither allocates without asking first, and no artifact makes either read out of bounds or loop.
#![no_std]
extern crate alloc;

mod artifact;
mod crc32;
mod exp2;
mod forest;

pub use artifact::{Artifact, Node, LEAF, MAGIC, MAX_DEPTH, MAX_FEATURES, MAX_NODES, MAX_TREES, VERSION};
pub use crc32::crc32;
pub use exp2::exp2_neg;
pub use forest::{average_path_length, Forest, MAX_TABLE_BYTES};

/// Why an artifact or a call was refused. The numbers are the ABI's and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Error {
    /// The bytes end before the format says they do, or go on after it.
    Length = -1,
    /// The first four bytes are not the format's magic.
    Magic = -2,
    /// A format version this build does not read.
    Version = -3,
    /// The checksum does not match the bytes.
    Checksum = -4,
    /// A count in the header is outside its limits.
    Header = -5,
    /// A node names a feature, child or value that cannot be.
    Node = -6,
    /// A tree is deeper than the limit.
    Depth = -7,
    /// The memory budget does not allow it.
    Memory = -8,
    /// No model has this handle.
    Handle = -9,
    /// A buffer is not (wholly) inside memory that was allocated by this module, or is misaligned.
    Pointer = -10,
    /// The rows do not have as many columns as the model has features.
    Shape = -11,
    /// All slots for models or allocations are taken.
    Slots = -12,
}
