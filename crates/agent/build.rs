//! Links the agent as what it is: a static program that brings its own start, without a C library.

/// Where in its address space the agent stands: where no program, library, heap or stack is ever put by the kernel, and
/// beyond what runtimes choose for themselves. A process that is thawed takes up the addresses it was frozen at, around
/// the agent's code that does it. `src/sys/zone.rs` knows it, too.
const BASE: &str = "0x480000000000";

fn main() {
    let base = format!("-Wl,--image-base={BASE}");
    let no_c = ["-nostartfiles", "-nostdlib", "-static", "-no-pie"];
    let plain = ["-Wl,--build-id=none", "-Wl,-z,noexecstack"];
    for argument in no_c.into_iter().chain(plain).chain([base.as_str()]) {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
