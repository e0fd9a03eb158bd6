//! Gives one name to two functions.

mod a {
    #[unsafe(export_name = "twice")]
    pub extern "C" fn one() -> i32 {
        1
    }
}

mod b {
    #[unsafe(export_name = "twice")]
    pub extern "C" fn two() -> i32 {
        2
    }
}

fn main() {
    println!("{} {}", a::one(), b::two());
}
