//! A simulated router that stays: for tests that are not in Rust, and to try something by hand.
//!
//! Prints one line of JSON, where everything is and the address of a controller that listens (it takes every connection
//! and answers nothing), and ends with its standard input.

use std::io::{Read, Write};
use std::time::Duration;
use usp_agent::demo::controller::Controller;
use usp_agent::demo::router::Router;
use usp_agent::usp::endpoint_id::EndpointId;

/// Who listens.
const CONTROLLER: &str = "self::acs";

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (router, driver) = Router::start()?;
        tokio::task::spawn_local(driver.run());
        let own_id = EndpointId::lenient(CONTROLLER).map_err(std::io::Error::other)?;
        let (_controller, port) = Controller::on_websocket(&own_id)?;
        let told = serde_json::json!({
            "config_dir": router.config_dir(), "state_dir": router.state_dir(), "root": router.root(),
            "ubus": router.socket(), "url": format!("ws://127.0.0.1:{port}/usp"), "controller": CONTROLLER,
        });
        writeln!(std::io::stdout(), "{told}")?;
        let (end, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || end.send(std::io::stdin().read_to_end(&mut Vec::new())));
        while ended.try_recv().is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    })
}
