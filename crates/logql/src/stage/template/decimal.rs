//! Decimal arithmetic of the functions of templates that end in `f`.

/// Digits behind the point that a quotient is rounded to.
const QUOTIENT_DIGITS: i32 = 16;

/// A decimal number, or a plain one where decimals are too many to calculate with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Decimal {
    /// Digits, and the power of ten they are multiplied by.
    Exact(i128, i32),
    Float(f64),
}

impl Decimal {
    /// The shortest decimal number that is read as `value`.
    pub fn new(value: f64) -> Self {
        let text = format!("{value:e}");
        let read = || {
            let (digits, exponent) = text.split_once('e')?;
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            let exponent = exponent.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()?;
            Some(Self::Exact(format!("{whole}{fraction}").parse().ok()?, exponent))
        };
        read().unwrap_or(Self::Float(value))
    }

    /// The nearest number of the processor's.
    pub fn value(self) -> f64 {
        match self {
            Self::Exact(digits, exponent) => format!("{digits}e{exponent}").parse().unwrap_or(f64::NAN),
            Self::Float(value) => value,
        }
    }

    /// Both with the same exponent.
    fn aligned(&self, other: &Self) -> Option<(i128, i128, i32)> {
        let (Self::Exact(a, a_exponent), Self::Exact(b, b_exponent)) = (*self, *other) else { return None };
        let exponent = a_exponent.min(b_exponent);
        let scaled = |digits: i128, from: i32| digits.checked_mul(power_of_ten(from - exponent)?);
        Some((scaled(a, a_exponent)?, scaled(b, b_exponent)?, exponent))
    }

    fn or_float(exact: Option<Self>, float: f64) -> Option<Self> {
        Some(exact.unwrap_or(Self::Float(float)))
    }

    /// The sum.
    pub fn add(&self, other: &Self) -> Option<Self> {
        let sum =
            self.aligned(other).and_then(|(a, b, exponent)| Some(Self::Exact(a.checked_add(b)?, exponent)));
        Self::or_float(sum, self.value() + other.value())
    }

    /// The difference.
    pub fn sub(&self, other: &Self) -> Option<Self> {
        let rest =
            self.aligned(other).and_then(|(a, b, exponent)| Some(Self::Exact(a.checked_sub(b)?, exponent)));
        Self::or_float(rest, self.value() - other.value())
    }

    /// The product.
    pub fn mul(&self, other: &Self) -> Option<Self> {
        let product = match (*self, *other) {
            (Self::Exact(a, a_exponent), Self::Exact(b, b_exponent)) => {
                a.checked_mul(b).map(|digits| Self::Exact(digits, a_exponent + b_exponent))
            }
            _ => None,
        };
        Self::or_float(product, self.value() * other.value())
    }

    /// The quotient, rounded; none of nothing.
    pub fn div(&self, other: &Self) -> Option<Self> {
        if other.value() == 0.0 {
            return None;
        }
        let exact = || {
            let (a, b, _) = self.aligned(other)?;
            let scaled = a.checked_mul(power_of_ten(QUOTIENT_DIGITS)?)?;
            let (quotient, rest) = (scaled / b, scaled % b);
            let is_up = rest.unsigned_abs().checked_mul(2)? >= b.unsigned_abs();
            let away = if (scaled < 0) == (b < 0) { 1 } else { -1 };
            Some(Self::Exact(quotient + if is_up { away } else { 0 }, -QUOTIENT_DIGITS))
        };
        Self::or_float(exact(), self.value() / other.value())
    }
}

fn power_of_ten(exponent: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(exponent).ok()?)
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn decimals_are_calculated_as_on_paper() {
        let of = |call: fn(&Decimal, &Decimal) -> Option<Decimal>, a: f64, b: f64| {
            call(&Decimal::new(a), &Decimal::new(b)).map(Decimal::value)
        };
        assert_eq!(of(Decimal::add, 0.1, 0.2), Some(0.3));
        assert_eq!(of(Decimal::sub, 0.3, 0.1), Some(0.2));
        assert_eq!(of(Decimal::mul, 1.1, 1.1), Some(1.21));
        assert_eq!(of(Decimal::div, 7.0, 2.0), Some(3.5));
        assert_eq!(of(Decimal::div, -2.0, 3.0), Some(-0.6666666666666667));
        assert_eq!(of(Decimal::div, 1.0, 0.0), None);
        // What does not fit is calculated as the processor does.
        assert_eq!(of(Decimal::add, 1e300, 1.0), Some(1e300));
        assert_eq!(of(Decimal::mul, 1e300, 1e300), Some(f64::INFINITY));
        assert!(of(Decimal::add, f64::NAN, 1.0).unwrap().is_nan());
    }
}
