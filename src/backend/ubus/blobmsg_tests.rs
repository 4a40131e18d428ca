use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn nest(levels: usize) -> Table {
    (1..levels).fold(Table::default(), |inner, _| Table::default().with("t", inner))
}

#[test]
fn attributes_look_as_libubox_writes_them() {
    let one = |name, value: Value| encode(&Table::default().with(name, value)).unwrap();
    assert_eq!(one("i8", Value::Int8(1)), bytes("8700000d 00026938 00000000 01000000"));
    assert_eq!(one("i16", Value::Int16(0x1234)), bytes("8600000e 00036931 36000000 12340000"));
    assert_eq!(one("null", Value::Null), bytes("8000000c 00046e75 6c6c0000"));
    assert_eq!(one("", Value::Int32(0)), bytes("8500000c 00000000 00000000"));
}

#[test]
fn malformed_attributes_are_dropped_and_the_rest_is_kept() {
    let good = bytes("8500000c 00000000 00000007");
    let kept = decode(&good);
    for (what, bad) in [
        ("int32 of two bytes", "8500000a 00000000 00070000"),
        ("int8 of two bytes", "8700000a 00000000 00070000"),
        ("double of four bytes", "8800000c 00000000 00000000"),
        ("string without NUL", "8300000b 00000000 61626300"),
        ("string of no bytes", "83000008 00000000"),
        ("name longer than the attribute", "8500000c 00ff6100 00000007"),
        ("name without NUL", "8500000c 00016162 00000007"),
        ("no name at all", "05000008 00000007"),
        ("no such type", "8900000c 00000000 00000007"),
        ("header without name", "85000004"),
    ] {
        let both = [bytes(bad), good.clone()].concat();
        assert_eq!(decode(&both), kept, "{what}");
        assert_eq!(decode(&bytes(bad)), Ok(Table::default()), "{what}");
    }
}

#[test]
fn what_overruns_its_container_ends_it() {
    let good = bytes("8500000c 00000000 00000007");
    for bad in ["8500000d 00000000 00000007", "85ffffff 0000", "85000003", "85000000", "850000"] {
        let both = [good.clone(), bytes(bad)].concat();
        assert_eq!(decode(&both), decode(&good), "{bad}");
    }
}

#[test]
fn texts_end_at_their_first_nul_and_may_hold_any_bytes() {
    let text = |payload: &str| {
        let table = decode(&bytes(&format!("8300{:04x}00000000{payload}", 8 + payload.len() / 2))).unwrap();
        table.get("").and_then(Value::as_str).map(str::to_owned)
    };
    assert_eq!(text("61006200").as_deref(), Some("a"));
    assert_eq!(decode(&bytes("85000010 00036100 62000000 00000001")), Ok(Table::default().with("a", 1)));
    assert_eq!(text("61ff6200").as_deref(), Some("a\u{fffd}b"));
}

#[test]
fn nesting_has_an_end_both_ways() {
    let deepest = encode(&nest(MAX_DEPTH)).unwrap();
    assert_eq!(decode(&deepest), Ok(nest(MAX_DEPTH)));
    assert_eq!(encode(&nest(MAX_DEPTH + 1)), Err(Refusal::TooDeep));
    let mut deeper = Vec::new();
    put(&mut deeper, kind::TABLE, Some("t"), |out| {
        out.extend_from_slice(&deepest);
        Ok(())
    })
    .unwrap();
    assert_eq!(decode(&deeper), Err(Refusal::TooDeep));
}

#[test]
fn size_has_an_end_both_ways() {
    let text = |length: usize| Table::default().with("", "x".repeat(length).as_str());
    assert!(encode(&text(MAX_MESSAGE - 9)).is_ok());
    assert_eq!(encode(&text(MAX_MESSAGE - 8)), Err(Refusal::TooLarge));
    assert_eq!(decode(&vec![0; MAX_MESSAGE + 1]), Err(Refusal::TooLarge));
    let values = |count| Table::default().with("", Value::Array(vec![Value::Null; count]));
    assert_eq!(decode(&encode(&values(MAX_VALUES - 1)).unwrap()), Ok(values(MAX_VALUES - 1)));
    assert_eq!(decode(&encode(&values(MAX_VALUES)).unwrap()), Err(Refusal::TooLarge));
}

#[test]
fn a_nul_inside_a_text_or_name_is_refused() {
    assert_eq!(encode(&Table::default().with("a", "b\0c")), Err(Refusal::Nul));
    assert_eq!(encode(&Table::default().with("a\0b", 1)), Err(Refusal::Nul));
}
