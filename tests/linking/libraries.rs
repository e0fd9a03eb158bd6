//! Calls the C library's mathematics, and ends with a code of its own.

extern crate alloc;

use alloc::collections::BTreeMap;

#[link(name = "m")]
unsafe extern "C" {
    fn cbrt(x: f64) -> f64;
}

fn main() {
    let roots = BTreeMap::from([(27, unsafe { cbrt(27.0) })]);
    println!("{roots:?} {}", 2f64.powf(0.5));
    std::process::exit(3);
}
