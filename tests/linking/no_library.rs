//! Wants a library that no system has.

#[link(name = "nowhere_to_be_found")]
unsafe extern "C" {
    fn something();
}

fn main() {
    unsafe { something() }
}
