//! Numbers that look random and follow from a seed.

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): small, fast, and the same everywhere.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ bits >> 31
    }

    /// A number below `end`; 0 below 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // The upper half of the product is below `end`.
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Very nearly normal with mean 0 and deviation 1: the sum of eight 16-bit uniforms
    /// (Irwin and Hall), which needs no transcendental function and so is the same everywhere.
    pub(crate) fn normal(&mut self) -> f64 {
        let lanes = |word: u64| (0..4).map(|lane| word >> (16 * lane) & 0xFFFF).sum::<u64>();
        let sum = lanes(self.next()) + lanes(self.next());
        // Eight uniforms on 0..=65535: mean 8 x 32767.5, variance 8 x (65536² − 1) / 12.
        (sum as f64 - 262_140.0) / 53_509.9
    }
}
