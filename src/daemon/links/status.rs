//! The links as a person wants to know them.

use super::{Links, Running, guest};
use crate::backend::{Table, Value};
use crate::config::links::Transport;
use tokio::time::Instant;

/// What is counted of all links.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Sums {
    pub(in crate::daemon) links: u32,
    pub(in crate::daemon) up: u32,
    pub(in crate::daemon) received: u32,
    pub(in crate::daemon) sent: u32,
    pub(in crate::daemon) failures: u32,
}

impl Links {
    /// The links that lead to a controller, a table each.
    pub(in crate::daemon) fn status(&self, controller: &str) -> Vec<Value> {
        let reaches = |link: &&Running| link.leads_to(controller) || link.is_visited_by(controller, &self.controllers);
        let table = |link: &Running| link.status(controller, &self.controllers).into();
        self.running.values().filter(reaches).map(table).collect()
    }

    /// A controller has a connection.
    pub(in crate::daemon) fn is_connected(&self, controller: &str) -> bool {
        self.running.values().any(|link| link.is_up_for(controller, &self.controllers))
    }

    /// Of all links.
    pub(in crate::daemon) fn sums(&self) -> Sums {
        self.running.values().fold(Sums::default(), |sums, link| Sums {
            links: sums.links + 1,
            up: sums.up + u32::from(!link.up.is_empty()),
            received: sums.received.wrapping_add(link.received),
            sent: sums.sent.wrapping_add(link.sent),
            failures: sums.failures.wrapping_add(link.errors),
        })
    }
}

impl Running {
    fn leads_to(&self, controller: &str) -> bool {
        self.settings.controllers.iter().any(|reach| &*reach.controller == controller)
    }

    /// The controller has come to this server by itself.
    fn is_visited_by(&self, controller: &str, guests: &[(Box<str>, Box<str>)]) -> bool {
        let is_it = |route: crate::agent::Route| &*route.controller == controller;
        self.settings.transport.takes_guests()
            && self.up.values().any(|peer| guest(peer, &self.settings.controllers, guests).is_some_and(is_it))
    }

    fn is_up_for(&self, controller: &str, guests: &[(Box<str>, Box<str>)]) -> bool {
        match self.settings.transport.takes_guests() {
            true => self.is_visited_by(controller, guests),
            false => self.leads_to(controller) && !self.up.is_empty(),
        }
    }

    fn status(&self, controller: &str, guests: &[(Box<str>, Box<str>)]) -> Table {
        let now = Instant::now();
        let up = self.is_up_for(controller, guests);
        let state = match (up, self.settings.is_server(), self.tries, self.next_try) {
            (true, ..) => "connected",
            (_, true, 0, _) => "listening",
            (_, _, 0, _) => "connecting",
            (.., Some(_)) => "waiting",
            (.., None) => "failed",
        };
        let (transport, address) = self.address();
        let table = Table::default().with("section", &*self.settings.section).with("transport", transport);
        let table = table.with("address", &*address).with("state", state);
        let table = table.with("state_seconds", seconds(now.saturating_duration_since(self.since).as_secs()));
        let peer = self.up.values().next().filter(|_| up);
        let table = peer.map_or(table.clone(), |peer| table.with("encrypted", peer.encrypted));
        let table = if self.error.is_empty() {
            table
        } else {
            table.with("last_error", &*self.error).with("last_error_class", self.class.texts().0)
        };
        let next = self.next_try.filter(|_| !up).map(|at| seconds(at.saturating_duration_since(now).as_secs()));
        next.map_or(table.clone(), |next| {
            table.with("next_try_seconds", next).with("tries", seconds(self.tries.into()))
        })
    }

    /// Without what is secret in it.
    fn address(&self) -> (&'static str, String) {
        let secure = |tls: bool, plain: &str| format!("{plain}{}", if tls { "s" } else { "" });
        match &self.settings.transport {
            Transport::Mqtt(m) => {
                let scheme = secure(m.tls.is_some(), "mqtt");
                ("MQTT", format!("{scheme}://{}:{}", m.broker_address, m.broker_port))
            }
            Transport::Stomp(s) => ("STOMP", format!("{}://{}:{}", secure(s.tls.is_some(), "stomp"), s.host, s.port)),
            Transport::WebSocketClient(w) => {
                ("WebSocket", format!("{}://{}:{}{}", secure(w.tls.is_some(), "ws"), w.host, w.port, w.path))
            }
            Transport::WebSocketServer(w) => {
                let scheme = secure(w.tls.is_some(), "ws");
                ("WebSocket", format!("listen {scheme}://{}:{}{}", w.address, w.port, w.path))
            }
            Transport::UnixSocket(u) => ("UDS", format!("{}unix://{}", if u.listen { "listen " } else { "" }, u.path)),
        }
    }
}

fn seconds(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
