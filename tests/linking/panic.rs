//! Fails two calls deep, where a line number and a backtrace say something.

fn number(given: Option<u32>) -> u32 {
    given.expect("no number")
}

fn main() {
    println!("before");
    println!("{}", number(None));
}
