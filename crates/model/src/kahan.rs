//! Compensated summation, bit for bit as PromQL's reference sums.

/// A sum that carries the rounding error of its additions (Neumaier's variant of Kahan summation).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct KahanSum {
    /// The running sum, not yet compensated.
    pub sum: f64,
    /// What rounding has lost so far.
    pub compensation: f64,
}

impl KahanSum {
    /// A sum that starts at `value`.
    pub const fn new(value: f64) -> Self {
        Self { sum: value, compensation: 0.0 }
    }

    /// Adds a value.
    #[inline]
    pub fn add(&mut self, value: f64) {
        (self.sum, self.compensation) = kahan_step(value, self.sum, self.compensation);
    }

    /// The compensated sum. An infinite sum has no compensation, so infinities survive.
    #[inline]
    pub fn value(&self) -> f64 {
        self.sum + self.compensation
    }
}

/// Adds `value` to `(sum, compensation)` and returns both anew.
///
/// The larger operand decides whose low bits are lost. Once the sum is infinite the compensation is
/// dropped: it would be NaN and poison the result.
#[inline]
pub fn kahan_step(value: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + value;
    let lost = if sum.abs() >= value.abs() { (sum - total) + value } else { (value - total) + sum };
    // Without an early return, sums side by side become vector instructions.
    (total, if total.is_infinite() { 0.0 } else { compensation + lost })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = KahanSum::default();
        values.iter().for_each(|&v| sum.add(v));
        sum.value()
    }

    #[test]
    fn keeps_what_plain_addition_loses() {
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
    }

    #[test]
    fn infinities_stay_infinite_and_opposite_ones_cancel_to_nan() {
        assert_eq!(sum(&[1.0, f64::INFINITY, -5.0]), f64::INFINITY);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert!(sum(&[1.0, f64::NAN, 1.0]).is_nan());
    }
}
