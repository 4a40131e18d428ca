//! Tells of changes of the kernel's tables as ubus events, at most once in [`SETTLE`] for each table: neighbours change
//! their state all the time.

use super::message::{Socket, messages};
use crate::backend::{Change, Table};
use rustix::net::{RecvFlags, recv};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc::Sender};
use tokio::time::sleep;

/// How long changes are gathered before they are told.
const SETTLE: Duration = Duration::from_millis(200);

/// A table, its multicast groups as bits, the types of its messages (RTM_NEW and RTM_DEL).
const EVENTS: [(&str, u32, [u16; 2]); 4] = [
    ("netlink.link", 1, [16, 17]),
    ("netlink.addr", 1 << 4 | 1 << 8, [20, 21]),
    ("netlink.neigh", 1 << 2, [28, 29]),
    ("netlink.route", 1 << 6 | 1 << 10, [24, 25]),
];

/// Which tables somebody wants to hear of; a clone is another handle on the same.
#[derive(Debug, Clone, Default)]
pub(in crate::backend) struct Wanted(Rc<(RefCell<u32>, Notify)>);

impl Wanted {
    /// Hears of the tables this event pattern names from now on; false where it names none.
    pub(in crate::backend) fn add(&self, pattern: &str) -> bool {
        let named = |event: &str| pattern.strip_suffix('*').map_or(pattern == event, |head| event.starts_with(head));
        let groups = EVENTS.iter().filter(|(event, ..)| named(event)).fold(0, |all, (_, groups, _)| all | groups);
        let mut wanted = self.0.0.borrow_mut();
        if *wanted | groups != *wanted {
            *wanted |= groups;
            self.0.1.notify_one();
        }
        groups != 0
    }

    /// Tells of changes until nobody receives them any more.
    pub(in crate::backend) async fn run(self, changes: Sender<Change>) {
        loop {
            let groups = *self.0.0.borrow();
            let more = self.0.1.notified();
            if groups == 0 {
                more.await;
                continue;
            }
            #[allow(deprecated, reason = "the successor is unsafe; an OwnedFd always is the same open descriptor")]
            let socket = Socket::open(groups).and_then(|socket| AsyncFd::new(socket.fd));
            let Ok(socket) = socket else {
                return log::warn!("netlink=unwatched effect=changes-of-the-network-are-not-seen");
            };
            tokio::select! {
                () = more => {}
                () = tell(&socket, &changes) => return,
            }
        }
    }
}

async fn tell(socket: &AsyncFd<std::os::fd::OwnedFd>, changes: &Sender<Change>) {
    while let Ok(mut guard) = socket.readable().await {
        guard.clear_ready();
        let mut changed = [false; EVENTS.len()];
        drain(socket.get_ref(), &mut changed);
        sleep(SETTLE).await;
        drain(socket.get_ref(), &mut changed);
        for ((event, ..), _) in EVENTS.iter().zip(changed).filter(|(_, changed)| *changed) {
            if changes.send(Change::Event((*event).into(), Table::default())).await.is_err() {
                return;
            }
        }
    }
}

/// Reads what there is. What did not fit into the socket is lost, and may have been anything.
fn drain(socket: &std::os::fd::OwnedFd, changed: &mut [bool; EVENTS.len()]) {
    let mut buffer = vec![0_u8; 8192];
    loop {
        match recv(socket, buffer.as_mut_slice(), RecvFlags::TRUNC) {
            Ok((length, _)) => {
                for message in messages(buffer.get(..length).unwrap_or(&buffer)) {
                    let told = EVENTS.iter().position(|(.., kinds)| kinds.contains(&message.header.kind));
                    if let Some(told) = told.and_then(|at| changed.get_mut(at)) {
                        *told = true;
                    }
                }
            }
            Err(rustix::io::Errno::NOBUFS) => changed.fill(true),
            Err(_) => return,
        }
    }
}
