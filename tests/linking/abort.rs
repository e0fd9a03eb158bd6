//! Panics while it panics.

struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        panic!("second");
    }
}

fn main() {
    let _loud = Loud;
    panic!("first");
}
