//! Asks for more than there is.

fn main() {
    let layout = std::alloc::Layout::from_size_align(isize::MAX as usize - 4095, 1).unwrap();
    std::alloc::handle_alloc_error(layout);
}
