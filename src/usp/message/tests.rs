use super::*;

fn get(paths: &[&str]) -> ReqType {
    ReqType::Get(msg::Get { param_paths: paths.iter().map(|&path| path.into()).collect(), max_depth: 0 })
}

fn refused(bytes: &[u8]) -> (Option<String>, Code) {
    let fault = decode(Bytes::copy_from_slice(bytes)).unwrap_err();
    (fault.msg_id, fault.fault.code)
}

/// A message with the given header and body bytes.
fn message(header: &[u8], body: &[u8]) -> Vec<u8> {
    [&[0x0a, u8::try_from(header.len()).unwrap()], header, &[0x12, u8::try_from(body.len()).unwrap()], body].concat()
}

const GET_7: &[u8] = &[0x0a, 1, b'7', 0x10, 1];

#[test]
fn what_goes_out_comes_back_in() {
    let incoming = decode(request("7", get(&["Device."])));
    assert_eq!(incoming, Ok(Incoming::Request { msg_id: "7".into(), request: get(&["Device."]) }));

    let answer = RespType::NotifyResp(msg::NotifyResp { subscription_id: "boot".into() });
    let incoming = decode(response("8", answer.clone()));
    assert_eq!(incoming, Ok(Incoming::Response { msg_id: "8".into(), response: answer }));

    let fault = Fault::new(Code::InvalidPath, "no such path");
    let bytes = error("9", &fault, vec![param_error("Device.X", &fault)]);
    let Ok(Incoming::Error { msg_id, error }) = decode(bytes) else { panic!("not an Error") };
    assert_eq!((msg_id.as_str(), error.err_code, error.err_msg.as_str()), ("9", 7026, "no such path"));
    assert_eq!((error.param_errs[0].param_path.as_str(), error.param_errs[0].err_code), ("Device.X", 7026));
}

#[test]
fn headers_agree_with_bodies() {
    let header = |bytes: Bytes| msg::Msg::decode(bytes).unwrap().header.unwrap().msg_type();
    assert_eq!(header(request("1", get(&[]))), MsgType::Get);
    assert_eq!(header(response("1", RespType::SetResp(msg::SetResp::default()))), MsgType::SetResp);
    assert_eq!(header(error("1", &Fault::new(Code::InternalError, ""), vec![])), MsgType::Error);
}

/// What is encoded piece by piece is what prost makes of the whole.
#[test]
fn messages_are_encoded_as_prost_encodes_them() {
    let whole = |msg_id: &str, msg_type: MsgType, body: MsgBody| {
        let header = msg::Header { msg_id: msg_id.into(), msg_type: msg_type.into() };
        msg::Msg { header: Some(header), body: Some(msg::Body { msg_body: Some(body) }) }.encode_to_vec()
    };
    for length in [0, 1, 100, 127, 128, 20_000] {
        let text = "x".repeat(length);
        let sent = msg::Notify { subscription_id: text.clone(), ..Default::default() };
        let body = MsgBody::Request(msg::Request { req_type: Some(ReqType::Notify(sent.clone())) });
        assert_eq!(notify("7", &sent), whole("7", MsgType::Notify, body));
        let body = MsgBody::Request(msg::Request { req_type: Some(get(&[&text])) });
        assert_eq!(request(&text, get(&[&text])), whole(&text, MsgType::Get, body));
        let answer = RespType::NotifyResp(msg::NotifyResp { subscription_id: text.clone() });
        let body = MsgBody::Response(msg::Response { resp_type: Some(answer.clone()) });
        assert_eq!(response("7", answer), whole("7", MsgType::NotifyResp, body));
        let fault = Fault::new(Code::InternalError, text);
        assert_eq!(error("7", &fault, vec![]), whole("7", MsgType::Error, MsgBody::Error((&fault).into())));
    }
}

/// What is decoded piece by piece is what prost makes of the whole, and refused where prost refuses it.
#[test]
fn messages_are_decoded_as_prost_decodes_them() {
    let fault = Fault::new(Code::InternalError, "why");
    let args = [("Host".to_owned(), "a".to_owned())].into();
    let operate =
        msg::Operate { command: "Device.IP.Diagnostics.IPPing()".into(), input_args: args, ..Default::default() };
    let setting = msg::set::UpdateParamSetting { param: "Name".into(), value: "a".into(), required: true };
    let object = msg::set::UpdateObject { obj_path: "Device.X.".into(), param_settings: vec![setting] };
    let whole =
        |bytes: &Bytes| decode_within(bytes, MAX_ENTRIES, |_| msg::Msg::decode(bytes.clone()).ok().and_then(incoming));
    let mut dice = 7_u32;
    let mut roll = |sides: usize| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (dice >> 8) as usize % sides
    };
    let (mut taken, mut refused) = (0, 0);
    for message in [
        request("7", get(&["Device.", "Device.LocalAgent."])),
        request("7", ReqType::Operate(operate)),
        request("7", ReqType::Set(msg::Set { allow_partial: true, update_objs: vec![object] })),
        response("7", RespType::NotifyResp(msg::NotifyResp { subscription_id: "boot".into() })),
        error("7", &fault, vec![param_error("Device.X", &fault)]),
    ] {
        assert!(decode(message.clone()).is_ok());
        for _ in 0..20_000 {
            let mut bytes = message.to_vec();
            for _ in 0..=roll(2) {
                let at = roll(bytes.len());
                match roll(4) {
                    0 => bytes[at] = bytes[at].wrapping_add(1 + roll(3) as u8),
                    1 => bytes[at] ^= 1 << roll(8),
                    2 => bytes.insert(at, roll(256) as u8),
                    _ => drop(bytes.remove(at)),
                }
            }
            let bytes = Bytes::from(bytes);
            let decoded = decode(bytes.clone());
            assert_eq!(decoded, whole(&bytes), "{bytes:?}");
            *if decoded.is_ok() { &mut taken } else { &mut refused } += 1;
        }
    }
    assert!(taken > 1000 && refused > 1000, "{taken} {refused}");
}

/// R-MSG.10
#[test]
fn the_body_is_believed() {
    let header = msg::Header { msg_id: "7".into(), msg_type: MsgType::DeleteResp.into() };
    let body = msg::Body { msg_body: Some(MsgBody::Request(msg::Request { req_type: Some(get(&[])) })) };
    let bytes = msg::Msg { header: Some(header), body: Some(body) }.encode_to_vec();
    assert!(matches!(decode(bytes.into()), Ok(Incoming::Request { .. })));
}

#[test]
fn requests_that_can_be_refused_by_id() {
    let back = Some("7".to_owned());
    // Request { get: Get {} }, then the same with a flaw.
    assert!(decode(message(GET_7, &[0x0a, 2, 0x0a, 0]).into()).is_ok());
    for (bytes, code) in [
        // An empty request; a body without any; R-ENC.5.
        (message(GET_7, &[0x0a, 0]), Code::InvalidArguments),
        (message(GET_7, &[]), Code::InvalidArguments),
        // Two requests in one, as one field twice and as two bodies.
        (message(GET_7, &[0x0a, 4, 0x0a, 0, 0x22, 0]), Code::InvalidArguments),
        (message(GET_7, &[0x0a, 2, 0x0a, 0, 0x0a, 2, 0x0a, 0]), Code::InvalidArguments),
        // A request of number 15, from a later version.
        (message(GET_7, &[0x0a, 2, 0x7a, 0]), Code::MessageNotSupported),
        (message(&[0x0a, 1, b'7', 0x10, 99], &[0x0a, 2, 0x7a, 0]), Code::MessageNotSupported),
        // A msg_type that is not known for a request that is; R-ENC.2.
        (message(&[0x0a, 1, b'7', 0x10, 99], &[0x0a, 2, 0x0a, 0]), Code::InvalidArguments),
        // A path that is not UTF-8, and one that is longer than its message.
        (message(GET_7, &[0x0a, 5, 0x0a, 3, 0x0a, 1, 0xff]), Code::InvalidArguments),
        (message(GET_7, &[0x0a, 5, 0x0a, 3, 0x0a, 9, b'x']), Code::InvalidArguments),
        // Two headers.
        ([&[0x0a, 5], GET_7, &message(GET_7, &[0x0a, 2, 0x0a, 0])].concat(), Code::InvalidArguments),
    ] {
        assert_eq!(refused(&bytes), (back.clone(), code), "{bytes:?}");
        assert_eq!(request_id(&bytes), back, "{bytes:?}");
    }
}

#[test]
fn messages_that_are_ignored() {
    for bytes in [
        &b""[..],
        b"\xff",
        b"GET / HTTP/1.1\r\n",
        // No header; no msg_id; a msg_id that is not UTF-8.
        &[0x12, 4, 0x0a, 2, 0x0a, 0],
        &message(&[0x10, 1], &[0x0a, 2, 0x0a, 0]),
        &message(&[0x0a, 1, 0xff], &[0x0a, 2, 0x0a, 0]),
        // Responses and Errors are never answered.
        &message(&[0x0a, 1, b'7', 0x10, 2], &[0x12, 0]),
        &message(&[0x0a, 1, b'7', 0x10, 2], &[]),
    ] {
        assert_eq!(refused(bytes).0, None, "{bytes:?}");
        assert_eq!(request_id(bytes), None, "{bytes:?}");
    }
    let long = request(&"x".repeat(MAX_MSG_ID + 1), get(&[]));
    assert_eq!(refused(&long).0, None);
}

#[test]
fn entries_are_limited_before_decoding() {
    let paths = vec![""; MAX_ENTRIES];
    assert!(decode(request("7", get(&paths))).is_ok());
    let paths = vec![""; MAX_ENTRIES + 1];
    assert_eq!(refused(&request("7", get(&paths))), (Some("7".into()), Code::ResourcesExceeded));

    let object = msg::set::UpdateObject {
        obj_path: String::new(),
        param_settings: vec![msg::set::UpdateParamSetting::default(); MAX_ENTRIES],
    };
    let set = ReqType::Set(msg::Set { allow_partial: false, update_objs: vec![object] });
    assert_eq!(refused(&request("7", set)).1, Code::ResourcesExceeded);
}

#[test]
fn answers_are_limited_too() {
    let fault = Fault::new(Code::InternalError, "");
    let errors = error("7", &fault, vec![param_error("", &fault); MAX_ENTRIES]);
    assert_eq!(refused(&errors), (None, Code::ResourcesExceeded));
    assert!(decode_at_controller(errors).is_ok());

    let results = vec![msg::register_resp::RegisteredPathResult::default(); MAX_ENTRIES + 1];
    let answer = RespType::RegisterResp(msg::RegisterResp { registered_path_results: results });
    assert_eq!(refused(&response("7", answer)), (None, Code::ResourcesExceeded));
}

#[test]
fn responses_that_only_a_controller_asks_for() {
    let answer = RespType::GetResp(msg::GetResp { req_path_results: vec![Default::default(); 3] });
    let bytes = response("7", answer.clone());
    assert_eq!(refused(&bytes), (None, Code::MessageNotSupported));
    assert_eq!(decode_at_controller(bytes), Ok(Incoming::Response { msg_id: "7".into(), response: answer }));
}

#[test]
fn versions_in_common() {
    assert_eq!(common_version("1.0,1.1,1.2"), Some((1, 2)));
    assert_eq!(common_version("1.3, 1.9, 2.0"), Some((1, 3)));
    assert_eq!(common_version("2.0"), None);
    assert_eq!(common_version(""), None);
    for text in ["", "1", "1.", ".4", "1.4.1", "v1.4", "1.+4", "1. 4", "1.99999"] {
        assert_eq!(parse_version(text), None, "{text}");
    }
}
