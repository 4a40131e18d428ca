//! The client against a server on loopback that follows a script, well-meaning and hostile.

use super::*;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// What a server does with one connection, once it has read the request's head.
#[derive(Clone)]
enum Act {
    /// Sends this.
    Say(Vec<u8>),
    /// Sends this again and again, until nobody takes it.
    Forever(&'static [u8]),
    /// Reads this many bytes of a body.
    Read(usize),
    /// Does nothing for a while.
    Wait(u64),
}

fn say(text: &str) -> Act {
    Act::Say(text.as_bytes().to_vec())
}

/// A server with one script per connection, the last for all that follow.
struct Server {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    bodies: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    async fn new(scripts: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heads, bodies) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<Vec<u8>>>::default());
        let (told, kept) = (heads.clone(), bodies.clone());
        tokio::spawn(async move {
            for at in 0.. {
                let (tcp, _) = listener.accept().await.unwrap();
                let script = scripts[at.min(scripts.len() - 1)].clone();
                tokio::spawn(play(tcp, script, port, told.clone(), kept.clone()));
            }
        });
        Self { port, heads, bodies }
    }

    fn url(&self, target: &str) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}{target}", self.port)).ok().unwrap()
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn play(
    mut tcp: TcpStream,
    script: Vec<Act>,
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    bodies: Arc<Mutex<Vec<u8>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = tcp.read_u8().await else { return };
        head.push(byte);
    }
    heads.lock().unwrap().push(String::from_utf8(head).unwrap());
    for act in script {
        match act {
            Act::Say(bytes) => {
                let text = String::from_utf8_lossy(&bytes).replace("PORT", &port.to_string());
                if tcp.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Act::Forever(bytes) => while tcp.write_all(bytes).await.is_ok() {},
            Act::Read(count) => {
                let mut body = vec![0; count];
                if tcp.read_exact(&mut body).await.is_err() {
                    return;
                }
                bodies.lock().unwrap().extend(body);
            }
            Act::Wait(ms) => sleep(Duration::from_millis(ms)).await,
        }
    }
}

/// One that loses patience soon.
fn client() -> Client {
    let soon = Duration::from_millis(200);
    Client { patience: Patience { connect: 5 * soon, answer: soon, stall: soon }, ..Client::default() }
}

async fn body(answer: &mut Answer) -> Result<Vec<u8>, HttpFault> {
    let (mut body, mut piece) = (Vec::new(), [0; 7]);
    loop {
        match answer.read(&mut piece).await? {
            0 => return Ok(body),
            read => body.extend_from_slice(&piece[..read]),
        }
        assert!(body.len() < 1_000_000, "a body without end");
    }
}

/// What comes of a GET that is answered like this.
async fn got(script: Vec<Act>) -> Result<Vec<u8>, HttpFault> {
    let server = Server::new(vec![script]).await;
    let mut answer = client().ask("GET", &server.url("/f"), &[]).await?;
    body(&mut answer).await
}

async fn got_text(answer: &str) -> Result<String, HttpFault> {
    Ok(String::from_utf8(got(vec![say(answer)]).await?).unwrap())
}

#[tokio::test]
async fn bodies_by_length_by_chunks_and_by_the_end_of_the_connection() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let cases = [
        format!("{ok}Content-Length: 5\r\n\r\nhello and more that does not belong to it"),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n03\r\nllo\r\n0\r\nTrailer: x\r\n\r\n"),
        format!("{ok}\r\nhello"),
        "HTTP/1.0 200 OK\r\n\r\nhello".to_owned(),
        format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{ok}Content-Length: 5\r\n\r\nhello"
        ),
    ];
    for case in cases {
        assert_eq!(got_text(&case).await.as_deref(), Ok("hello"), "{case}");
    }
    assert_eq!(got_text("HTTP/1.1 204 No Content\r\n\r\nx").await.as_deref(), Ok(""));
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_the_same() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n";
    let script = text.bytes().flat_map(|byte| [Act::Say(vec![byte]), Act::Wait(1)]).collect();
    assert_eq!(got(script).await.as_deref(), Ok(&b"0123456789x"[..]));
}

#[tokio::test]
async fn a_body_that_is_cut_is_no_body() {
    let cases = [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ];
    for case in cases {
        assert_eq!(got_text(case).await, Err(HttpFault::Cut), "{case}");
    }
}

#[tokio::test]
async fn what_is_not_http_as_it_should_be_is_refused() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let cases = [
        "SSH-2.0-dropbear\r\n".to_owned(),
        "HTTP/2 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 2x0 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 099 x\r\n\r\n".to_owned(),
        format!("{ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        format!("{ok}Content-Length: 99999999999999999999\r\n\r\n"),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n"),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"),
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nx".to_owned(),
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-4/9\r\n\r\n".to_owned(),
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/9\r\n\r\n".to_owned(),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(20),
    ];
    for case in cases {
        assert!(matches!(got_text(&case).await, Err(HttpFault::Protocol(_))), "{case}");
    }
}

#[tokio::test]
async fn heads_and_lines_without_end_are_not_kept() {
    let ok = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let scripts = [
        vec![say("HTTP/1.1 200 OK\r\n"), Act::Forever(b"A: bcdefghijklmnop\r\n")],
        vec![say("HTTP/1.1 200 OK\r\nA: "), Act::Forever(b"bcdefghijklmnop")],
        vec![Act::Forever(b"\r\n")],
        vec![Act::Say(ok.clone()), Act::Forever(b"0")],
        vec![Act::Say(ok), say("0\r\n"), Act::Forever(b"A: b\r\n")],
    ];
    for script in scripts {
        assert!(matches!(got(script).await, Err(HttpFault::Protocol(_))));
    }
}

#[tokio::test]
async fn every_step_has_its_deadline() {
    let begun = Instant::now();
    assert!(matches!(got(vec![Act::Wait(5000)]).await, Err(HttpFault::NoAnswer(_))));
    // A byte now and then is no answer.
    let drip = "HTTP/1.1 200 OK\r\nA: b".bytes().flat_map(|byte| [Act::Say(vec![byte]), Act::Wait(50)]).collect();
    assert!(matches!(got(drip).await, Err(HttpFault::NoAnswer(_))));
    let stalled = vec![say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), Act::Wait(5000)];
    assert!(matches!(got(stalled).await, Err(HttpFault::Stalled(_))));
    let stalled = vec![say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"), Act::Wait(5000)];
    assert!(matches!(got(stalled).await, Err(HttpFault::Stalled(_))));
    let ended = got(vec![]).await;
    assert!(matches!(ended, Err(HttpFault::Broken(_))), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn nobody_there_and_no_such_name() {
    let refused = client().ask("GET", &Url::parse("http://127.0.0.1:1/").ok().unwrap(), &[]).await.err().unwrap();
    assert!(matches!(refused, HttpFault::Connect(_)), "{refused}");
    let unknown = client().ask("GET", &Url::parse("http://no-such-host.invalid/").ok().unwrap(), &[]).await;
    assert!(matches!(unknown, Err(HttpFault::Name(_))));
    let six = Client { way: Way { family: super::super::Family::V6, ..Way::default() }, ..client() };
    let none = six.ask("GET", &Url::parse("http://127.0.0.1:1/").ok().unwrap(), &[]).await;
    assert!(matches!(none, Err(HttpFault::Name(_))));
}

#[tokio::test]
async fn a_device_and_a_codepoint_are_taken() {
    let server = Server::new(vec![vec![say("HTTP/1.1 200 OK\r\n\r\nx")]]).await;
    let lo = Way { device: Some("lo".into()), dscp: 10, ..Way::default() };
    let through = Client { way: lo, ..client() };
    assert!(through.ask("GET", &server.url("/"), &[]).await.is_ok());
    let none = Client { way: Way { device: Some("no-such0".into()), ..Way::default() }, ..client() };
    assert!(matches!(none.ask("GET", &server.url("/"), &[]).await, Err(HttpFault::Connect(_))));
}

#[tokio::test]
async fn a_part_of_a_file_says_where_it_begins() {
    let part =
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-4/5\r\nContent-Length: 2\r\nETag: \"v1\"\r\n\r\nlo";
    let server = Server::new(vec![vec![say(part)]]).await;
    let mut answer = client().ask("GET", &server.url("/f?secret"), &[("Range", "bytes=3-")]).await.unwrap();
    assert_eq!((answer.status, answer.offset, answer.size), (206, 3, Some(5)));
    assert_eq!(answer.validator.as_deref(), Some("\"v1\""));
    assert_eq!(body(&mut answer).await.as_deref(), Ok(&b"lo"[..]));
    let head = server.heads().remove(0);
    assert!(head.starts_with("GET /f?secret HTTP/1.1\r\nHost: 127.0.0.1:"), "{head}");
    assert!(head.contains("\r\nRange: bytes=3-\r\n") && !head.contains("Authorization"), "{head}");
    let broken = client().ask("GET", &server.url("/"), &[("Range", "bytes=\r\nX: y")]).await;
    assert!(matches!(broken, Err(HttpFault::Url(_))));
}

#[tokio::test]
async fn a_weak_validator_is_none() {
    let weak = "HTTP/1.1 200 OK\r\nETag: W/\"v1\"\r\nLast-Modified: Mon\r\nContent-Length: 0\r\n\r\n";
    let server = Server::new(vec![vec![say(weak)]]).await;
    let answer = client().ask("GET", &server.url("/"), &[]).await.unwrap();
    assert_eq!(answer.validator.as_deref(), Some("Mon"));
}

#[tokio::test]
async fn redirects_are_followed_so_far_and_no_farther() {
    let hop = |to: &str| vec![say(&format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"))];
    let end = vec![say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")];
    let server = Server::new(vec![hop("/b"), hop("c?d"), hop("http://localhost:PORT/e"), end]).await;
    let asker = Client { login: Some(Login { username: "u".into(), password: "p:w".into() }), ..client() };
    let mut answer = asker.ask("GET", &server.url("/a/a"), &[]).await.unwrap();
    assert_eq!(body(&mut answer).await.as_deref(), Ok(&b"ok"[..]));
    let lines: Vec<_> = server.heads().iter().map(|head| head.lines().next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["GET /a/a HTTP/1.1", "GET /b HTTP/1.1", "GET /c?d HTTP/1.1", "GET /e HTTP/1.1"]);
    let told: Vec<_> = server.heads().iter().map(|head| head.contains("Authorization: Basic dTpwOnc=\r\n")).collect();
    assert_eq!(told, [true, true, true, false], "another host is told no password");
    let server = Server::new(vec![hop("/again")]).await;
    assert!(matches!(client().ask("GET", &server.url("/"), &[]).await, Err(HttpFault::Redirect(_))));
    assert_eq!(server.heads().len(), MAX_REDIRECTS + 1);
    let server = Server::new(vec![hop("ftp://h/")]).await;
    assert!(matches!(client().ask("GET", &server.url("/"), &[]).await, Err(HttpFault::Url(_))));
}

#[tokio::test]
async fn a_status_that_refuses_is_told_without_what_was_asked_for() {
    let server = Server::new(vec![vec![say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nno!")]]).await;
    let login = Login { username: "me".into(), password: "secret".into() };
    let asker = Client { login: Some(login), ..client() };
    assert!(!format!("{asker:?}").contains("secret"));
    let refused = asker.ask("GET", &server.url("/secret"), &[]).await.unwrap().successful().err().unwrap();
    assert!(refused.to_string().contains("401") && !refused.to_string().contains("secret"), "{refused}");
    let colon = Client { login: Some(Login { username: "a:b".into(), password: String::new() }), ..client() };
    assert!(matches!(colon.ask("GET", &server.url("/"), &[]).await, Err(HttpFault::Url(_))));
}

const GO_ON: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const TAKEN: &str = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn a_body_is_sent_by_length_or_in_chunks() {
    let server = Server::new(vec![vec![say(GO_ON), Act::Read(5), say(TAKEN)]]).await;
    let asker = client();
    let mut upload = asker.send("PUT", &server.url("/f"), &[("Content-Type", "x/y")], Size::Known(5)).await.unwrap();
    upload.write(b"he").await.unwrap();
    upload.write(b"llo").await.unwrap();
    assert_eq!(upload.write(b"!").await, Err(HttpFault::Size));
    assert_eq!(upload.finish().await.unwrap().status, 201);
    assert_eq!(*server.bodies.lock().unwrap(), b"hello");
    let head = server.heads().remove(0);
    assert!(head.starts_with("PUT /f HTTP/1.1\r\n") && head.contains("\r\nContent-Length: 5\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: x/y\r\n") && head.contains("\r\nExpect: 100-continue\r\n"), "{head}");

    let sent = b"2\r\nhe\r\nc\r\nllo and more\r\n0\r\n\r\n";
    let server = Server::new(vec![vec![say(GO_ON), Act::Read(sent.len()), say(TAKEN)]]).await;
    let mut upload = asker.send("POST", &server.url("/f"), &[], Size::Chunks).await.unwrap();
    for piece in ["he", "", "llo and more"] {
        upload.write(piece.as_bytes()).await.unwrap();
    }
    assert!(upload.finish().await.unwrap().is_success());
    assert_eq!(*server.bodies.lock().unwrap(), sent);
}

#[tokio::test]
async fn a_server_that_knows_no_100_gets_the_body_after_a_while() {
    let server = Server::new(vec![vec![Act::Read(2), say("HTTP/1.1 20"), Act::Wait(20), say("0 OK\r\n\r\n")]]).await;
    let patience = Patience { answer: Duration::from_secs(5), ..client().patience };
    let asker = Client { patience, ..client() };
    let mut upload = asker.send("PUT", &server.url("/f"), &[], Size::Known(2)).await.unwrap();
    upload.write(b"ok").await.unwrap();
    assert_eq!(upload.finish().await.unwrap().status, 200);
    // The beginning of its word, at the wrong moment, is not lost.
    let script = vec![say("HTTP/1.1 1"), Act::Wait(1200), say("00 Go on\r\n\r\n"), Act::Read(2), say(TAKEN)];
    let server = Server::new(vec![script]).await;
    let mut upload = asker.send("PUT", &server.url("/f"), &[], Size::Known(2)).await.unwrap();
    upload.write(b"ok").await.unwrap();
    assert_eq!(upload.finish().await.unwrap().status, 201);
}

#[tokio::test]
async fn before_the_body_a_server_may_refuse_or_lead_elsewhere() {
    let lead = "HTTP/1.1 307 Temporary Redirect\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n";
    let server = Server::new(vec![vec![say(lead)], vec![say(GO_ON), Act::Read(2), say(TAKEN)]]).await;
    let asker = client();
    let mut upload = asker.send("PUT", &server.url("/f"), &[], Size::Known(2)).await.unwrap();
    upload.write(b"ok").await.unwrap();
    assert_eq!((upload.finish().await.unwrap().status, server.heads().len()), (201, 2));
    for refusal in ["HTTP/1.1 413 Too Large\r\n\r\n", "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"] {
        let server = Server::new(vec![vec![say(refusal)]]).await;
        let refused = asker.send("PUT", &server.url("/f"), &[], Size::Known(2)).await.err().unwrap();
        assert!(matches!(refused, HttpFault::Status { code: 413 | 302, .. }), "{refused}");
    }
    let server = Server::new(vec![vec![say(lead)]]).await;
    assert!(matches!(asker.send("PUT", &server.url("/"), &[], Size::Known(2)).await, Err(HttpFault::Redirect(_))));
}

#[tokio::test]
async fn a_server_that_takes_no_more_is_noticed() {
    let server = Server::new(vec![vec![say(GO_ON), Act::Wait(5000)]]).await;
    let asker = client();
    let mut upload = asker.send("PUT", &server.url("/f"), &[], Size::Chunks).await.unwrap();
    let piece = vec![0; 1 << 20];
    let mut fault = None;
    for _ in 0..64 {
        fault = upload.write(&piece).await.err();
        if fault.is_some() {
            break;
        }
    }
    assert!(matches!(fault, Some(HttpFault::Stalled(_))), "{fault:?}");
}

#[tokio::test]
async fn a_server_that_breaks_off_is_heard_out() {
    let server =
        Server::new(vec![vec![say(GO_ON), Act::Read(2), say("HTTP/1.1 507 Full\r\n\r\n"), Act::Wait(50)]]).await;
    let asker = client();
    let mut upload = asker.send("PUT", &server.url("/f"), &[], Size::Chunks).await.unwrap();
    let mut fault = None;
    while fault.is_none() {
        fault = upload.write(&[0; 1 << 16]).await.err();
    }
    assert_eq!(fault, Some(HttpFault::Status { code: 507, reason: "Full".into() }));
    let server = Server::new(vec![vec![say(GO_ON)]]).await;
    let upload = asker.send("PUT", &server.url("/f"), &[], Size::Known(9)).await.unwrap();
    assert!(matches!(upload.finish().await, Err(HttpFault::Size)), "less than announced");
}
