//! Operations that a controller starts: the real program on a simulated router, the other ends on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/scene.rs"]
mod scene;

use scene::{SOON, Scene};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::rc::Rc;
use std::time::{Duration, Instant};
use usp_agent::backend::Table;
use usp_agent::backend::ubus::Signature;
use usp_agent::demo::controller::{Controller, Operated};
use usp_agent::usp::endpoint_id::EndpointId;
use usp_agent::usp::wire::msg::notify::Notification;
use usp_agent::usp::wire::msg::notify::operation_complete::OperationResp;

const CONTROLLER: &str = "self::test";

/// Runs a test with a controller that hears the end of every operation.
fn play<F: Future<Output = ()>>(test: impl FnOnce(Scene, Controller) -> F) {
    Scene::play(|mut scene| async move {
        let (mut controller, port) = Controller::on_websocket(&EndpointId::parse(CONTROLLER).unwrap()).unwrap();
        scene.start(&format!(
            "config controller 'test'\n\toption url 'ws://127.0.0.1:{port}/usp'\n\toption EndpointID '{CONTROLLER}'\n\toption AllowUnencrypted '1'\n\tlist role 'full'\n"
        ));
        controller.agent(SOON).await.unwrap();
        let settings =
            [("Enable", "true"), ("ID", "done"), ("NotifType", "OperationComplete"), ("ReferenceList", "Device.")];
        controller.add("Device.LocalAgent.Subscription.", &settings).await.unwrap();
        test(scene, controller).await;
    });
}

/// Starts an operation; its row in the Request table.
async fn start(controller: &mut Controller, command: &str, key: &str, input: &[(&str, &str)]) -> String {
    match controller.operate(command, key, input).await.unwrap() {
        Operated::Request(row) => row,
        other => panic!("{command}: {other:?}"),
    }
}

/// The end of the operation with this key: output arguments, or the fault's code.
async fn end(controller: &mut Controller, key: &str) -> Result<BTreeMap<String, String>, u32> {
    let is_it =
        |done: &Option<Notification>| matches!(done, Some(Notification::OperComplete(done)) if done.command_key == key);
    let notify = controller.notification(SOON, |notify| is_it(&notify.notification)).await.unwrap();
    let Some(Notification::OperComplete(done)) = notify.notification else { panic!("{notify:?}") };
    match done.operation_resp.unwrap() {
        OperationResp::ReqOutputArgs(output) => Ok(output.output_args),
        OperationResp::CmdFailure(failure) => Err(failure.err_code),
    }
}

/// A socket that sends back what it gets, on a thread that ends with the test's process.
fn echo_server() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            socket.send_to(&buffer[..length], from).unwrap();
        }
    });
    port.to_string()
}

const ECHO: &str = "Device.IP.Diagnostics.UDPEchoDiagnostics()";

#[test]
fn packets_come_back_through_the_interface_asked_for() {
    play(|scene, mut controller| async move {
        let _it_runs = &scene;
        let rows = controller.get(&["Device.IP.Interface.[Name==\"loopback\"].Name"]).await.unwrap();
        let loopback = rows[0].0.trim_end_matches(".Name").to_owned();
        let port = echo_server();
        let input = [
            ("Interface", &*loopback),
            ("Host", "127.0.0.1"),
            ("Port", &*port),
            ("NumberOfRepetitions", "3"),
            ("Timeout", "5000"),
            ("InterTransmissionTime", "5"),
            ("EnableIndividualPacketResults", "true"),
        ];
        start(&mut controller, ECHO, "through", &input).await;
        let output = end(&mut controller, "through").await.unwrap();
        assert_eq!((&*output["Status"], &*output["SuccessCount"]), ("Complete", "3"));
        assert_eq!(output["IndividualPacketResult.3.TestGenSN"], "3");
        // One that no interface is, and one without a device here.
        for path in ["Device.IP.Interface.99", "Device.IP.Diagnostics"] {
            let input = [("Interface", path), ("Host", "127.0.0.1"), ("Port", &*port), ("Timeout", "10")];
            start(&mut controller, ECHO, path, &input).await;
            assert_eq!(end(&mut controller, path).await, Err(7027), "{path}");
        }
    });
}

#[test]
fn several_run_side_by_side_and_each_can_be_canceled() {
    play(|scene, mut controller| async move {
        let _it_runs = &scene;
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port().to_string();
        let endless =
            [("Host", "127.0.0.1"), ("Port", &*port), ("NumberOfRepetitions", "4000000000"), ("Timeout", "60000")];
        let first = start(&mut controller, ECHO, "first", &endless).await;
        let second = start(&mut controller, ECHO, "second", &endless).await;
        // The agent goes on beside them.
        let lookup = [
            ("HostName", "www.example.com"),
            ("DNSServer", "127.0.0.77"),
            ("Timeout", "50"),
            ("NumberOfRepetitions", "2"),
        ];
        start(&mut controller, "Device.DNS.Diagnostics.NSLookupDiagnostics()", "lookup", &lookup).await;
        let output = end(&mut controller, "lookup").await.unwrap();
        assert_eq!((&*output["Result.2.DNSServerIP"], &*output["SuccessCount"]), ("127.0.0.77", "0"));
        assert_eq!((&*output["Status"], &*output["Result.1.AnswerType"]), ("Error_Other", "None"));
        let selection = [
            ("HostList", "127.0.0.1"),
            ("Protocol", "ICMP"),
            ("ProtocolVersion", "IPv4"),
            ("NumberOfRepetitions", "2"),
            ("Timeout", "5000"),
        ];
        start(&mut controller, "Device.IP.Diagnostics.ServerSelectionDiagnostics()", "fastest", &selection).await;
        assert_eq!(end(&mut controller, "fastest").await.unwrap()["FastestHost"], "127.0.0.1");
        controller.operate(&format!("{first}.Cancel()"), "", &[]).await.unwrap();
        assert_eq!(end(&mut controller, "first").await, Err(7023));
        assert_eq!(controller.value(&format!("{second}.Status")).await.unwrap(), "Active");
        controller.operate(&format!("{second}.Cancel()"), "", &[]).await.unwrap();
        assert_eq!(end(&mut controller, "second").await, Err(7023));
    });
}

#[test]
fn every_radio_tells_what_it_hears() {
    play(|scene, mut controller| async move {
        let _it_runs = &scene;
        start(&mut controller, "Device.WiFi.NeighboringWiFiDiagnostic()", "scan", &[]).await;
        let output = end(&mut controller, "scan").await.unwrap();
        assert_eq!(output["Status"], "Complete");
        let told = |name: &str| output.get(name).map(String::as_str);
        assert_eq!((told("Result.1.Radio"), told("Result.1.SSID")), (Some("Device.WiFi.Radio.1"), Some("Neighbour")));
        assert_eq!(
            (told("Result.1.SecurityModeEnabled"), told("Result.1.SignalStrength")),
            (Some("WPA2"), Some("-71"))
        );
        assert_eq!((told("Result.2.Radio"), told("Result.2.SSID")), (Some("Device.WiFi.Radio.2"), Some("")));
        assert_eq!((told("Result.2.OperatingChannelBandwidth"), told("Result.3.Radio")), (Some("80MHz"), None));
    });
}

#[test]
fn a_scan_that_no_radio_can_do_is_an_error() {
    play(|scene, mut controller| async move {
        scene.router.bus().withdraw("iwinfo");
        let until = Instant::now() + SOON;
        while scene.router.bus().paths().contains(&"iwinfo".to_owned()) {
            assert!(Instant::now() < until);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        start(&mut controller, "Device.WiFi.NeighboringWiFiDiagnostic()", "scan", &[]).await;
        let output = end(&mut controller, "scan").await.unwrap();
        assert_eq!((&*output["Status"], output.len()), ("Error", 1));
    });
}

#[test]
fn the_self_test_names_what_is_broken() {
    play(|scene, mut controller| async move {
        start(&mut controller, "Device.SelfTestDiagnostics()", "well", &[]).await;
        let output = end(&mut controller, "well").await.unwrap();
        assert_eq!(output["Status"], "Complete");
        assert!(output["Results"].starts_with("ubus: ok\nconfiguration: ok\nmemory: ok "), "{output:?}");
        assert!(output["Results"].ends_with("\ninterfaces: ok"), "{output:?}");
        scene.router.write_config("firewall", "config zone\n\toption\n").unwrap();
        scene.router.set_interface("wan", false);
        start(&mut controller, "Device.SelfTestDiagnostics()", "ill", &[]).await;
        let results = end(&mut controller, "ill").await.unwrap().remove("Results").unwrap();
        assert!(results.contains("\nconfiguration: failed firewall: "), "{results}");
        assert!(results.contains("\ninterfaces: failed wan is down"), "{results}");
    });
}

/// What is called of an object of netifd that stands in for the usual one and knows only these methods.
fn calls_of(scene: &Scene, object: &str, methods: &[&'static str]) -> Rc<std::cell::RefCell<Vec<String>>> {
    let called = Rc::<std::cell::RefCell<Vec<String>>>::default();
    let signature = methods.iter().fold(Signature::default(), |signature, method| signature.method(method, &[]));
    let told = called.clone();
    scene.router.bus().provide(object, &signature, move |method, _| {
        told.borrow_mut().push(method.to_owned());
        Ok::<_, u32>(Table::default())
    });
    called
}

#[test]
fn an_interface_is_restarted_also_where_netifd_has_no_word_for_it() {
    play(|scene, mut controller| async move {
        let rows = controller.get(&["Device.IP.Interface.[Name==\"lan\"].Name"]).await.unwrap();
        let lan = rows[0].0.trim_end_matches("Name").to_owned();
        let old = calls_of(&scene, "network.interface.lan", &["up", "down"]);
        controller.operate(&format!("{lan}Reset()"), "", &[]).await.unwrap();
        assert_eq!(*old.borrow(), ["down", "up"]);
        let new = calls_of(&scene, "network.interface.lan", &["up", "down", "restart"]);
        controller.operate(&format!("{lan}Reset()"), "", &[]).await.unwrap();
        assert_eq!(*new.borrow(), ["restart"]);
        let wifi = calls_of(&scene, "network.wireless", &["up", "down", "status"]);
        controller.operate("Device.WiFi.Reset()", "", &[]).await.unwrap();
        assert_eq!(*wifi.borrow(), ["down", "up"]);
        // One that is not enabled is left alone.
        controller.set(&lan, &[("Enable", "false")]).await.unwrap();
        controller.operate(&format!("{lan}Reset()"), "", &[]).await.unwrap();
        assert_eq!(*new.borrow(), ["restart"]);
    });
}

/// A server that sends a file of this length to each of so many connections, or takes what they bring.
fn http_server(length: usize, connections: usize) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for _ in 0..connections {
        let listener = listener.try_clone().unwrap();
        std::thread::spawn(move || {
            let (mut tcp, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                tcp.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            if head.starts_with(b"PUT ") {
                tcp.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
                tcp.read_exact(&mut vec![0; length]).unwrap();
                tcp.write_all(b"HTTP/1.1 204 Done\r\n\r\n").unwrap();
            } else {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                tcp.write_all(head.as_bytes()).unwrap();
                tcp.write_all(&vec![0; length]).unwrap();
            }
        });
    }
    port
}

#[test]
fn files_come_and_go_over_http() {
    play(|scene, mut controller| async move {
        let _it_runs = &scene;
        let url = format!("http://127.0.0.1:{}/file", http_server(200_000, 2));
        let input = [("DownloadURL", &*url), ("NumberOfConnections", "2"), ("EnablePerConnectionResults", "1")];
        start(&mut controller, "Device.IP.Diagnostics.DownloadDiagnostics()", "down", &input).await;
        let output = end(&mut controller, "down").await.unwrap();
        assert_eq!((&*output["Status"], &*output["IPAddressUsed"]), ("Complete", "127.0.0.1"));
        assert!(output["PerConnectionResult.2.TestBytesReceived"].parse::<u32>().unwrap() > 200_000);
        let url = format!("http://127.0.0.1:{}/file", http_server(100_000, 1));
        let input = [("UploadURL", &*url), ("TestFileLength", "100000")];
        start(&mut controller, "Device.IP.Diagnostics.UploadDiagnostics()", "up", &input).await;
        let output = end(&mut controller, "up").await.unwrap();
        assert_eq!((&*output["Status"], &*output["TestBytesSent"]), ("Complete", "100000"));
        let input = [("UploadURL", "ftp://127.0.0.1/file"), ("TestFileLength", "1")];
        start(&mut controller, "Device.IP.Diagnostics.UploadDiagnostics()", "ftp", &input).await;
        assert_eq!(end(&mut controller, "ftp").await, Err(7027));
    });
}
