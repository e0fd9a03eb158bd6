//! Panics in a thread with a name and in a closure, and goes on after both.

use std::thread;

fn main() {
    let unlucky = || Err::<u8, _>("bad luck".to_owned()).unwrap();
    let ended = thread::Builder::new().name("worker".into()).spawn(unlucky).unwrap().join();
    println!("{}", ended.is_err());
    let caught = std::panic::catch_unwind(|| panic!("number {}", 1)).unwrap_err();
    println!("{:?}", caught.downcast_ref::<String>());
}
