//! Recurses until a stack is full. A thread's, since that of the first is told by `/proc`, which not every cell has.

fn deeper(level: u64) -> u64 {
    if level == 0 { 0 } else { 1 + deeper(level + 1) }
}

fn main() {
    println!("{:?}", std::thread::spawn(|| deeper(1)).join());
}
