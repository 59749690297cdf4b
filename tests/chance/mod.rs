//! Chance that a seed repeats, for the fuzz and the soak tests.

use std::time::{SystemTime, UNIX_EPOCH};

/// xorshift64*: of no use for secrets.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    #[allow(dead_code)] // the soak alone chooses
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Of DRAINIT_SEED, or else of the clock; printed, so that a run can be repeated.
pub fn seed() -> u64 {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = std::env::var("DRAINIT_SEED").map_or_else(|_| clock(), |text| text.parse().unwrap());
    println!("DRAINIT_SEED={seed}");
    seed | 1
}
