use proptest::prelude::*;

use super::*;
use crate::conformance::golang_cases;

fn bits(case: &serde_json::Value) -> Option<u64> {
    case["bits"].as_str().map(|hex| u64::from_str_radix(hex, 16).unwrap())
}

#[test]
fn floats_are_written_as_go_writes_them() {
    let Some(cases) = golang_cases("floats_are_written_as_go_writes_them", "format.json") else { return };
    let formats = [
        ("%v", FloatFormat::General),
        ("v", FloatFormat::General),
        ("g", FloatFormat::General),
        ("f", FloatFormat::Plain),
        ("e", FloatFormat::Exponent),
        ("api", FloatFormat::Api),
        ("json", FloatFormat::Json),
        ("%.2f", FloatFormat::Fixed(2)),
        ("%f", FloatFormat::Fixed(6)),
        ("%e", FloatFormat::FixedExponent(6)),
        ("%.3g", FloatFormat::Significant(3)),
        ("%.4g", FloatFormat::Significant(4)),
    ];
    let mut compared = 0;
    for case in cases.iter().filter(|case| case["kind"] == "float") {
        let value = f64::from_bits(bits(case).unwrap());
        for (key, format) in formats {
            if let Some(expected) = case[key].as_str() {
                assert_eq!(format_float(value, format), expected, "{} {key}", case["id"]);
                compared += 1;
            }
        }
    }
    assert!(compared > 500, "only {compared} forms compared");
}

#[test]
fn floats_are_read_as_go_reads_them() {
    let Some(cases) = golang_cases("floats_are_read_as_go_reads_them", "format.json") else { return };
    for case in cases.iter().filter(|case| case["kind"] == "parse-float") {
        let parsed = parse_float(case["input"].as_str().unwrap());
        match case["error"].as_str() {
            Some(error) => assert_eq!(parsed.unwrap_err().to_string(), error),
            None => assert_eq!(parsed.unwrap().to_bits(), bits(case).unwrap(), "{}", case["id"]),
        }
    }
}

#[test]
fn underscores_and_hex_follow_go() {
    for (text, expected) in [
        ("1_000.5", 1000.5),
        ("-0x1p-2", -0.25),
        ("0x_1.8p1", 3.0),
        ("0X1.fffffffffffffp+1023", f64::MAX),
        ("0x1p-1074", 5e-324),
        // Halfway between two floats, and a little above it far behind the point.
        ("0x1.00000000000008p0", 1.0),
        ("0x1.000000000000080000000001p0", 1.0 + f64::EPSILON),
        ("0x1.8p-1075", 5e-324),
        ("0x1p-1075", 0.0),
    ] {
        assert_eq!(parse_float(text), Ok(expected), "{text}");
    }
    for text in ["_1", "1_", "1__0", "1_.5", "0x1_p1", "0xp1", "0x1p", "1_e5", "_inf", "0x1.2.3p1", "i_nf"] {
        assert_eq!(parse_float(text), Err(ParseFloatError::Syntax(text)), "{text}");
    }
    assert_eq!(parse_float("0x1p1024"), Err(ParseFloatError::Range("0x1p1024")));
}

proptest! {
    #[test]
    fn every_form_with_all_digits_reads_back(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(!value.is_nan());
        for format in [
            FloatFormat::Plain, FloatFormat::Exponent, FloatFormat::General, FloatFormat::Api, FloatFormat::Json,
        ] {
            let text = format_float(value, format);
            prop_assert_eq!(parse_float(&text).map(f64::to_bits), Ok(bits));
        }
    }
}

#[test]
fn of_two_shortest_forms_equally_near_the_even_one_is_written() {
    assert_eq!(format_float(29_407_765_441_029.312, FloatFormat::Api), "29407765441029.312");
    assert_eq!(format_float(29_407_765_441_029.312, FloatFormat::Exponent), "2.9407765441029312e+13");
}
