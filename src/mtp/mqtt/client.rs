//! From CONNECT to a successful SUBACK: only then is the link connected (R-MQTT.6 to 17).

use super::encode::{DISCONNECT, connect, subscribe};
use super::inflight::Inflight;
use super::packet::{ConnAck, Received};
use super::reason::{class_of, disconnected, refused, with_words};
use super::session::Session;
use super::topics::{Plan, plan};
use super::wire::Wire;
use super::{Filter, MAX_INFLIGHT, Settings, Version};
use crate::mtp::class::{Class, Why};
use crate::mtp::link::{Desk, Dialer, End, Loss};
use crate::mtp::stream::{Stream, dial};
use crate::mtp::{Channel, Peer, Traffic};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// Publishes kept that overtake the SUBACK (retained ones, or those of a resumed session).
const MAX_EARLY: usize = MAX_INFLIGHT as usize;

/// What the broker granted.
pub(super) struct Granted {
    pub(super) keep_alive: u16,
    pub(super) max_qos: u8,
    pub(super) inflight: usize,
    pub(super) max_packet: usize,
    pub(super) retain: bool,
    pub(super) reply_to: Option<Box<str>>,
    /// Filters the broker took.
    pub(super) filters: Vec<Filter>,
}

/// A connection that is subscribed, with what came up on the way.
pub(super) struct Established {
    pub(super) wire: Wire,
    pub(super) connack: ConnAck,
    pub(super) granted: Granted,
    pub(super) early: Vec<Received>,
    pub(super) remarks: Vec<String>,
}

pub(super) struct Client {
    pub(super) settings: Settings,
    /// R-MQTT.9, R-MQTT.11: kept for every later connection.
    client_id: Box<str>,
    pub(super) inflight: Inflight,
    pub(super) traffic: Arc<Traffic>,
    /// Nobody was subscribed to the topic of the last record.
    pub(super) unheard: bool,
}

impl Client {
    pub(super) fn new(settings: Settings, traffic: Arc<Traffic>) -> Self {
        let client_id = match (settings.client_id.is_empty(), settings.version) {
            (true, Version::V311) => settings.own_id.clone(),
            _ => settings.client_id.clone(),
        };
        Client { settings, client_id, inflight: Inflight::default(), traffic, unheard: false }
    }

    /// The filters that follow from the configuration as it is now.
    pub(super) fn plan(&self, connack: &ConnAck) -> Plan {
        plan(self.settings.version, &self.settings.filters, self.settings.response_topic.as_deref(), connack)
    }

    async fn establish(&mut self, stream: Stream, deadline: Instant) -> Result<(Established, Peer), Loss> {
        let (version, patience) = (self.settings.version, self.settings.limits.goodbye);
        let packet = connect(&self.settings, &self.client_id).map_err(Loss::unclean)?;
        let mut peer = stream.peer();
        let mut wire = Wire::new(stream, version, self.traffic.clone());
        let mut connack = expect_connack(&mut wire, &packet, version, deadline).await.map_err(Loss::unclean)?;
        if !connack.session_present {
            self.inflight.forget();
        }
        peer.assigned_client_id = connack.assigned_client_id.take().map(Into::into);
        if let Some(assigned) = &peer.assigned_client_id {
            self.client_id = assigned.clone();
        }
        let plan = self.plan(&connack);
        peer.mqtt_level = version.level();
        peer.response_topic = plan.reply_to.clone();
        match self.subscribe(&mut wire, &connack, plan, deadline).await {
            Ok((granted, early, remarks)) => Ok((Established { wire, connack, granted, early, remarks }, peer)),
            Err(loss) => {
                // R-MQTT.16, R-MQTT.17.
                wire.goodbye(&DISCONNECT, patience).await;
                Err(loss)
            }
        }
    }

    async fn subscribe(
        &mut self,
        wire: &mut Wire,
        connack: &ConnAck,
        plan: Plan,
        deadline: Instant,
    ) -> Result<(Granted, Vec<Received>, Vec<String>), Loss> {
        let mut remarks: Vec<String> = plan
            .invalid
            .iter()
            .map(|filter| format!("\"{filter}\" is no valid topic filter and is left out"))
            .collect();
        if plan.filters.is_empty() {
            let why = "there is no topic to subscribe to: configure a Subscription or ResponseTopicConfigured";
            return Err(Loss { disabled: true, ..Loss::clean(Why::new(Class::NoTopic, why)) });
        }
        let id = self.inflight.next_id();
        let packet = subscribe(self.settings.version, id, &plan.filters).map_err(Loss::unclean)?;
        let _ = wire.push(&packet);
        let (codes, early) = expect_suback(wire, id, deadline).await.map_err(Loss::unclean)?;
        let (taken, refused) = sort_out(plan.filters, &codes);
        if taken.is_empty() {
            return Err(Loss::clean(format!("the broker refused every subscription: {}", refused.join("; ")))
                .of(Class::Subscription));
        }
        remarks.extend(refused.into_iter().map(|refusal| format!("the broker refused a subscription: {refusal}")));
        if plan.reply_to.is_none() {
            remarks
                .push("no reply-to topic is known: set ResponseTopicConfigured, or controllers cannot answer".into());
        }
        Ok((self.granted(connack, plan.reply_to, taken), early, remarks))
    }

    fn granted(&self, connack: &ConnAck, reply_to: Option<Box<str>>, filters: Vec<Filter>) -> Granted {
        let inflight = connack.receive_max.unwrap_or(u16::MAX).clamp(1, MAX_INFLIGHT);
        Granted {
            keep_alive: connack.server_keep_alive.unwrap_or(self.settings.keep_alive),
            max_qos: connack.max_qos.unwrap_or(2),
            inflight: usize::from(inflight),
            max_packet: connack.max_packet.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX),
            retain: connack.retain_available != Some(0),
            reply_to,
            filters,
        }
    }
}

/// Splits filters by the codes of a SUBACK: those taken, and a phrase for each refused.
pub(super) fn sort_out(filters: Vec<Filter>, codes: &[u8]) -> (Vec<Filter>, Vec<String>) {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for (at, (filter, qos)) in filters.into_iter().enumerate() {
        match codes.get(at).copied().unwrap_or(0x80) {
            0..=2 => taken.push((filter, qos)),
            code => refused.push(format!("\"{filter}\" {}", with_words(code, None))),
        }
    }
    (taken, refused)
}

async fn expect_connack(wire: &mut Wire, connect: &[u8], version: Version, deadline: Instant) -> Result<ConnAck, Why> {
    let _ = wire.push(connect);
    let received = timeout_at(deadline, wire.receive()).await;
    let received = received.unwrap_or_else(|_| match wire.has_part() {
        true => Err("no whole packet came".into()),
        false => Err(Why::new(Class::NoAnswer, "no answer")),
    });
    let hint = "CONNECT was not answered: is that port a broker's, and does it want TLS?";
    match received.map_err(|why| why.or(Class::Protocol).map(|why| format!("{why}; {hint}")))? {
        Received::ConnAck(connack) if connack.code == 0 => Ok(*connack),
        Received::ConnAck(connack) => Err(Why::new(class_of(connack.code), refused(version, &connack))),
        Received::Disconnect { code, reason } => Err(Why::new(class_of(code), disconnected(code, reason.as_deref()))),
        _ => Err(Why::new(Class::Protocol, "the broker answered CONNECT with another packet than CONNACK")),
    }
}

async fn expect_suback(wire: &mut Wire, id: u16, deadline: Instant) -> Result<(Vec<u8>, Vec<Received>), Why> {
    let mut early = Vec::new();
    loop {
        let received = timeout_at(deadline, wire.receive()).await;
        let received =
            received.unwrap_or_else(|_| Err(Why::new(Class::NoAnswer, "the broker does not answer SUBSCRIBE")));
        // A broker of MQTT 3.1.1 may have no other word for "not allowed".
        match received.map_err(|why| why.or(Class::Subscription).map(|why| format!("after SUBSCRIBE: {why}")))? {
            Received::SubAck { id: answered, codes } if answered == id => return Ok((codes, early)),
            Received::Disconnect { code, reason } => {
                return Err(Why::new(class_of(code), disconnected(code, reason.as_deref())));
            }
            received if early.len() < MAX_EARLY => early.push(received),
            _ => {}
        }
    }
}

impl Dialer for Client {
    type Session = Box<Established>;

    async fn dial(&mut self) -> Result<(Self::Session, Peer), Loss> {
        let Settings { host, port, tls, limits, .. } = &self.settings;
        let (server, deadline) = (format!("{host}:{port}"), Instant::now() + limits.handshake);
        let stream = dial(host, *port, tls.as_ref(), deadline).await.map_err(Loss::unclean)?;
        match self.establish(stream, deadline).await {
            Ok((established, peer)) => Ok((Box::new(established), peer)),
            Err(loss) => Err(Loss { why: format!("{server}: {}", loss.why), ..loss }),
        }
    }

    async fn serve(&mut self, established: Self::Session, channel: Channel, desk: &mut Desk) -> End {
        Session::new(self, *established, channel).run(desk).await
    }

    fn filters(&mut self, filters: Vec<Filter>) {
        self.settings.filters = filters;
    }
}
