//! One link under test: its events with a deadline, its commands, its task.
#![allow(dead_code, unreachable_pub)]

use bytes::Bytes;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use usp_agent::mtp::{Channel, Destination, LinkCommand, LinkEvent, LinkHandle, LinkId, Peer};

/// Longer than anything here should take.
pub const PATIENCE: Duration = Duration::from_secs(5);

pub struct Link {
    pub handle: LinkHandle,
    pub events: mpsc::Receiver<LinkEvent>,
    pub task: JoinHandle<()>,
}

impl Link {
    pub fn spawn<F, T>(queue: usize, start: F) -> Link
    where
        F: FnOnce(LinkId, mpsc::Sender<LinkEvent>) -> (LinkHandle, T),
        T: Future<Output = ()> + Send + 'static,
    {
        let (sender, events) = mpsc::channel(queue);
        let (handle, future) = start(LinkId(7), sender);
        Link { handle, events, task: tokio::spawn(future) }
    }

    pub async fn event(&mut self) -> LinkEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("no event").expect("the link is gone")
    }

    pub async fn connected(&mut self) -> (Channel, Peer) {
        match self.event().await {
            LinkEvent::Connected { channel, peer } => (channel, peer),
            other => panic!("not connected: {other:?}"),
        }
    }

    pub async fn record(&mut self) -> (Channel, Bytes, Option<Box<str>>) {
        match self.event().await {
            LinkEvent::Record { channel, bytes, reply_to, .. } => (channel, bytes, reply_to),
            other => panic!("no record: {other:?}"),
        }
    }

    /// The sentence of the next Lost, its session, and the wait.
    pub async fn lost(&mut self) -> (Channel, String, Option<u64>) {
        match self.event().await {
            LinkEvent::Lost { channel, why, retry_in, .. } => (channel, why.into(), retry_in),
            other => panic!("not lost: {other:?}"),
        }
    }

    pub async fn listening(&mut self) {
        let event = self.event().await;
        assert!(matches!(event, LinkEvent::Listening { .. }), "not listening: {event:?}");
    }

    pub async fn remark(&mut self) -> String {
        match self.event().await {
            LinkEvent::Remark { what, .. } => what.into(),
            other => panic!("no remark: {other:?}"),
        }
    }

    /// Asks whether the other side is there; [`Link::alive`] waits for its answer.
    pub fn probe(&self, channel: Channel) {
        self.command(LinkCommand::Probe { channel });
    }

    pub async fn alive(&mut self) -> Channel {
        match self.event().await {
            LinkEvent::Alive { channel } => channel,
            other => panic!("not alive: {other:?}"),
        }
    }

    /// Nothing is told for a while.
    pub async fn is_silent(&mut self) {
        let told = timeout(Duration::from_millis(200), self.events.recv()).await;
        assert!(told.is_err(), "{told:?}");
    }

    pub fn command(&self, command: LinkCommand) {
        self.handle.commands.try_send(command).expect("the link takes no command");
    }

    pub fn send(&self, channel: Channel, record: &[u8], to: Destination) {
        self.command(LinkCommand::Send { channel, record: Bytes::copy_from_slice(record), to });
    }

    /// Shuts down and waits for the task, which has two seconds.
    pub async fn shut_down(self) {
        self.command(LinkCommand::Shutdown);
        timeout(Duration::from_secs(2), self.task).await.expect("the link does not end").unwrap();
    }
}
