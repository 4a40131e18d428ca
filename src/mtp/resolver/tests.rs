//! Look-ups at servers on loopback that follow a script.

use super::*;
use crate::mtp::dns::tests::{record, reply};
use std::future::Future;

const SIX: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn run_now<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// A server that answers each question with the messages `script` makes of it.
async fn server(address: &str, script: impl Fn(&[u8]) -> Vec<Vec<u8>> + 'static + Send) -> SocketAddr {
    let socket = UdpSocket::bind((address.parse::<IpAddr>().unwrap(), 0)).await.unwrap();
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

fn asking(servers: &[SocketAddr], options: &str) -> Resolver {
    let parsed = Resolver::parse(&format!("search lan example.net\noptions timeout:1 {options}\n"));
    Resolver { servers: servers.to_vec(), hosts: "/nowhere/hosts".into(), ..parsed }
}

fn is_six(question: &[u8]) -> bool {
    question[question.len() - 3] == 28
}

/// The name that is asked for, as its labels with their lengths.
fn is_for(question: &[u8], labels: &[u8]) -> bool {
    question[12..].starts_with(labels)
}

fn good(question: &[u8]) -> Vec<u8> {
    match is_six(question) {
        true => reply(question, 0, 0, &[record(28, &SIX)]),
        false => reply(question, 0, 0, &[record(1, &[127, 0, 0, 9])]),
    }
}

fn ips(found: &[SocketAddr]) -> Vec<String> {
    found.iter().map(|address| address.ip().to_string()).collect()
}

#[test]
fn both_kinds_of_addresses_are_asked_for() {
    run_now(async {
        let at = server("127.0.0.1", |question| vec![good(question)]).await;
        let found = asking(&[at], "").look_up("www.example.com", Family::Any).await.unwrap();
        let mut names = ips(&found);
        names.sort();
        assert_eq!(names, ["127.0.0.9", "2001:db8::1"]);
        let four = asking(&[at], "").look_up("www.example.com", Family::V4).await.unwrap();
        assert_eq!(ips(&four), ["127.0.0.9"]);
        let six = asking(&[at], "").look_up("www.example.com", Family::V6).await.unwrap();
        assert_eq!(ips(&six), ["2001:db8::1"]);
    });
}

#[test]
fn a_server_of_ipv6_is_asked_beside_one_of_ipv4() {
    run_now(async {
        let silent = server("127.0.0.1", |_| vec![]).await;
        let six = server("::1", |question| vec![good(question)]).await;
        let found = asking(&[silent, six], "").look_up("www.example.com", Family::V4).await.unwrap();
        assert_eq!(ips(&found), ["127.0.0.9"]);
        let four = server("127.0.0.1", |question| vec![good(question)]).await;
        let silent = server("::1", |_| vec![]).await;
        let found = asking(&[silent, four], "").look_up("www.example.com", Family::V4).await.unwrap();
        assert_eq!(ips(&found), ["127.0.0.9"]);
    });
}

#[test]
fn one_server_that_cannot_help_does_not_keep_back_the_other() {
    run_now(async {
        let broken = server("127.0.0.1", |question| vec![reply(question, 0, 2, &[])]).await;
        let fine = server("127.0.0.1", |question| vec![good(question)]).await;
        let found = asking(&[broken, fine], "").look_up("www.example.com", Family::V4).await.unwrap();
        assert_eq!(ips(&found), ["127.0.0.9"]);
        let begun = Instant::now();
        let none = asking(&[broken], "").look_up("www.example.com", Family::Any).await;
        assert!(matches!(none, Err(NameFault::NoAnswer(_))), "{none:?}");
        assert!(begun.elapsed() < Duration::from_millis(400), "it says so: there is nothing to wait for");
    });
}

#[test]
fn a_kind_that_is_never_answered_costs_a_second() {
    run_now(async {
        let only_four = |question: &[u8]| if is_six(question) { vec![] } else { vec![good(question)] };
        let at = server("127.0.0.1", only_four).await;
        let begun = Instant::now();
        let slow = Resolver { timeout: Duration::from_secs(60), ..asking(&[at], "") };
        assert_eq!(ips(&slow.look_up("www.example.com", Family::Any).await.unwrap()), ["127.0.0.9"]);
        assert!((900..3000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_question_that_is_lost_is_asked_again() {
    run_now(async {
        let asked = std::sync::atomic::AtomicU32::new(0);
        let second = move |question: &[u8]| match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => vec![],
            _ => vec![good(question)],
        };
        let at = server("127.0.0.1", second).await;
        assert_eq!(ips(&asking(&[at], "").look_up("a.b", Family::V4).await.unwrap()), ["127.0.0.9"]);
    });
}

#[test]
fn who_is_silent_or_not_there_is_told() {
    run_now(async {
        let silent = server("127.0.0.1", |_| vec![]).await;
        let begun = Instant::now();
        let none = asking(&[silent], "attempts:3").look_up("www.example.com", Family::Any).await.unwrap_err();
        assert_eq!(none.to_string(), "no DNS server answers, of 127.0.0.1");
        assert!((900..3000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let begun = Instant::now();
        assert!(matches!(asking(&[nobody], "").look_up("a.b", Family::Any).await, Err(NameFault::NoAnswer(_))));
        assert!(begun.elapsed() < Duration::from_millis(400), "nobody is there, and that is known at once");
    });
}

#[test]
fn a_name_that_is_not_there_is_unknown() {
    run_now(async {
        let at = server("127.0.0.1", |question| vec![reply(question, 0, 3, &[])]).await;
        let none = asking(&[at], "").look_up("www.example.com", Family::Any).await;
        assert!(matches!(none, Err(NameFault::Unknown)), "{none:?}");
        let nobody_is_asked = asking(&["127.0.0.1:9".parse().unwrap()], "").look_up("acs.INVALID.", Family::Any).await;
        assert!(matches!(nobody_is_asked, Err(NameFault::Unknown)));
    });
}

#[test]
fn a_short_name_is_looked_for_in_the_domains_first() {
    run_now(async {
        let script = |question: &[u8]| match is_for(question, b"\x03acs\x07example\x03net\0") {
            true => vec![good(question)],
            false => vec![reply(question, 0, 3, &[])],
        };
        let at = server("127.0.0.1", script).await;
        assert_eq!(ips(&asking(&[at], "").look_up("acs", Family::V4).await.unwrap()), ["127.0.0.9"]);
        for whole in ["acs.", "acs.example"] {
            assert!(asking(&[at], "").look_up(whole, Family::V4).await.is_err(), "{whole}");
        }
        let short = asking(&[at], "ndots:2");
        assert!(short.look_up("acs.example", Family::V4).await.is_err());
        let names: Vec<_> =
            ["acs.example.lan", "acs.example.example.net", "acs.example"].map(|name| Name::parse(name).unwrap()).into();
        assert_eq!(short.names("acs.example"), names);
    });
}

#[test]
fn what_comes_from_somebody_else_is_passed_over() {
    run_now(async {
        let quiet = server("127.0.0.1", |_| vec![]).await;
        let other = server("127.0.0.1", |_| vec![]).await;
        let resolver = asking(&[quiet, other], "");
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let socket = resolver.socket().await.unwrap();
        let question = Question::new(Kind::A);
        let name = Name::parse("a.b").unwrap();
        let message = good(&dns::question(question.id, &name, Kind::A));
        // Its port and its id are known, and still it is not one of the servers.
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, socket.local_addr().unwrap().port()));
        stranger.send_to(&message, to).await.unwrap();
        let mut buffer = [0; 512];
        let (_, from) = socket.recv_from(&mut buffer).await.unwrap();
        assert!(!resolver.servers.iter().any(|server| is_same(*server, from)));
        assert!(
            is_same(quiet, quiet)
                && is_same(quiet, SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), quiet.port())))
        );
    });
}

#[test]
fn the_hosts_file_comes_before_the_servers() {
    run_now(async {
        let hosts = std::env::temp_dir().join(format!("usp-agent-hosts-{}", std::process::id()));
        // The first comment is not UTF-8.
        let text = b"# 192.0.2.1 acs \xe4\n127.0.0.5 box ACS acs.lan # acs2\n::1 acs\nx acs\n";
        fs::write(&hosts, text).unwrap();
        let resolver = Resolver { hosts, ..asking(&["127.0.0.1:9".parse().unwrap()], "") };
        // Not in the order of the file: IPv6 comes first.
        assert_eq!(ips(&resolver.look_up("acs", Family::Any).await.unwrap()), ["::1", "127.0.0.5"]);
        assert_eq!(ips(&resolver.look_up("Acs.Lan.", Family::V4).await.unwrap()), ["127.0.0.5"]);
        assert!(resolver.look_up("acs2", Family::V4).await.is_err());
        assert_eq!(ips(&resolver.look_up("localhost", Family::V4).await.unwrap()), ["127.0.0.1"]);
        assert_eq!(ips(&resolver.look_up("a.localhost.", Family::V6).await.unwrap()), ["::1"]);
        fs::remove_file(&resolver.hosts).unwrap();
    });
}

#[test]
fn addresses_are_their_own() {
    run_now(async {
        let resolver = asking(&["127.0.0.1:9".parse().unwrap()], "");
        for (text, is) in
            [("192.0.2.1", "192.0.2.1:0"), ("2001:db8::1", "[2001:db8::1]:0"), ("fe80::1%1", "[fe80::1%1]:0")]
        {
            assert_eq!(resolver.look_up(text, Family::Any).await.unwrap(), [is.parse::<SocketAddr>().unwrap()]);
        }
        assert_eq!(numeric("fe80::1%lo"), numeric("fe80::1%1"));
        assert_eq!((numeric("fe80::1%../lo"), numeric("fe80::1%none"), numeric("acs")), (None, None, None));
        assert!(resolver.look_up("192.0.2.1", Family::V6).await.is_err());
    });
}

#[test]
fn what_can_be_reached_is_tried_first_and_ipv6_before_ipv4() {
    // There is no device of that number.
    let mut found = ["[fe80::1%4000000]:0", "127.0.0.1:0", "[::1]:0"].map(|text| text.parse::<SocketAddr>().unwrap());
    order::sort_by_key(&mut found, rank);
    assert_eq!(ips(&found), ["::1", "127.0.0.1", "fe80::1"]);
}

#[test]
fn resolv_conf_is_read_as_far_as_it_makes_sense() {
    let text = "# x\nnameserver 192.0.2.53\nnameserver\tfe80::1%1\nnameserver x\ndomain old\nsearch lan other\n\
                options ndots:99 timeout:0 attempts:7 rotate x:y\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n";
    let resolver = Resolver::parse(text);
    assert_eq!(resolver.servers, ["192.0.2.53:53", "[fe80::1%1]:53", "192.0.2.1:53"].map(|at| at.parse().unwrap()));
    assert_eq!(resolver.domains, ["lan", "other"]);
    assert_eq!((resolver.dots, resolver.timeout, resolver.attempts), (15, Duration::from_secs(1), 7));
    let none = Resolver::parse("");
    assert_eq!(none.servers, ["127.0.0.1:53".parse().unwrap()]);
    assert_eq!((none.dots, none.timeout, none.attempts), (1, Duration::from_secs(5), 2));
}
