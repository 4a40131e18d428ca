//! Heads that are cut, flipped and made up: each gets an answer or an error, none a panic.

use super::client::tests as client;
use super::server::tests as server;
use crate::mtp::http::head::{Head, HeadFault};

/// Both halves, whatever the bytes are meant for; the server's answer has to be HTTP or nothing.
async fn try_both(bytes: &[u8]) {
    let _ = client::opened(bytes).await;
    let _ = Head::parse(bytes);
    let (response, _) = server::answered(bytes).await;
    if !response.is_empty() {
        let [version, status, _] = Head::parse(response.as_bytes()).unwrap().start;
        assert_eq!(version, "HTTP/1.1");
        assert!(["101", "400", "404", "405", "426", "431", "505"].contains(&status), "{response}");
    }
}

#[tokio::test]
async fn a_head_cut_anywhere_is_not_finished() {
    for end in 0..server::GOOD.len() {
        assert_eq!(server::answered(&server::GOOD.as_bytes()[..end]).await.0, "");
    }
    for end in 0..client::GOOD.len() {
        let cut = client::opened(&client::GOOD.as_bytes()[..end]).await.unwrap_err();
        assert!(matches!(cut, super::client::Failure::Head(HeadFault::Unfinished)), "{cut:?}");
    }
}

#[tokio::test]
async fn every_byte_flipped_removed_or_doubled_does_no_harm() {
    for good in [server::GOOD, client::GOOD] {
        for at in 0..good.len() {
            for other in (0..8).map(|bit| good.as_bytes()[at] ^ (1 << bit)).chain([0, b'\r', b'\n', b' ', b':', 0xff]) {
                let mut bytes = good.as_bytes().to_vec();
                bytes[at] = other;
                try_both(&bytes).await;
            }
            let (before, after) = good.as_bytes().split_at(at);
            try_both(&[before, &after[1..]].concat()).await;
            try_both(&[before, &after[..1], after].concat()).await;
        }
    }
}

/// Numbers that are the same in every run (xorshift).
fn numbers(mut state: u32) -> impl FnMut(usize) -> usize {
    move |below| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        usize::try_from(state).unwrap() % below
    }
}

#[tokio::test]
async fn heads_of_random_pieces_do_no_harm() {
    let lines: Vec<&str> = server::GOOD.split_inclusive("\r\n").chain(client::GOOD.split_inclusive("\r\n")).collect();
    let odd =
        ["\r", "\n", "\r\n\r\n", ":", " ", "\0", "\u{85}", "%", "eid=%f", "HTTP/1.1 ", "GET ", "://", "#", "?", "\t"];
    let mut number = numbers(0x5eed_1234);
    for _ in 0..5_000 {
        let mut bytes = Vec::new();
        for _ in 0..number(24) {
            let piece = if number(3) == 0 { odd[number(odd.len())] } else { lines[number(lines.len())] };
            bytes.extend_from_slice(piece.as_bytes());
        }
        if let (1.., true) = (bytes.len(), number(2) == 0) {
            let at = number(bytes.len());
            bytes[at] = u8::try_from(number(256)).unwrap();
        }
        try_both(&bytes).await;
    }
}

#[tokio::test]
async fn noise_does_no_harm() {
    let mut number = numbers(0x0bad_cafe);
    for _ in 0..2_000 {
        let bytes: Vec<u8> = (0..number(200)).map(|_| u8::try_from(number(256)).unwrap()).collect();
        try_both(&bytes).await;
    }
}
