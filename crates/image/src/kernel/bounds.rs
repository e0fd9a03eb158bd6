//! How much a kernel may ask of whoever fetches it: of memory, of the disk, of time.

/// What is done on account of one kernel at most. Several times what the largest of a distribution takes; past any of these, it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelBounds {
    /// Bytes of a package, or of a kernel's file.
    pub package: u64,
    /// Bytes that a package unpacks to, or that all files of a directory of modules have.
    pub unpacked: u64,
    /// Entries of a package or a directory.
    pub entries: u64,
    /// Bytes of the kernel, packed, and of any one module, unpacked.
    pub file: u64,
    /// Bytes of what modules say of themselves, all together: that is held in memory.
    pub metadata: u64,
    /// How many modules are kept.
    pub modules: usize,
    /// Bytes of the modules that are kept.
    pub kept: u64,
}

impl KernelBounds {
    /// The longest name of a release, as the kernel has it.
    pub const RELEASE: usize = 64;
    /// The longest name of a module, as the kernel has it.
    pub const MODULE: usize = 55;
    /// How many directories may lie within each other.
    pub(super) const DEPTH: usize = 32;
    /// KiB of memory for what was packed by xz: as much as its strongest setting asks for, twice.
    pub(super) const XZ_KIB: u32 = 128 << 10;
}

impl Default for KernelBounds {
    fn default() -> KernelBounds {
        KernelBounds {
            package: 1 << 30,
            unpacked: 4 << 30,
            entries: 200_000,
            file: 256 << 20,
            metadata: 64 << 20,
            modules: 256,
            kept: 256 << 20,
        }
    }
}
