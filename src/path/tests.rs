use super::*;

fn strict(text: &str) -> Path<'_> {
    parse(text, Dialect::STRICT).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn lenient(text: &str) -> Path<'_> {
    parse(text, Dialect::LENIENT).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The steps, one word each, and the leaf.
fn outline(path: &Path<'_>) -> String {
    let mut words: Vec<String> = path.steps.iter().map(step_word).collect();
    words.push(match path.leaf {
        Leaf::Object => "object".into(),
        Leaf::Parameter(name) => format!("parameter:{name}"),
        Leaf::Command(name) => format!("command:{name}"),
        Leaf::Event(name) => format!("event:{name}"),
    });
    words.join(" ")
}

fn step_word(step: &Step<'_>) -> String {
    match step {
        Step::Name(name) => (*name).into(),
        Step::Instance(number) => number.to_string(),
        Step::Wildcard => "*".into(),
        Step::Template => "{i}".into(),
        Step::Follow(Follow { parameter, which: Which::One }) => format!("{parameter}+"),
        Step::Follow(Follow { parameter, which: Which::Nth(item) }) => format!("{parameter}#{item}+"),
        Step::Follow(Follow { parameter, which: Which::All }) => format!("{parameter}#*+"),
        Step::Search(expression) => expression.conditions.iter().map(condition_word).collect::<Vec<_>>().join("&"),
    }
}

fn condition_word(condition: &Condition<'_>) -> String {
    let Condition { parameter, operator, constant } = condition;
    let steps: Vec<_> = parameter.steps.iter().map(step_word).collect();
    format!("<{}:{} {operator:?} {:?}>", steps.join("."), parameter.parameter, constant.text())
}

/// Every path that TR-369's chapter on path names gives as valid.
#[test]
fn examples_of_the_standard() {
    let cases = [
        ("Device.IP.Interface.3", "Device IP Interface 3 object"),
        ("Device.IP.Interface.", "Device IP Interface object"),
        ("Device.WiFi.Radio.1.Stats.BytesSent", "Device WiFi Radio 1 Stats parameter:BytesSent"),
        (
            r#"Device.IP.Interface.[Name=="eth0"].IPv4Address.[Status=="Enabled"].IPAddress"#,
            r#"Device IP Interface <:Name Equal "eth0"> IPv4Address <:Status Equal "Enabled"> parameter:IPAddress"#,
        ),
        (r#"Device.IP.Interface.[Alias=="WAN"]"#, r#"Device IP Interface <:Alias Equal "WAN"> object"#),
        (
            r#"Device.NAT.PortMapping.[RemoteHost==""&&ExternalPort==0&&Protocol=="TCP"]."#,
            "Device NAT PortMapping \
             <:RemoteHost Equal \"\">&<:ExternalPort Equal \"0\">&<:Protocol Equal \"TCP\"> object",
        ),
        (
            r#"Device.IP.Interface.[Type=="Normal"&&Stats.ErrorsSent>0].Status"#,
            r#"Device IP Interface <:Type Equal "Normal">&<Stats:ErrorsSent Greater "0"> parameter:Status"#,
        ),
        (
            "Device.DSL.Line.[Enable==true].CurrentProfile",
            r#"Device DSL Line <:Enable Equal "true"> parameter:CurrentProfile"#,
        ),
        (
            "Device.IP.Interface.*.IPv6Address.[ValidLifetime<2021-06-06T08:00:00Z].IPAddress",
            "Device IP Interface * IPv6Address <:ValidLifetime Less \"2021-06-06T08:00:00Z\"> parameter:IPAddress",
        ),
        (
            "Device.USB.USBHosts.Host.*.Device.[DeviceClass==08].",
            r#"Device USB USBHosts Host * Device <:DeviceClass Equal "08"> object"#,
        ),
        (
            r#"Device.PCP.Client.*.Server.[Capabilities~="IPv6Firewall"]."#,
            r#"Device PCP Client * Server <:Capabilities Contains "IPv6Firewall"> object"#,
        ),
        (
            "Device.PeriodicStatistics.SampleSet.[SampleSeconds~=5].",
            r#"Device PeriodicStatistics SampleSet <:SampleSeconds Contains "5"> object"#,
        ),
        ("Device.IP.Interface.*.Type", "Device IP Interface * parameter:Type"),
        ("Device.NAT.PortMapping.1.Interface+.Name", "Device NAT PortMapping 1 Interface+ parameter:Name"),
        ("Device.WiFi.SSID.1.LowerLayers#1+.Name", "Device WiFi SSID 1 LowerLayers#1+ parameter:Name"),
        ("Device.WiFi.SSID.1.LowerLayers#*+.Name", "Device WiFi SSID 1 LowerLayers#*+ parameter:Name"),
        (
            r#"Device.WiFi.AccessPoint.[SSIDReference+.SSID=="MyHome"].AssociatedDevice.[OperatingStandard=="ac"].SignalStrength"#,
            "Device WiFi AccessPoint <SSIDReference+:SSID Equal \"MyHome\"> \
             AssociatedDevice <:OperatingStandard Equal \"ac\"> parameter:SignalStrength",
        ),
        (r#"Device.IP.Interface.[Name=="eth0"].Reset()"#, r#"Device IP Interface <:Name Equal "eth0"> command:Reset"#),
        ("Device.Boot!", "Device event:Boot"),
        (r#"Device.IP.Interface.[Type == "Normal"]."#, r#"Device IP Interface <:Type Equal "Normal"> object"#),
        (
            "Device.WiFi.AccessPoint.{i}.AssociatedDevice.{i}.",
            "Device WiFi AccessPoint {i} AssociatedDevice {i} object",
        ),
        ("Device.WiFi.AccessPoint.{i}.AssociatedDevice.", "Device WiFi AccessPoint {i} AssociatedDevice object"),
        ("Device.WiFi.Radio.{i}.Stats", "Device WiFi Radio {i} parameter:Stats"),
        ("Device.IP.Interface.{i}.Reset()", "Device IP Interface {i} command:Reset"),
        ("Device.LocalAgent.Controller.{i}.Triggered!", "Device LocalAgent Controller {i} event:Triggered"),
        ("Device.WiFi.SSID.1.LowerLayers+.", "Device WiFi SSID 1 LowerLayers+ object"),
        ("Device.", "Device object"),
        ("Device.LocalAgent.X_EXAMPLE-COM_Note", "Device LocalAgent parameter:X_EXAMPLE-COM_Note"),
    ];
    for (text, expected) in cases {
        assert_eq!(outline(&strict(text)), expected, "{text}");
        assert_eq!(outline(&lenient(text)), expected, "{text}");
    }
}

#[test]
fn every_malformed_class_has_its_reason_and_place() {
    let long = "D".repeat(MAX_LENGTH + 1);
    let deep = "D.".repeat(MAX_STEPS + 1);
    let wide = format!("Device.A.[{}].", vec!["B==1"; MAX_CONDITIONS + 1].join("&&"));
    let cases: &[(&str, Reason, usize)] = &[
        ("", Reason::Empty, 0),
        (&long, Reason::TooLong, MAX_LENGTH),
        (&deep, Reason::TooDeep, 2 * MAX_STEPS),
        (&wide, Reason::TooManyConditions, 10 + 6 * MAX_CONDITIONS),
        (".", Reason::ExpectedName, 0),
        (" Device.", Reason::ExpectedName, 0),
        ("Device..IP.", Reason::ExpectedName, 7),
        ("Device.-a", Reason::ExpectedName, 7),
        ("Device.ü", Reason::ExpectedName, 7),
        ("Device", Reason::ExpectedDot, 6),
        ("Device.IP.Interface.1x", Reason::ExpectedDot, 21),
        ("Device.IP.Interface.*x", Reason::ExpectedDot, 21),
        ("Device.IP.Ref+Name", Reason::ExpectedDot, 14),
        ("Device.A b", Reason::Unexpected, 8),
        ("Device.A ", Reason::Unexpected, 8),
        ("Device.Boot!.", Reason::Unexpected, 12),
        ("Device.Reboot().", Reason::Unexpected, 15),
        ("Device.Reboot(", Reason::Unexpected, 13),
        ("Device.1IP", Reason::ExpectedDot, 8),
        ("Device.IP.Interface.0.", Reason::InvalidInstance, 20),
        ("Device.IP.Interface.01.", Reason::InvalidInstance, 20),
        ("Device.IP.Interface.4294967296.", Reason::InvalidInstance, 20),
        ("Device.IP.Interface.1.2.", Reason::MisplacedInstance, 22),
        ("1.", Reason::MisplacedInstance, 0),
        ("Device.IP.Interface.*.*.", Reason::MisplacedInstance, 22),
        ("Device.A.Ref+.1.", Reason::MisplacedInstance, 14),
        ("Device.A.{i}.B.1.", Reason::AfterTemplate, 15),
        ("Device.A.{i}.B.*.", Reason::AfterTemplate, 15),
        ("Device.A.{i}.B.[C==1].", Reason::AfterTemplate, 15),
        ("Device.A.{i}.Ref+.C", Reason::AfterTemplate, 13),
        (r#"Device.IP.Interface.{Type=="Normal"}.Status"#, Reason::InvalidTemplate, 20),
        ("Device.A.{j}.", Reason::InvalidTemplate, 9),
        ("Device.A.Ref#+.B", Reason::InvalidFollow, 13),
        ("Device.A.Ref#0+.B", Reason::InvalidFollow, 13),
        ("Device.A.Ref#1.B", Reason::InvalidFollow, 14),
        ("Device.IP.Interface.[].", Reason::EmptyExpression, 21),
        ("Device.IP.Interface.[ ].", Reason::EmptyExpression, 22),
        (
            r#"Device.IP.Interface.[Type=="Normal"&&IPv4Address.*.AddressingType=="Static"].Status"#,
            Reason::ChildTable,
            49,
        ),
        ("Device.A.[B.1.C==1].", Reason::ChildTable, 12),
        ("Device.A.[B.[C==1].D==1].", Reason::ChildTable, 12),
        ("Device.A.[B].", Reason::ExpectedOperator, 11),
        ("Device.A.[B=1].", Reason::ExpectedOperator, 11),
        ("Device.A.[B=<1].", Reason::ExpectedOperator, 11),
        ("Device.A.[B+==1].", Reason::ExpectedDot, 12),
        ("Device.A.[==1].", Reason::ExpectedName, 10),
        ("Device.A.[B==].", Reason::ExpectedConstant, 13),
        ("Device.A.[B==&&C==1].", Reason::ExpectedConstant, 13),
        ("Device.A.[B==\"x].", Reason::UnclosedString, 14),
        ("Device.A.[B==\"x\"y\"].", Reason::ExpectedAndOrClose, 16),
        ("Device.A.[B==1||C==2].", Reason::ExpectedAndOrClose, 14),
        ("Device.A.[B==1&C==2].", Reason::ExpectedAndOrClose, 14),
        ("Device.A.[B==1&&].", Reason::ExpectedName, 16),
        ("Device.A.[B==1", Reason::ExpectedAndOrClose, 14),
        ("Device.A.[B==1]C", Reason::ExpectedDot, 15),
        ("Device.A.[B==My WiFi].", Reason::ExpectedAndOrClose, 16),
    ];
    for &(text, reason, at) in cases {
        let refused = parse(text, Dialect::STRICT).map(|path| outline(&path));
        assert_eq!(refused, Err(PathError { at, reason }), "{text}");
    }
}

#[test]
fn limits_themselves_are_allowed() {
    assert_eq!(strict(&"D.".repeat(MAX_STEPS)).steps.len(), MAX_STEPS);
    strict(&format!("Device.A.[{}].", vec!["B==1"; MAX_CONDITIONS].join("&&")));
    strict(&format!("Device.{}", "D".repeat(MAX_LENGTH - 7)));
    strict("Device.IP.Interface.4294967295.");
}

#[test]
fn lenient_understands_what_the_field_sends() {
    let cases = [
        ("Device", "parameter:Device"),
        ("Device.A.[B==My WiFi].C", r#"Device A <:B Equal "My WiFi"> parameter:C"#),
        ("Device.A.[B==a/b (1)&&C==2].", r#"Device A <:B Equal "a/b (1)">&<:C Equal "2"> object"#),
        ("Device.A.[ B == x && C == y ].", r#"Device A <:B Equal "x">&<:C Equal "y"> object"#),
        ("Device.A.*.B.{i}.", "Device A * B {i} object"),
    ];
    for (text, expected) in cases {
        assert_eq!(outline(&lenient(text)), expected, "{text}");
    }
    for text in
        ["Device.A.[B==1||C==2].", "Device.A.[B==x==y].", "Device.A.[B==x\"].", "Device.A.[B==x", "Device.A.[B== ]."]
    {
        assert!(parse(text, Dialect::LENIENT).is_err(), "{text}");
    }
}

#[test]
fn object_part_of_a_path() {
    let cases = [
        ("Device.IP.Interface.1.Name", "Device.IP.Interface.1."),
        ("Device.IP.Interface.1.Reset()", "Device.IP.Interface.1."),
        ("Device.Boot!", "Device."),
        ("Device.IP.Interface.1.", "Device.IP.Interface.1."),
        ("Device.IP.Interface.1", "Device.IP.Interface.1"),
        ("Device.A.1.Ref+.Name", "Device.A.1.Ref+."),
    ];
    for (text, object) in cases {
        assert_eq!(strict(text).object(), object, "{text}");
    }
}

#[test]
fn kinds_of_path() {
    for (text, search, concrete, template) in [
        ("Device.A.1.B", false, true, false),
        ("Device.A.*.B", true, false, false),
        ("Device.A.[B==1].C", true, false, false),
        ("Device.A.1.Ref+.C", false, false, false),
        ("Device.A.1.Ref#*+.C", true, false, false),
        ("Device.A.{i}.C", false, false, true),
    ] {
        let path = strict(text);
        assert_eq!((path.is_search(), path.is_concrete(), path.has_template()), (search, concrete, template), "{text}");
    }
}

#[test]
fn relative_parameters() {
    let nested = parse_relative("MTP.STOMP.Destination").unwrap();
    assert_eq!((nested.steps.len(), nested.parameter), (2, "Destination"));
    assert_eq!(parse_relative("Enable").unwrap().steps, []);
    assert_eq!(parse_relative("BootParameter.1.Enable").unwrap().steps[1], Step::Instance(1));
    for text in ["", "A.", "A.*.B", "A.[B==1].C", "Ref+.C", "A.{i}.B", "Reset()", "Boot!", "1.A", "A B", "A.1"] {
        assert!(parse_relative(text).is_err(), "{text}");
    }
}

#[test]
fn lists_of_paths() {
    let list = r#" Device.A.[B=="x,y"&&C==1]., ,Device.B.*.C,Device.D"#;
    let items: Vec<_> = split_list(list).collect();
    assert_eq!(items, [r#"Device.A.[B=="x,y"&&C==1]."#, "Device.B.*.C", "Device.D"]);
    assert_eq!(split_list("").count(), 0);
}

#[test]
fn quotes_and_percent_signs_in_strings() {
    for (raw, text) in [
        ("%22quoted%22", "\"quoted\""),
        ("100%25", "100%"),
        ("%2522", "%22"),
        ("50% off", "50% off"),
        ("%", "%"),
        ("%2", "%2"),
        ("%+1", "%+1"),
        ("%FF", "%FF"),
        ("ü%25", "ü%"),
        ("a&&b]", "a&&b]"),
    ] {
        let path = format!("Device.A.[B==\"{raw}\"].");
        let path = strict(&path);
        let Some(Step::Search(expression)) = path.steps.last() else { panic!("{raw}: no expression") };
        assert_eq!(expression.conditions[0].constant.text(), text, "{raw}");
    }
}

fn holds(condition: &str, value: &str, kind: Kind) -> Result<bool, Mismatch> {
    let text = format!("Device.A.[B{condition}].");
    let path = strict(&text);
    let Some(Step::Search(expression)) = path.steps.last() else { panic!("{condition}: no expression") };
    expression.conditions[0].holds(value, kind)
}

#[test]
fn conditions_compare_by_type() {
    use Scalar::{Base64, Boolean, DateTime, HexBinary, Number, String};
    let noon = "2021-06-06T12:00:00Z";
    for (value, kind, condition, expected) in [
        ("Up", String, r#"=="Up""#, true),
        ("Up", String, r#"=="up""#, false),
        ("Up", String, r#"!="Down""#, true),
        ("", String, r#"=="""#, true),
        ("true", Boolean, "==1", true),
        ("0", Boolean, "==false", true),
        ("1", Boolean, "!=true", false),
        ("", Boolean, "!=true", true),
        ("123", Number, "==+0123", true),
        ("9", Number, "<10", true),
        ("-2", Number, "<-1", true),
        ("-1", Number, "<0", true),
        ("-0", Number, "==0", true),
        ("18446744073709551615", Number, ">18446744073709551614", true),
        ("10", Number, ">=10", true),
        ("10", Number, "<=9", false),
        ("1.50", Number, "==1.5", true),
        ("1.25", Number, "<1.3", true),
        ("", Number, "<10", false),
        ("", Number, "!=10", true),
        (noon, DateTime, ">2021-06-06T08:00:00Z", true),
        (noon, DateTime, "==2021-06-06T14:00:00+02:00", true),
        (noon, DateTime, "<2021-06-06T12:00:00.000001Z", true),
        (noon, DateTime, ">=2021-06-06T12:00:00.000Z", true),
        ("2024-02-29T23:59:59Z", DateTime, "<2024-03-01T00:00:00Z", true),
        ("2100-02-28T23:00:00Z", DateTime, "==2100-03-01T00:00:00+01:00", true),
        ("2000-02-29T23:00:00Z", DateTime, "==2000-03-01T00:00:00+01:00", true),
        ("2023-12-31T23:30:00-01:00", DateTime, "==2024-01-01T00:30:00Z", true),
        ("0001-01-01T00:00:00Z", DateTime, "<2021-06-06T08:00:00Z", false),
        ("0001-01-01T00:00:00Z", DateTime, "==0001-01-01T00:00:00Z", true),
        ("9999-12-31T23:59:59Z", DateTime, ">2021-06-06T08:00:00Z", true),
        ("0a", HexBinary, "==0A", true),
        ("08", HexBinary, r#"!="09""#, true),
        ("QQ==", Base64, r#"=="QQ==""#, true),
    ] {
        assert_eq!(holds(condition, value, Kind::One(kind)), Ok(expected), "{value} {condition}");
    }
}

#[test]
fn lists_contain_exact_elements() {
    use Scalar::{Number, String};
    for (value, kind, condition, expected) in [
        ("a,b, c", String, r#"~="c""#, true),
        ("abc,b", String, r#"~="a""#, false),
        ("", String, r#"~="""#, false),
        ("a%2Cb,c", String, r#"~="a,b""#, true),
        ("1, 05,7", Number, "~=5", true),
        ("a,b", String, r#"=="a, b""#, true),
        ("a,b", String, r#"!="b,a""#, true),
    ] {
        assert_eq!(holds(condition, value, Kind::List(kind)), Ok(expected), "{value} {condition}");
    }
}

#[test]
fn conditions_that_do_not_fit_the_type() {
    use Mismatch::{Constant, Operator};
    use Scalar::{Base64, Boolean, DateTime, HexBinary, Number, String};
    for (kind, condition, expected) in [
        (Kind::One(String), r#"<"a""#, Operator),
        (Kind::One(Boolean), ">=true", Operator),
        (Kind::One(HexBinary), "<08", Operator),
        (Kind::One(Base64), r#">"QQ==""#, Operator),
        (Kind::One(Number), "~=1", Operator),
        (Kind::One(String), r#"~="a""#, Operator),
        (Kind::List(String), r#"<"a""#, Operator),
        (Kind::One(DateTime), "<0001-01-01T00:00:00Z", Operator),
        (Kind::One(String), "==Normal", Constant),
        (Kind::One(Boolean), r#"=="true""#, Constant),
        (Kind::One(Boolean), "==yes", Constant),
        (Kind::One(Number), r#"=="1""#, Constant),
        (Kind::One(Number), "==1x", Constant),
        (Kind::One(Number), "==-", Constant),
        (Kind::One(Number), "==1.2.3", Constant),
        (Kind::One(DateTime), "<2021-06-06", Constant),
        (Kind::One(DateTime), "<2021-13-06T08:00:00Z", Constant),
        (Kind::One(DateTime), "<2021-06-06T08:00:00.Z", Constant),
        (Kind::One(HexBinary), "==0G", Constant),
        (Kind::List(Number), r#"~="5""#, Constant),
    ] {
        assert_eq!(holds(condition, "1", kind), Err(expected), "{condition} on {kind:?}");
    }
}

#[test]
fn lenient_strings_need_no_quotes() {
    let path = lenient("Device.A.[B==My WiFi].");
    let Some(Step::Search(expression)) = path.steps.last() else { panic!("no expression") };
    assert_eq!(expression.conditions[0].holds("My WiFi", Kind::One(Scalar::String)), Ok(true));
}

/// Pieces glued together at random: whatever parses says what it was made of, nothing panics.
#[test]
fn random_paths() {
    const PIECES: [&str; 22] = [
        "Device.", "IP.", "A", "1.", "*.", "{i}.", "[", "]", "].", "B==1", "B~=\"x\"", "&&", "Ref+.", "Ref#2+.", "#",
        "()", "!", "\"", " ", "ü", "%", ".",
    ];
    let mut state = 0x2545_F491_u32;
    let mut accepted = 0;
    for round in 0..20_000 {
        let mut text = String::from("Device.");
        for _ in 0..=round % 6 {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            text.push_str(PIECES[state as usize % PIECES.len()]);
        }
        if let Ok(path) = parse(&text, Dialect::STRICT) {
            accepted += 1;
            assert_eq!(path.text, text);
            assert!(text.starts_with(path.object()), "{text}");
            let again = parse(&text, Dialect::LENIENT).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(outline(&again), outline(&path), "lenient must read what strict reads: {text}");
        }
    }
    assert!(accepted > 100, "only {accepted} paths were valid");
}
