//! Numbers that look random and follow from a seed.

/// SplitMix64 (Steele, Lea, Flood: *Fast Splittable Pseudorandom Number Generators*, 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds begin far apart.
        let mut random = Self(seed.wrapping_mul(0xD134_2543_DE82_EF95));
        let first = random.next();
        Self(first)
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "these numbers never end")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below another; 0 below 0.
    pub fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(end);
        // The upper half is below `end`.
        (product >> 64) as u64
    }

    /// A number from one to another, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least.saturating_add(self.below(most.saturating_sub(least).saturating_add(1)))
    }

    /// Whether something of a probability in basis points happens.
    pub fn happens(&mut self, basis_points: u16) -> bool {
        self.below(10_000) < u64::from(basis_points)
    }

    /// One of some; none of none.
    pub fn pick<'a, T>(&mut self, some: &'a [T]) -> Option<&'a T> {
        some.get(self.below(some.len() as u64) as usize)
    }

    /// Other numbers, which depend on these and not on how many are drawn from them later.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }
}
