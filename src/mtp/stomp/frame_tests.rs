use super::*;

/// Every frame in the bytes, whether they come at once or one by one.
fn decoded(bytes: &[u8]) -> Result<Vec<Frame>, &'static str> {
    let whole = run(bytes, bytes.len());
    let single = run(bytes, 1);
    assert_eq!(format!("{whole:?}"), format!("{single:?}"), "differs with the pieces the bytes come in");
    whole
}

fn run(bytes: &[u8], piece: usize) -> Result<Vec<Frame>, &'static str> {
    let (mut decoder, mut buffer, mut frames) = (Decoder::default(), BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece.max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.next(&mut buffer)? {
                Found::Frame(frame) => frames.push(frame),
                Found::Missing(missing) => {
                    assert!(missing > 0);
                    break;
                }
            }
        }
    }
    Ok(frames)
}

fn only(bytes: &[u8]) -> Frame {
    let mut frames = decoded(bytes).unwrap();
    assert_eq!(frames.len(), 1, "{frames:?}");
    frames.remove(0)
}

#[test]
fn a_message_with_a_binary_body_between_heart_beats() {
    let frame = only(b"\n\r\n\nMESSAGE\ncontent-length:4\nreply-to-dest:/queue/a\\cb\n\n\0\n\0x\0\n\n");
    assert_eq!((frame.command, frame.body.as_deref()), (Command::Message, Some(&b"\0\n\0x"[..])));
    assert_eq!(frame.header("reply-to-dest").as_deref(), Some("/queue/a:b"));
    assert_eq!(frame.header("reply-to"), None);
}

#[test]
fn lines_may_end_with_carriage_return_and_a_body_at_nul() {
    let frame = only(b"ERROR\r\nmessage:no entry\r\n\r\nfor you\0");
    assert_eq!((frame.command, frame.body.as_deref()), (Command::Error, Some(&b"for you"[..])));
    assert_eq!(frame.header("message").as_deref(), Some("no entry"));
    assert_eq!(only(b"RECEIPT\n\n\0").command, Command::Receipt);
}

#[test]
fn frames_follow_each_other() {
    let commands: Vec<_> =
        decoded(b"RECEIPT\nreceipt-id:1\n\n\0MESSAGE\n\nabc\0\nMESSAGE\ncontent-length:0\n\n\0").unwrap();
    let commands: Vec<_> = commands.iter().map(|frame| frame.command).collect();
    assert_eq!(commands, [Command::Receipt, Command::Message, Command::Message]);
}

#[test]
fn the_first_of_repeated_headers_counts_and_nothing_is_trimmed() {
    let frame = only(b"MESSAGE\na: one \na:two\n\n\0");
    assert_eq!(frame.header("a").as_deref(), Some(" one "));
}

#[test]
fn connected_is_read_with_colons_and_with_escapes() {
    for value in ["/queue/os::1", "/queue/os\\c\\c1"] {
        let frame = only(format!("CONNECTED\nversion:1.2\nsubscribe-dest:{value}\n\n\0").as_bytes());
        assert_eq!(frame.header("subscribe-dest").as_deref(), Some("/queue/os::1"));
    }
    assert_eq!(only(b"CONNECTED\nsession:a\\tb\\\n\n\0").header("session").as_deref(), Some("a\\tb\\"));
}

#[test]
fn what_breaks_the_standard_is_named() {
    let cases: [(&[u8], &str); 9] = [
        (b"HELLO\n\n\0", "no frame"),
        (b"MESSAGE\nno colon\n\n\0", "no colon"),
        (b"MESSAGE\na:b\\t\n\n\0", "escape"),
        (b"MESSAGE\na:b\\\n\n\0", "escape"),
        (b"MESSAGE\na:\xff\n\n\0", "UTF-8"),
        (b"MESSAGE\ncontent-length:-1\n\n\0", "content-length"),
        (b"MESSAGE\ncontent-length:2\n\nabc\0", "does not end"),
        (b"ERROR\n\0", "within its headers"),
        (b"ERROR\n\0MESSAGE\n\n\0", "within its headers"),
    ];
    for (bytes, word) in cases {
        let why = decoded(bytes).err().unwrap_or_else(|| panic!("{bytes:?} is taken"));
        assert!(why.contains(word), "{bytes:?}: {why}");
    }
}

#[test]
fn headers_without_end_are_cut_off() {
    for text in ["MESSAGE\n".to_owned(), format!("MESSAGE\na:{}\n\n\0", "b".repeat(MAX_HEAD))] {
        let bytes = [text.into_bytes(), vec![b'x'; MAX_HEAD]].concat();
        assert!(run(&bytes, 1000).unwrap_err().contains("limit"));
    }
}

#[test]
fn a_body_over_the_limit_is_left_out_and_what_follows_is_read() {
    let large = vec![b'x'; MAX_RECORD + 1];
    let with_length = format!("MESSAGE\ncontent-length:{}\n\n", large.len()).into_bytes();
    for head in [with_length, b"MESSAGE\n\n".to_vec()] {
        let bytes = [&head[..], &large, b"\0\nMESSAGE\n\nnext\0"].concat();
        for piece in [bytes.len(), 65_000] {
            let frames = run(&bytes, piece).unwrap();
            let bodies: Vec<_> = frames.iter().map(|frame| frame.body.as_deref()).collect();
            assert_eq!(bodies, [None, Some(&b"next"[..])]);
        }
    }
    let wrong =
        [format!("MESSAGE\ncontent-length:{MAX_RECORD}1\n\n").into_bytes(), vec![b'x'; MAX_RECORD * 11]].concat();
    assert!(run(&wrong, 1_000_000).unwrap_err().contains("does not end"));
}

#[test]
fn a_body_of_the_limit_is_kept() {
    let body = vec![b'x'; MAX_RECORD];
    for head in [format!("MESSAGE\ncontent-length:{MAX_RECORD}\n\n"), "MESSAGE\n\n".into()] {
        let frames = run(&[head.as_bytes(), &body, b"\0"].concat(), 60_000).unwrap();
        assert_eq!(frames[0].body.as_deref(), Some(&body[..]));
    }
}

#[test]
fn what_we_send_is_escaped() {
    let text = head("SEND", &[("destination", "/queue/os::1"), ("odd", "a\\b\r\nc\0d")]);
    assert_eq!(text, "SEND\ndestination:/queue/os\\c\\c1\nodd:a\\\\b\\r\\ncd\n\n");
}
