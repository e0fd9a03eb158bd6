//! Prints its own backtrace, from a hook and without one.

use std::backtrace::Backtrace;

fn main() {
    std::panic::set_hook(Box::new(|info| println!("{info}, {:?}", info.location())));
    println!("{}", Backtrace::force_capture());
    let result = std::panic::catch_unwind(|| "x".parse::<i32>().unwrap());
    println!("{}", result.is_err());
}
