fn main() {
    println!("hello {}", @SEED@u64);
}
