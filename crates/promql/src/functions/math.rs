//! Functions of single floats.

/// The function of this name without further arguments, if it is one.
pub fn plain_function(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => log2,
        "log10" => log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "rad" => |v| v * std::f64::consts::PI / 180.0,
        "deg" => |v| v * 180.0 / std::f64::consts::PI,
        "sgn" => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        _ => return None,
    })
}

/// The binary logarithm, computed from the natural one as the reference does: dashboards that compare
/// with whole numbers see the same last bits.
fn log2(value: f64) -> f64 {
    const SHIFT_OF_SUBNORMALS: f64 = (1_u64 << 54) as f64;
    if value <= 0.0 || !value.is_finite() {
        return value.log2();
    }
    let (normal, shift) = if value.is_normal() { (value, 0.0) } else { (value * SHIFT_OF_SUBNORMALS, -54.0) };
    // value = fraction * 2^exponent with a fraction from 0.5 to 1.
    let exponent = ((normal.to_bits() >> 52) as f64) - 1022.0 + shift;
    let fraction = f64::from_bits((normal.to_bits() & ((1 << 52) - 1)) | (1022 << 52));
    if fraction == 0.5 { exponent - 1.0 } else { fraction.ln() * std::f64::consts::LOG2_E + exponent }
}

/// The decimal logarithm, computed as the reference does.
fn log10(value: f64) -> f64 {
    log2(value) * std::f64::consts::LOG10_2
}

/// The smaller number. NaN if either is NaN, unless the other is `-Inf`.
#[inline]
pub fn min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { a } else { b }
    } else if a < b {
        a
    } else {
        b
    }
}

/// The larger number. NaN if either is NaN, unless the other is `+Inf`.
#[inline]
pub fn max(a: f64, b: f64) -> f64 {
    -min(-a, -b)
}

/// `value` moved into `low..=high`; `None` when that interval is empty.
#[inline]
pub fn clamp(value: f64, low: f64, high: f64) -> Option<f64> {
    if high < low { None } else { Some(max(low, min(high, value))) }
}

/// `value` rounded to a multiple of `to_nearest`, ties up.
#[inline]
pub fn round(value: f64, to_nearest: f64) -> f64 {
    // Dividing by the inverse is more accurate for steps like 0.1 than multiplying by the step.
    let inverse = 1.0 / to_nearest;
    (value * inverse + 0.5).floor() / inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_wins_over_everything_but_the_extreme_infinity() {
        assert!(min(f64::NAN, 1.0).is_nan());
        assert!(max(1.0, f64::NAN).is_nan());
        assert_eq!(min(f64::NAN, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert_eq!(max(f64::INFINITY, f64::NAN), f64::INFINITY);
        assert!(max(f64::NEG_INFINITY, f64::NAN).is_nan());
        assert_eq!(max(-2.0, 3.0), 3.0);
        assert!(max(-0.0, 0.0).is_sign_positive());
    }

    #[test]
    fn clamping() {
        assert_eq!(clamp(5.0, 0.0, 3.0), Some(3.0));
        assert_eq!(clamp(-5.0, 0.0, 3.0), Some(0.0));
        assert_eq!(clamp(1.0, 3.0, 0.0), None);
        assert!(clamp(f64::NAN, 0.0, 1.0).is_some_and(f64::is_nan));
        assert!(clamp(1.0, f64::NAN, 1.0).is_some_and(f64::is_nan));
    }

    #[test]
    fn rounding_ties_up() {
        assert_eq!(round(2.5, 1.0), 3.0);
        assert_eq!(round(-2.5, 1.0), -2.0);
        assert_eq!(round(7.0, 5.0), 5.0);
        assert_eq!(round(0.25, 0.1), 0.3);
    }

    #[test]
    fn logarithms() {
        assert_eq!([1.0, 2.0, 8.0, 0.25, 5e-324].map(log2), [0.0, 1.0, 3.0, -2.0, -1074.0]);
        assert_eq!([1.0, 10.0, 100.0].map(log10), [0.0, 1.0, 2.0]);
        assert_eq!([1000.0, 1e-7].map(log10), [3.0, -7.0]);
        assert_eq!([0.0, f64::INFINITY].map(log10), [f64::NEG_INFINITY, f64::INFINITY]);
        assert!(log2(-1.0).is_nan() && log10(f64::NAN).is_nan());
        for value in [3.0, 0.7, 1e-310, 1e300, 12345.678] {
            assert!((log2(value) - value.log2()).abs() <= value.log2().abs() * 1e-14, "{value}");
        }
    }

    #[test]
    fn signs() {
        let sgn = plain_function("sgn").unwrap();
        assert_eq!([sgn(-3.0), sgn(0.0), sgn(7.0)], [-1.0, 0.0, 1.0]);
        assert!(sgn(f64::NAN).is_nan());
        assert!(plain_function("clamp").is_none());
    }
}
