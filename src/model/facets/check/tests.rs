//! Types, facets, and what an error says.

use super::*;

fn facets() -> Facets {
    Facets::default()
}

fn code(facets: &Facets, kind: Kind, text: &str) -> Option<u32> {
    facets.check("P", kind, text).err().map(|fault| fault.code as u32)
}

#[test]
fn values_become_canonical() {
    for (kind, text, wanted) in [
        (Kind::Boolean, "1", "true"),
        (Kind::Boolean, "0", "false"),
        (Kind::Boolean, "true", "true"),
        (Kind::Int, "-007", "-7"),
        (Kind::Int, "-0", "0"),
        (Kind::UnsignedInt, "+4294967295", "4294967295"),
        (Kind::Long, "-9223372036854775808", "-9223372036854775808"),
        (Kind::UnsignedLong, "18446744073709551615", "18446744073709551615"),
        (Kind::Decimal, "-1.50", "-1.50"),
        (Kind::DateTime, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        (Kind::DateTime, "2024-02-29T23:59:59.125+02:00", "2024-02-29T23:59:59.125+02:00"),
        (Kind::Base64, "AAE=", "AAE="),
        (Kind::HexBinary, "00fF", "00fF"),
        (Kind::String, " as it is ", " as it is "),
    ] {
        assert_eq!(facets().check("P", kind, text).unwrap(), wanted);
    }
}

#[test]
fn what_is_not_of_the_type_is_7011() {
    for (kind, texts) in [
        (Kind::Boolean, &["", "True", "yes", "2"][..]),
        (Kind::Int, &["", "x", "1.0", " 1", "2147483648", "-2147483649", "0x1"]),
        (Kind::UnsignedInt, &["-1", "4294967296", ""]),
        (Kind::Long, &["9223372036854775808"]),
        (Kind::UnsignedLong, &["-1", "18446744073709551616", "99999999999999999999999999999999999999999999"]),
        (Kind::Decimal, &["", ".", "1.2.3", "1e3", "-"]),
        (
            Kind::DateTime,
            &[
                "",
                "2024-01-01",
                "2024-13-01T00:00:00Z",
                "2023-02-29T00:00:00Z",
                "2024-01-01T24:00:00Z",
                "2024-01-01T00:00:00.Z",
                "2024-01-01T00:00:00+15:00",
                "2024-01-01T00:00:00ZZ",
                "24-01-01T00:00:00Z",
            ],
        ),
        (Kind::Base64, &["A", "AAA", "A===", "AA=A", "AA A"]),
        (Kind::HexBinary, &["0", "0g"]),
    ] {
        for text in texts {
            assert_eq!(code(&facets(), kind, text), Some(7011), "{kind:?} {text}");
        }
    }
}

#[test]
fn ranges_steps_and_sizes_are_7012() {
    let ranges = Facets { ranges: vec![(Some(0), Some(7)), (Some(-1), Some(-1)), (Some(100), None)], ..facets() };
    for text in ["0", "7", "-1", "5000"] {
        assert_eq!(code(&ranges, Kind::Int, text), None, "{text}");
    }
    assert_eq!(code(&ranges, Kind::Int, "8"), Some(7012));
    let fault = ranges.check("Level", Kind::Int, "8").unwrap_err();
    assert_eq!(fault.text, "Level must be 0 to 7 or -1 or at least 100");

    let step = Facets { step: Some(16), ..facets() };
    assert_eq!((code(&step, Kind::UnsignedInt, "32"), code(&step, Kind::UnsignedInt, "33")), (None, Some(7012)));

    let sizes = Facets { sizes: vec![(0, Some(0)), (2, Some(3))], ..facets() };
    assert_eq!(code(&sizes, Kind::String, ""), None);
    assert_eq!(code(&sizes, Kind::String, "äöü"), None);
    assert_eq!(code(&sizes, Kind::String, "x"), Some(7012));
    assert_eq!(code(&sizes, Kind::Base64, "AAEC"), None);
    assert_eq!(code(&sizes, Kind::Base64, "AA=="), Some(7012));
    assert_eq!(code(&sizes, Kind::HexBinary, "0011"), None);
    assert_eq!(code(&sizes, Kind::HexBinary, "00"), Some(7012));
}

#[test]
fn enumerations_and_patterns_are_7012() {
    let words = Facets { enumeration: vec!["Up".into(), "New Reno".into()], ..facets() };
    assert_eq!(code(&words, Kind::String, "New Reno"), None);
    assert_eq!(words.check("Status", Kind::String, "up").unwrap_err().text, "Status must be one of Up, New Reno");
    let patterns = Facets { patterns: vec!["".into(), "[0-9]{2}".into()], ..facets() };
    assert_eq!((code(&patterns, Kind::String, ""), code(&patterns, Kind::String, "12")), (None, None));
    assert_eq!(patterns.check("P", Kind::String, "1").unwrap_err().text, "P must be of the form \"\" or [0-9]{2}");
}

#[test]
fn lists_are_checked_element_by_element() {
    let list = List { min_items: 1, max_items: Some(3), max_length: Some(8) };
    let numbers = Facets { list: Some(list), ranges: vec![(Some(1), Some(1000))], ..facets() };
    assert_eq!(numbers.check("P", Kind::UnsignedInt, "1, 02 ,3").unwrap(), "1,2,3");
    assert_eq!(code(&numbers, Kind::UnsignedInt, "1,x"), Some(7011));
    for wrong in ["", "1,2,3,4", "1,1001", "1000,1000"] {
        assert_eq!(code(&numbers, Kind::UnsignedInt, wrong), Some(7012), "{wrong}");
    }
    let any = Facets { list: Some(List::default()), enumeration: vec!["a".into()], ..facets() };
    assert_eq!(any.check("P", Kind::String, "").unwrap(), "");
}

#[test]
fn an_error_is_short_and_never_repeats_the_value() {
    let many: Vec<Box<str>> = (0..100).map(|n| format!("Value{n}").into()).collect();
    let fault = Facets { enumeration: many, ..facets() }.check("P", Kind::String, "hunter2").unwrap_err();
    assert!(fault.text.len() < 200 && fault.text.ends_with("...") && !fault.text.contains("hunter2"), "{fault}");
}
