//! Unpacks a kernel, as is done once on the host so that no guest has to.
//!
//! `unpack BZIMAGE PROGRAM`

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(from), Some(to)) = (words.next(), words.next()) else {
        return Err("usage: unpack BZIMAGE PROGRAM".into());
    };
    std::fs::write(to, firebox_vmm::unpack(&std::fs::read(from)?)?)?;
    Ok(())
}
