//! Look-ups at a server on loopback that follows a script, well-meaning and hostile.

use super::*;
use crate::mtp::dns::tests::{record, reply};
use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr};

fn run_now<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

fn input(more: &[(&str, &str)]) -> Named {
    let usual = [("HostName", "www.example.com"), ("Timeout", "2000"), ("NumberOfRepetitions", "1")];
    let mut input: Named = usual.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    for (name, value) in more {
        input.retain(|(given, _)| given != name);
        input.push(((*name).into(), (*value).into()));
    }
    input
}

fn request(more: &[(&str, &str)], resolver: &str) -> Request {
    Request::from_input(&input(more), Through::default(), resolver).unwrap()
}

/// A server at `address` that answers a question with the messages `script` makes of it.
async fn server<const V4: bool>(script: impl Fn(&[u8]) -> Vec<Vec<u8>> + 'static + Send) -> SocketAddr {
    let address: IpAddr = if V4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let socket = UdpSocket::bind((address, 0)).await.unwrap();
    let at = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for message in script(&buffer[..length]) {
                socket.send_to(&message, from).await.unwrap();
            }
        }
    });
    at
}

/// Asks that server.
fn at(server: SocketAddr, more: &[(&str, &str)]) -> Request {
    Request { defaults: vec![server.ip()], port: server.port(), ..request(more, "") }
}

fn is_six(question: &[u8]) -> bool {
    question[question.len() - 3] == 28
}

fn good(question: &[u8]) -> Vec<u8> {
    match is_six(question) {
        true => reply(question, 0b100, 0, &[record(28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])]),
        false => reply(question, 0b100, 0, &[record(1, &[192, 0, 2, 1])]),
    }
}

fn value<'a>(output: &'a Named, name: &str) -> &'a str {
    output.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value.as_str())
}

#[test]
fn both_kinds_of_addresses_are_told() {
    run_now(async {
        let place = server::<true>(|question| vec![good(question)]).await;
        let output = run(&at(place, &[("NumberOfRepetitions", "2")])).await.output();
        assert_eq!((value(&output, "Status"), value(&output, "SuccessCount")), ("Complete", "2"));
        for row in ["Result.1", "Result.2"] {
            let value = |name: &str| value(&output, &format!("{row}.{name}")).to_owned();
            assert_eq!((value("Status"), value("AnswerType")), ("Success".into(), "Authoritative".into()));
            assert_eq!(value("HostNameReturned"), "www.example.com");
            let mut addresses: Vec<String> = value("IPAddresses").split(',').map(str::to_owned).collect();
            addresses.sort();
            assert_eq!(addresses, ["192.0.2.1", "2001:db8::1"]);
            assert_eq!(value("DNSServerIP"), "127.0.0.1");
            assert!(value("ResponseTime").parse::<u32>().unwrap() < 2000);
        }
    });
}

#[test]
fn a_server_of_ipv6_is_asked_as_well() {
    run_now(async {
        if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await.is_err() {
            return;
        }
        let place = server::<false>(|question| vec![good(question)]).await;
        let report = run(&Request { server: Some("::1".into()), defaults: vec![], ..at(place, &[]) }).await;
        assert_eq!((report.status, report.lookups[0].server), (Status::Complete, IpAddr::from(Ipv6Addr::LOCALHOST)));
    });
}

#[test]
fn what_no_question_asked_for_is_passed_over() {
    run_now(async {
        let place = server::<true>(|question| {
            let mut guessed = good(question);
            guessed[1] ^= 1;
            let forged = |length: usize| reply(question, 0, 0, &[record(1, &[6, 6, 6, 6])])[..length].to_vec();
            let mut circle = reply(question, 0, 0, &[record(1, &[6, 6, 6, 6])]);
            circle[question.len() + 1] = u8::try_from(question.len()).unwrap();
            vec![guessed, vec![], question.to_vec(), forged(12), forged(question.len() + 14), circle, good(question)]
        });
        let report = run(&at(place.await, &[])).await;
        assert_eq!(report.lookups[0].found, Found::Success);
        assert_eq!(report.lookups[0].addresses.len(), 2, "{report:?}");
        assert!(!report.lookups[0].addresses.contains(&IpAddr::from([6, 6, 6, 6])));
    });
}

#[test]
fn an_answer_that_comes_late_does_not_count() {
    run_now(async {
        let silent = server::<true>(|_| vec![]).await;
        let begun = Instant::now();
        let report = run(&at(silent, &[("Timeout", "60")])).await;
        assert!((Duration::from_millis(60)..Duration::from_millis(900)).contains(&begun.elapsed()));
        assert_eq!((report.status, report.lookups[0].found), (Status::Error_Other, Found::Error_Timeout));
        let output = report.output();
        assert_eq!((value(&output, "Result.1.AnswerType"), value(&output, "Result.1.ResponseTime")), ("None", "0"));
        assert_eq!((value(&output, "SuccessCount"), value(&output, "Result.1.HostNameReturned")), ("0", ""));
    });
}

#[test]
fn one_kind_alone_is_a_success() {
    run_now(async {
        let place = server::<true>(|question| if is_six(question) { vec![] } else { vec![good(question)] }).await;
        let report = run(&at(place, &[("Timeout", "500")])).await;
        assert_eq!((report.status, report.lookups[0].addresses.len()), (Status::Complete, 1));
    });
}

#[test]
fn why_a_name_is_not_found() {
    run_now(async {
        for (code, found) in
            [(3, Found::Error_HostNameNotResolved), (0, Found::Error_HostNameNotResolved), (2, Found::Error_Other)]
        {
            let place = server::<true>(move |question| vec![reply(question, 0, code, &[])]).await;
            assert_eq!(run(&at(place, &[])).await.lookups[0].found, found, "RCODE {code}");
        }
        let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(run(&at(nobody, &[])).await.lookups[0].found, Found::Error_DNSServerNotAvailable);
        let unknown = Request { server: Some("no.such.invalid.".into()), ..request(&[], "") };
        assert_eq!(run(&unknown).await.status, Status::Error_DNSServerNotResolved);
    });
}

#[test]
fn the_next_server_is_asked_where_one_cannot_help() {
    run_now(async {
        let place = server::<true>(|question| vec![good(question)]).await;
        // Nobody listens at that port of the first.
        let request = Request { defaults: vec![IpAddr::from([127, 0, 0, 2]), place.ip()], ..at(place, &[]) };
        let report = run(&request).await;
        assert_eq!((report.status, report.lookups[0].server), (Status::Complete, place.ip()));
    });
}

#[test]
fn resolv_conf_names_servers_and_the_domain() {
    let text = "# x\nsearch lan other\nnameserver 192.0.2.53\nnameserver\t2001:db8::53\nnameserver x\n";
    let more = "nameserver 192.0.2.1\nnameserver 192.0.2.2\n";
    let asked = request(&[("HostName", "printer")], &format!("{text}{more}"));
    assert_eq!(asked.name, "printer.lan");
    assert_eq!(asked.defaults.len(), MAX_SERVERS);
    assert_eq!(asked.defaults[..2], ["192.0.2.53", "2001:db8::53"].map(|server| server.parse::<IpAddr>().unwrap()));
    assert_eq!(request(&[("HostName", "printer.")], text).name, "printer");
    assert_eq!(request(&[], text).name, "www.example.com");
    assert_eq!(request(&[], "").defaults, [IpAddr::from([127, 0, 0, 1])]);
    let wan = Through { device: Some("wan".into()), dns_servers: vec![IpAddr::from([203, 0, 113, 1])] };
    let through = Request::from_input(&input(&[]), wan, text).unwrap();
    assert_eq!((through.device.as_deref(), through.defaults), (Some("wan"), vec![IpAddr::from([203, 0, 113, 1])]));
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let refused = |more: &[(&str, &str)]| {
        let fault = Request::from_input(&input(more), Through::default(), "").unwrap_err();
        assert_eq!(fault.code, Code::InvalidCommandArguments, "{more:?}");
    };
    refused(&[("HostName", "a..b")]);
    refused(&[("HostName", &"x".repeat(64))]);
    refused(&[("NumberOfRepetitions", "257")]);
    assert_eq!(request(&[("NumberOfRepetitions", "256")], "").repetitions, MAX_REPETITIONS);
}
