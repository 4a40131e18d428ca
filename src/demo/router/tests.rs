use super::*;
use crate::backend::Change;
use crate::backend::ubus::Client;
use std::time::Duration;
use tokio::sync::mpsc;

/// Runs a test against a router on its real socket.
fn with_router<F: Future<Output = ()>>(test: impl FnOnce(Router, Client, mpsc::Receiver<Change>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (router, driver) = Router::start().unwrap();
        let (changes, heard) = mpsc::channel(16);
        let (client, client_driver) = Client::new(router.socket(), Duration::from_secs(5), changes);
        tokio::task::spawn_local(driver.run());
        tokio::task::spawn_local(client_driver.run());
        test(router, client, heard).await;
    });
}

fn config_change(package: &str) -> Table {
    Table::default().with("type", "config.change").with("data", Table::default().with("package", package))
}

#[test]
fn a_new_host_name_shows_once_it_is_announced() {
    with_router(|router, client, _| async move {
        let changed = router.config("system").unwrap().replace("'OpenWrt'", "'castle'");
        router.write_config("system", &changed).unwrap();
        let hostname = async || {
            let board = client.call("system", "board", &Table::default()).await.unwrap();
            board.get("hostname").unwrap().as_str().unwrap().to_owned()
        };
        assert_eq!(hostname().await, "OpenWrt");
        client.call("service", "event", &config_change("system")).await.unwrap();
        assert_eq!((hostname().await.as_str(), router.applied()), ("castle", vec!["system".to_owned()]));
    });
}

#[test]
fn a_disabled_interface_goes_down_and_tells() {
    with_router(|router, client, mut heard| async move {
        client.watch_event("network.interface");
        client.objects("*").await.unwrap();
        let changed = router
            .config("network")
            .unwrap()
            .replace("option proto 'dhcp'\n", "option proto 'dhcp'\n\toption disabled '1'\n");
        router.write_config("network", &changed).unwrap();
        client.call("service", "event", &config_change("network")).await.unwrap();
        let told = loop {
            if let Change::Event(_, data) = heard.recv().await.unwrap() {
                break data;
            }
        };
        assert_eq!(told, interface_event("wan", false));
        let wan = client.call("network.interface.wan", "status", &Table::default()).await.unwrap();
        assert_eq!(wan.get("up").unwrap().as_i64(), Some(0));
        client.call("network.interface.wan", "up", &Table::default()).await.unwrap();
        let wan = client.call("network.interface.wan", "status", &Table::default()).await.unwrap();
        assert_eq!(wan.get("ipv4-address").unwrap().as_array().unwrap().len(), 1);
    });
}

#[test]
fn an_argument_chooses_the_answer() {
    with_router(|router, client, _| async move {
        assert_eq!(router.applied(), [""; 0]);
        let of = |device: &str| Table::default().with("device", device);
        let info = client.call("iwinfo", "info", &of("phy1-ap0")).await.unwrap();
        assert_eq!(info.get("channel").unwrap().as_i64(), Some(36));
        assert!(client.call("iwinfo", "info", &of("nothing")).await.is_err());
        let all = client.call("network.device", "status", &Table::default()).await.unwrap();
        assert!(all.get("br-lan").unwrap().as_table().unwrap().get("statistics").is_some());
    });
}

#[test]
fn its_files_are_there_and_go_with_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (folder, missing) = {
        let _within = runtime.enter();
        let (router, _driver) = Router::start().unwrap();
        let exist = ["etc/board.json", "proc/meminfo", "sys/class/net/wan/statistics/rx_bytes", "tmp/dhcp.leases"];
        let missing: Vec<_> = exist.into_iter().filter(|file| !router.root().join(file).is_file()).collect();
        (router.folder.clone(), missing)
    };
    assert_eq!((missing.len(), folder.exists()), (0, false), "{missing:?}");
    assert!(FILES.len() + ANSWERS.len() < 30_000, "the demo is in the shipped binary");
}
