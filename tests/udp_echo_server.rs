//! `Device.IP.Diagnostics.UDPEchoConfig.`: the real program on a simulated router, enabled by a controller, and sent packets
//! to by addresses of loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "support/scene.rs"]
mod scene;

use rustix::process::Signal;
use scene::{SOON, Scene};
use std::net::UdpSocket;
use std::time::{Duration, Instant};
use usp_agent::demo::controller::{Controller, Operated};
use usp_agent::usp::endpoint_id::EndpointId;

const CONTROLLER: &str = "self::test";
const CONFIG: &str = "Device.IP.Diagnostics.UDPEchoConfig.";
/// How long silence is waited for.
const SILENCE: Duration = Duration::from_millis(150);

fn play<F: Future<Output = ()>>(test: impl FnOnce(Scene, Controller, u16) -> F) {
    Scene::play(|mut scene| async move {
        let (mut controller, port) = Controller::on_websocket(&EndpointId::parse(CONTROLLER).unwrap()).unwrap();
        scene.start(&format!(
            "config controller 'test'\n\toption url 'ws://127.0.0.1:{port}/usp'\n\toption EndpointID '{CONTROLLER}'\n\toption AllowUnencrypted '1'\n\tlist role 'full'\n"
        ));
        controller.agent(SOON).await.unwrap();
        let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        test(scene, controller, free).await;
    });
}

/// Enables the server for 127.0.0.7, plus what else is said of it, and waits until it is there.
async fn enabled(controller: &mut Controller, scene: &mut Scene, port: u16, more: &[(&str, &str)]) {
    let port = port.to_string();
    let mut settings = vec![("Enable", "true"), ("SourceIPAddress", "127.0.0.7"), ("UDPPort", &*port)];
    settings.extend(more);
    controller.set(CONFIG, &settings).await.unwrap();
    scene.until_logged(&format!("udp-echo=started port={port}")).await;
}

fn client(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    socket
}

/// What comes back.
fn sent(socket: &UdpSocket, port: u16, packet: &[u8]) -> Option<Vec<u8>> {
    socket.send_to(packet, ("127.0.0.1", port)).unwrap();
    let mut buffer = [0; 65536];
    let length = socket.recv(&mut buffer).ok()?;
    Some(buffer[..length].to_vec())
}

async fn counted(controller: &mut Controller) -> [u32; 4] {
    let mut counts = [0; 4];
    for (count, name) in
        counts.iter_mut().zip(["PacketsReceived", "PacketsResponded", "BytesReceived", "BytesResponded"])
    {
        *count = controller.value(&format!("{CONFIG}{name}")).await.unwrap().parse().unwrap();
    }
    counts
}

#[test]
fn one_address_is_answered_and_counted() {
    play(|mut scene, mut controller, port| async move {
        enabled(&mut controller, &mut scene, port, &[]).await;
        let (asker, stranger) = (client("127.0.0.7"), client("127.0.0.8"));
        let longest = vec![7; 9000];
        for packet in [&b"here"[..], b"", &[0; 24], &longest] {
            assert_eq!(sent(&asker, port, packet).as_deref(), Some(packet));
        }
        assert_eq!(sent(&stranger, port, b"here"), None);
        assert_eq!(sent(&asker, port, &[7; 9001]), None);
        let bytes = 4 + 24 + 9000 + 4 * 8;
        assert_eq!(counted(&mut controller).await, [4, 4, bytes, bytes]);
        let first = controller.value(&format!("{CONFIG}TimeFirstPacketReceived")).await.unwrap();
        let last = controller.value(&format!("{CONFIG}TimeLastPacketReceived")).await.unwrap();
        assert!(
            "2026" < &*first && first < last && last.len() == "2026-11-25T00:00:00.000000Z".len(),
            "{first} {last}"
        );
        // Off: what was counted stays, and nobody is there.
        controller.set(CONFIG, &[("Enable", "false")]).await.unwrap();
        let begun = Instant::now();
        while UdpSocket::bind(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < SOON);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(sent(&asker, port, b"here"), None);
        assert_eq!(counted(&mut controller).await[0], 4);
        enabled(&mut controller, &mut scene, port, &[]).await;
        assert_eq!(counted(&mut controller).await, [0; 4]);
        // For another one, at the same port.
        controller.set(CONFIG, &[("SourceIPAddress", "127.0.0.8")]).await.unwrap();
        scene.until_logged(&format!("udp-echo=started port={port} for=127.0.0.8")).await;
        assert_eq!(sent(&stranger, port, b"here").as_deref(), Some(&b"here"[..]));
        assert_eq!(sent(&asker, port, b"here"), None);
    });
}

#[test]
fn plus_fills_in_its_fields() {
    play(|mut scene, mut controller, port| async move {
        enabled(&mut controller, &mut scene, port, &[("EchoPlusEnabled", "true")]).await;
        let asker = client("127.0.0.7");
        let fields = |packet: &[u8]| -> Vec<u32> {
            packet.chunks_exact(4).map(|field| u32::from_be_bytes(field.try_into().unwrap())).collect()
        };
        let question = [0xff; 28];
        let first = fields(&sent(&asker, port, &question).unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
        let second = fields(&sent(&asker, port, &question).unwrap());
        for (fields, number) in [(&first, 0), (&second, 1)] {
            let [asked, answered, came, left, failures, iteration, rest] = fields[..] else { panic!("{fields:?}") };
            assert_eq!((asked, answered, failures, iteration, rest), (u32::MAX, number, 0, u32::MAX, u32::MAX));
            assert!(came <= left && left - came < 100_000, "{came} {left}");
        }
        assert!((20_000..2_000_000).contains(&(second[2] - first[2])), "{first:?} {second:?}");
        assert_eq!(sent(&asker, port, &[1; 19]), Some(vec![1; 19]), "no room for the fields");
    });
}

#[test]
fn it_speaks_with_the_diagnostics_and_through_the_interface_asked_for() {
    play(|mut scene, mut controller, port| async move {
        let rows = controller.get(&["Device.IP.Interface.[Name==\"loopback\"].Name"]).await.unwrap();
        let loopback = rows[0].0.trim_end_matches(".Name").to_owned();
        let more = [("Interface", &*loopback), ("SourceIPAddress", "127.0.0.1"), ("EchoPlusEnabled", "true")];
        enabled(&mut controller, &mut scene, port, &more).await;
        let shown = scene.router.config("usp-agent").unwrap();
        assert!(shown.contains("option Interface 'loopback'"), "{shown}");
        let port = port.to_string();
        let input = [
            ("Host", "127.0.0.1"),
            ("Port", &*port),
            ("NumberOfRepetitions", "3"),
            ("Timeout", "5000"),
            ("InterTransmissionTime", "1"),
        ];
        let started = controller.operate("Device.IP.Diagnostics.UDPEchoDiagnostics()", "echo", &input).await.unwrap();
        assert!(matches!(started, Operated::Request(_)), "{started:?}");
        let begun = Instant::now();
        while counted(&mut controller).await[1] < 3 {
            assert!(begun.elapsed() < SOON);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn what_stands_in_its_way_is_told_and_tried_again() {
    play(|scene, mut controller, port| async move {
        let taken = UdpSocket::bind(("0.0.0.0", port)).unwrap();
        let text = port.to_string();
        let settings = [("Enable", "true"), ("SourceIPAddress", "127.0.0.7"), ("UDPPort", &*text)];
        controller.set(CONFIG, &settings).await.unwrap();
        scene.until_logged(&format!("udp-echo=stopped port={port} cause=\"Address already in use")).await;
        drop(taken);
        scene.signal(Signal::HUP);
        scene.until_logged(&format!("udp-echo=started port={port} for=127.0.0.7")).await;
        assert_eq!(sent(&client("127.0.0.7"), port, b"here").as_deref(), Some(&b"here"[..]));
        // Nobody's address: it is off, and says so.
        controller.set(CONFIG, &[("SourceIPAddress", "")]).await.unwrap();
        scene.until_logged("udp-echo=off section=udpecho cause=\"SourceIPAddress is missing or wrong\"").await;
    });
}
