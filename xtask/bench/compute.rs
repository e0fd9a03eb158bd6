//! A second or so of nothing but the processor and its caches: a sieve, a matrix product, a chain of hashes.
//! Prints how long the work itself took, so that starting and ending the process are not in the number.

use std::hint::black_box;
use std::time::Instant;

fn primes_below(limit: usize) -> usize {
    let mut composite = vec![false; limit];
    let mut count = 0;
    for n in 2..limit {
        if !composite[n] {
            count += 1;
            let mut multiple = n * n;
            while multiple < limit {
                composite[multiple] = true;
                multiple += n;
            }
        }
    }
    count
}

fn matrix_trace(size: usize) -> f64 {
    let a: Vec<f64> = (0..size * size).map(|i| (i % 13) as f64).collect();
    let b: Vec<f64> = (0..size * size).map(|i| (i % 7) as f64).collect();
    let mut product = vec![0.0; size * size];
    for row in 0..size {
        for k in 0..size {
            let factor = a[row * size + k];
            for column in 0..size {
                product[row * size + column] += factor * b[k * size + column];
            }
        }
    }
    (0..size).map(|i| product[i * size + i]).sum()
}

fn hash_chain(rounds: u64) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..rounds {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state = state.wrapping_add(round);
    }
    state
}

fn main() {
    let start = Instant::now();
    let primes = primes_below(black_box(12_000_000));
    let trace = matrix_trace(black_box(340));
    let hash = hash_chain(black_box(120_000_000));
    let elapsed = start.elapsed().as_micros();
    println!("elapsed_us={elapsed} primes={primes} trace={trace} hash={hash:x}");
}
