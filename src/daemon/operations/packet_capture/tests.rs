//! Captures with a program that stands in for tcpdump.

use super::*;
use crate::backend::scratch::Scratch;
use std::path::Path;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

/// One capture at a time, also among tests.
static ONE: Mutex<()> = Mutex::const_new(());

fn run_now<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _alone = ONE.lock().await;
        test.await
    })
}

fn packet(size: u32) -> Vec<u8> {
    let mut packet = [1_u32, 2, size, size + 7].map(u32::to_ne_bytes).concat();
    packet.extend(vec![b'p'; size as usize]);
    packet
}

fn header() -> Vec<u8> {
    [MAGIC, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_ne_bytes).concat()
}

const MAGIC: u32 = 0xa1b2_c3d4;

/// What stands in for tcpdump: it writes these bytes and does this then.
fn request(folder: &Scratch, bytes: &[u8], then: &str, more: &[(&str, &str)]) -> Request {
    folder.write("bytes", bytes);
    folder.write("then", then);
    let input: Named = more.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let device = folder.path().to_str().unwrap().to_owned();
    let usual = Request::from_input(&input, Some(device), Client::default()).ok().unwrap();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tcpdump.sh").into();
    Request { program, file: folder.path().join("capture.pcap"), ..usual }
}

fn value<'a>(output: &'a Named, name: &str) -> &'a str {
    output.iter().find(|(given, _)| given == name).map_or("-", |(_, value)| value.as_str())
}

#[test]
fn packets_are_kept_until_the_time_is_over() {
    run_now(async {
        let folder = Scratch::new("capture");
        let bytes = [header(), packet(60), packet(0), packet(1500), packet(99)[..50].to_vec()].concat();
        let filter = [("FilterExpression", "-z /bin/sh or port 53"), ("Duration", "1")];
        let begun = Instant::now();
        let output = run(&request(&folder, &bytes, "exec sleep 60", &filter)).await.unwrap();
        assert!((Duration::from_secs(1)..Duration::from_secs(10)).contains(&begun.elapsed()));
        assert_eq!((value(&output, "Status"), value(&output, "PacketCaptureResult.1.Count")), ("Complete", "3"));
        let file = folder.path().join("capture.pcap");
        assert_eq!(value(&output, "PacketCaptureResult.1.FileLocation"), format!("file://{}", file.display()));
        assert_eq!(std::fs::read(file).unwrap(), bytes[..bytes.len() - 50], "no half packet");
        let times =
            ["StartTime", "EndTime"].map(|name| value(&output, &format!("PacketCaptureResult.1.{name}")).to_owned());
        assert!(times[0] < times[1], "{times:?}");
        let args = std::fs::read_to_string(folder.path().join("args")).unwrap();
        let device = folder.path().display();
        assert_eq!(args, format!("-i {device} -n -U -w - -s 65535 -- -z /bin/sh or port 53\n"));
    });
}

#[test]
fn enough_is_enough() {
    run_now(async {
        let folder = Scratch::new("capture");
        let bytes = [header(), packet(60), packet(60), packet(60)].concat();
        let packets = 24 + 2 * 76;
        for (limit, size, count) in
            [(("PacketCount", "2"), packets, "2"), (("ByteCount", "200"), packets, "2"), (("ByteCount", "23"), 0, "0")]
        {
            let output = run(&request(&folder, &bytes, "exec sleep 60", &[limit])).await.unwrap();
            assert_eq!(value(&output, "PacketCaptureResult.1.Count"), count, "{limit:?}");
            assert_eq!(std::fs::metadata(folder.path().join("capture.pcap")).unwrap().len(), size, "{limit:?}");
        }
        let all =
            Request::from_input(&[("ByteCount".into(), "4000000000".into())], None, Client::default()).ok().unwrap();
        assert_eq!((all.bytes, all.duration, all.packets), (MAX_BYTES, DURATION, u32::MAX));
    });
}

#[test]
fn what_tcpdump_refuses_is_told() {
    run_now(async {
        let folder = Scratch::new("capture");
        let refused = async |request: Request| run(&request).await.err().unwrap();
        let words = "echo 'syntax error in filter' >&2; exit 1";
        let fault = refused(request(&folder, b"", words, &[])).await;
        assert_eq!((fault.code, &*fault.text), (Code::CommandFailure, "tcpdump refuses: syntax error in filter"));
        let huge = [header(), [1_u32, 2, 70_000, 1].map(u32::to_ne_bytes).concat()].concat();
        for bytes in [b"text that is no capture".to_vec(), huge] {
            let fault = refused(request(&folder, &bytes, "exec sleep 60", &[])).await;
            assert_eq!(&*fault.text, "tcpdump writes something else than libpcap");
        }
        let none = Request { program: "no-such-tcpdump".into(), ..request(&folder, b"", "", &[]) };
        assert!(refused(none).await.text.starts_with("there is no tcpdump: install"));
        let _running = Only::take().unwrap();
        assert_eq!(refused(request(&folder, b"", "", &[])).await.code, Code::ResourcesExceeded);
    });
}

#[test]
fn what_cannot_be_asked_is_refused() {
    for (name, text) in [("Format", "pcapng"), ("FileTarget", "ftp://192.0.2.1/x")] {
        let input = [(name.to_owned(), text.to_owned())];
        assert_eq!(
            Request::from_input(&input, None, Client::default()).err().unwrap().code,
            Code::InvalidCommandArguments
        );
    }
}

#[test]
fn a_canceled_capture_ends_tcpdump() {
    run_now(async {
        let folder = Scratch::new("capture");
        let then = format!("echo $$ > {}/pid; exec sleep 60", folder.path().display());
        let asked = request(&folder, &header(), &then, &[]);
        let pid = async {
            loop {
                match std::fs::read_to_string(folder.path().join("pid")) {
                    Ok(pid) if pid.ends_with('\n') => return pid.trim().to_owned(),
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let pid = tokio::select! {
            pid = pid => pid,
            _ = run(&asked) => panic!("it ended"),
        };
        assert!(!Path::new("/proc").join(&pid).exists(), "{pid} runs still");
        assert!(Only::take().is_some(), "the next may run");
    });
}

#[test]
fn the_file_goes_where_it_is_wanted() {
    run_now(async {
        let folder = Scratch::new("capture");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/up/a.pcap?token=1", listener.local_addr().unwrap());
        let bytes = [header(), packet(60)].concat();
        let (length, more) = (bytes.len(), [("FileTarget", &*url), ("PacketCount", "1")]);
        for (answer, status, is_there) in [("201 Created", "Complete", false), ("500 No", "Error_Other", true)] {
            let server = async {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let mut got = Vec::new();
                while !got.ends_with(b"\r\n\r\n") {
                    got.push(tcp.read_u8().await.unwrap());
                }
                tcp.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
                let mut body = vec![0; length];
                tcp.read_exact(&mut body).await.unwrap();
                tcp.write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await.unwrap();
                (String::from_utf8(got).unwrap(), body)
            };
            let asked = request(&folder, &bytes, "exec sleep 60", &more);
            let (output, (head, body)) = tokio::join!(run(&asked), server);
            let output = output.unwrap();
            assert_eq!(value(&output, "Status"), status);
            assert!(head.starts_with("PUT /up/a.pcap?token=1 HTTP/1.1\r\n"), "{head}");
            assert_eq!(body, bytes);
            assert_eq!(value(&output, "PacketCaptureResult.1.FileLocation") == url, !is_there);
            assert_eq!(folder.path().join("capture.pcap").exists(), is_there);
        }
    });
}
