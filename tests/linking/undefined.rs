//! Calls what nobody has.

unsafe extern "C" {
    fn there_is_no_such_thing();
}

fn main() {
    unsafe { there_is_no_such_thing() }
}
