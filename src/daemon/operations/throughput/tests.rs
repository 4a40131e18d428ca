//! Tests of throughput with a server on loopback.

use super::*;
use crate::mtp::http::Patience;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

fn run_now<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// What a server does once it has read a request's head.
#[derive(Clone, Copy)]
enum Server {
    /// Sends a file of so many bytes.
    File(usize),
    /// Announces so many bytes more than it sends.
    Cut(usize),
    /// Sends without end.
    Endless,
    /// Takes a body, and answers with this status.
    Take(u16),
    /// Answers with this status, without a body.
    Status(u16),
    /// Says nothing.
    Silent,
}

/// Where it listens, the heads it got, and the bytes of bodies.
async fn server(does: Server) -> (u16, Arc<Mutex<(Vec<String>, Vec<u8>)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, got) = (listener.local_addr().unwrap().port(), Arc::<Mutex<(Vec<String>, Vec<u8>)>>::default());
    let kept = got.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp, does, kept.clone()));
        }
    });
    (port, got)
}

async fn serve(mut tcp: TcpStream, does: Server, got: Arc<Mutex<(Vec<String>, Vec<u8>)>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await?);
    }
    got.lock().unwrap().0.push(String::from_utf8(head).unwrap());
    let ok = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    match does {
        Server::File(length) => {
            tcp.write_all(ok(length).as_bytes()).await?;
            tcp.write_all(&vec![b'x'; length]).await?;
        }
        Server::Cut(more) => tcp.write_all(ok(more).as_bytes()).await?,
        Server::Endless => {
            tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                tcp.write_all(&[b'x'; 1000]).await?;
                sleep(Duration::from_millis(1)).await;
            }
        }
        Server::Take(status) => {
            tcp.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            let mut piece = [0; 65536];
            let chunked = got.lock().unwrap().0.last().unwrap().contains("chunked");
            while let Ok(read @ 1..) = tcp.read(&mut piece).await {
                let mut got = got.lock().unwrap();
                got.1.extend(&piece[..read]);
                let length = got.0[0].split("Content-Length: ").nth(1).and_then(|rest| rest.split('\r').next());
                let is_all = length.is_some_and(|length| got.1.len() >= length.parse().unwrap());
                if is_all || (chunked && got.1.ends_with(b"0\r\n\r\n")) {
                    break;
                }
            }
            tcp.write_all(format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n").as_bytes()).await?;
        }
        Server::Status(status) => {
            tcp.write_all(format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n").as_bytes()).await?;
        }
        Server::Silent => sleep(Duration::from_secs(60)).await,
    }
    tcp.shutdown().await
}

fn request(direction: Direction, port: u16, more: &[(&str, &str)]) -> Request {
    let url = format!("http://127.0.0.1:{port}/file?size=1");
    let name = if direction == Direction::Download { "DownloadURL" } else { "UploadURL" };
    let mut input: Named = vec![(name.to_owned(), url)];
    input.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Request::from_input(direction, &input, None, Client::default()).unwrap()
}

fn value<'a>(output: &'a Named, name: &str) -> &'a str {
    output.iter().find(|(given, _)| given == name).map_or("-", |(_, value)| value.as_str())
}

fn number(output: &Named, name: &str) -> u64 {
    value(output, name).parse().unwrap_or_else(|_| panic!("{name} of {output:?}"))
}

#[test]
fn a_file_comes_over_every_connection() {
    run_now(async {
        let (port, got) = server(Server::File(300_000)).await;
        let more = [("NumberOfConnections", "3"), ("EnablePerConnectionResults", "true"), ("DSCP", "10")];
        let mut asked = request(Direction::Download, port, &more);
        // A recorded interface would not count: that of the loopback does.
        asked.client.way.device = Some("lo".into());
        let output = run(&asked).await;
        assert_eq!((value(&output, "Status"), value(&output, "IPAddressUsed")), ("Complete", "127.0.0.1"));
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n".len() as u64;
        assert_eq!(number(&output, "TestBytesReceived"), 3 * (300_000 + head));
        for row in 1..=3 {
            let name = |name: &str| format!("PerConnectionResult.{row}.{name}");
            assert_eq!(number(&output, &name("TestBytesReceived")), 300_000 + head);
            let moments = ["TCPOpenRequestTime", "TCPOpenResponseTime", "ROMTime", "BOMTime", "EOMTime"].map(name);
            let moments: Vec<&str> = moments.iter().map(|name| value(&output, name)).collect();
            assert!(moments.is_sorted() && moments[0] > "2020", "{moments:?}");
        }
        assert!(number(&output, "TotalBytesReceived") >= 300_000, "{output:?}");
        let under_full = number(&output, "TestBytesReceivedUnderFullLoading");
        assert!(under_full <= number(&output, "TestBytesReceived"));
        assert_eq!(
            (value(&output, "PerConnectionResult.4.ROMTime"), value(&output, "IncrementalResult.1.EndTime")),
            ("-", "-")
        );
        let heads = got.lock().unwrap().0.clone();
        assert!(heads.len() == 3 && heads.iter().all(|head| head.starts_with("GET /file?size=1 HTTP/1.1\r\n")));
        assert!(!heads.concat().contains("Authorization"));
    });
}

#[test]
fn a_test_by_time_ends_in_time_and_is_told_in_parts() {
    run_now(async {
        let (port, _) = server(Server::Endless).await;
        let more =
            [("NumberOfConnections", "2"), ("TimeBasedTestDuration", "9"), ("TimeBasedTestMeasurementInterval", "9")];
        let asked = Request {
            duration: Some(Duration::from_millis(600)),
            interval: Some(Duration::from_millis(200)),
            ..request(Direction::Download, port, &more)
        };
        let begun = Instant::now();
        let output = run(&asked).await;
        assert!((Duration::from_millis(600)..Duration::from_millis(3000)).contains(&begun.elapsed()));
        assert_eq!(value(&output, "Status"), "Complete");
        assert_eq!(value(&output, "IncrementalResult.4.EndTime"), "-");
        let parts: Vec<u64> =
            (1..=3).map(|row| number(&output, &format!("IncrementalResult.{row}.TestBytesReceived"))).collect();
        let all = number(&output, "TestBytesReceivedUnderFullLoading");
        assert!(parts.iter().all(|part| *part > 0) && parts.iter().sum::<u64>() <= all, "{parts:?} of {all}");
        assert_eq!(value(&output, "IncrementalResult.1.EndTime"), value(&output, "IncrementalResult.2.StartTime"));
        assert!((100_000..3_000_000).contains(&number(&output, "PeriodOfFullLoading")));
    });
}

#[test]
fn a_file_goes_as_long_as_was_asked_for() {
    run_now(async {
        let (port, got) = server(Server::Take(201)).await;
        let output = run(&request(Direction::Upload, port, &[("TestFileLength", "100001")])).await;
        assert_eq!((value(&output, "Status"), number(&output, "TestBytesSent")), ("Complete", 100_001));
        let got = got.lock().unwrap();
        assert!(got.0[0].starts_with("PUT /file?size=1 HTTP/1.1\r\n") && got.1.len() == 100_001);
    });
}

#[test]
fn an_upload_by_time_ends_well() {
    run_now(async {
        let (port, got) = server(Server::Take(200)).await;
        let asked = request(Direction::Upload, port, &[("TimeBasedTestDuration", "9")]);
        let output = run(&Request { duration: Some(Duration::from_millis(300)), ..asked }).await;
        assert_eq!(value(&output, "Status"), "Complete");
        assert!(number(&output, "TestBytesSent") > 0);
        assert!(got.lock().unwrap().0[0].contains("Transfer-Encoding: chunked"));
    });
}

#[test]
fn why_a_test_fails() {
    use Direction::{Download, Upload};
    run_now(async {
        let cases = [
            (Download, Server::Cut(10), "Error_IncorrectSize"),
            (Download, Server::Status(404), "Error_TransferFailed"),
            (Download, Server::Status(401), "Error_LoginFailed"),
            (Download, Server::Silent, "Error_NoResponse"),
            (Upload, Server::Status(405), "Error_NoTransferComplete"),
            (Upload, Server::Take(500), "Error_NoTransferComplete"),
        ];
        for (direction, does, status) in cases {
            let (port, _) = server(does).await;
            let mut asked = request(direction, port, &[("TestFileLength", "10")]);
            asked.client.patience = Patience { answer: Duration::from_millis(300), ..Patience::default() };
            let output = run(&asked).await;
            assert_eq!((value(&output, "Status"), output.len()), (status, 1));
        }
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        assert_eq!(value(&run(&request(Download, nobody, &[])).await, "Status"), "Error_InitConnectionFailed");
        let unknown = [("DownloadURL".to_owned(), "http://no.such.invalid./".to_owned())];
        let unknown = Request::from_input(Download, &unknown, None, Client::default()).unwrap();
        assert_eq!(value(&run(&unknown).await, "Status"), "Error_CannotResolveHostName");
    });
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let refused = |url: &str, connections: &str| {
        let input = [("DownloadURL", url), ("NumberOfConnections", connections)];
        let input = input.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Request::from_input(Direction::Download, &input, None, Client::default()).err().unwrap()
    };
    let ftp = refused("ftp://192.0.2.1/file", "1");
    assert_eq!(
        (ftp.code, &*ftp.text),
        (Code::InvalidCommandArguments, "DownloadURL: FTP is not supported, only HTTP is")
    );
    assert_eq!(refused("http:/", "1").code, Code::InvalidCommandArguments);
    assert_eq!(refused("http://192.0.2.1/", "9").code, Code::InvalidCommandArguments);
}
