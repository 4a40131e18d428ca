//! The test equipment of one case: an agent of its own, and one or two testers that it is connected to.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::arguments::Agent;
use crate::cases::Case;
use crate::eut::{Eut, Told};
use crate::mosquitto::Mosquitto;
use crate::place::{Place, Transport, visitor};
use crate::rabbitmq::RabbitMq;
use crate::secure::{Credential, Secure};
use crate::stomp_broker::Server;
use crate::tester::Tester;

/// What the agent knows of a second controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Second {
    /// In the same role as the first.
    Trusted,
    /// Nothing of a role.
    Untrusted,
}

/// What all benches of a run share.
pub struct Laboratory {
    pub agent: Agent,
    pub broker: Option<Mosquitto>,
    /// Where the cases are to be played at a RabbitMQ rather than at the runner's own STOMP server; None: it is missing.
    pub rabbit: Option<Option<RabbitMq>>,
    /// Agents that may start at the same time: starting costs processor time that a case in progress needs.
    pub starting: Semaphore,
}

pub struct Bench {
    pub eut: Eut,
    first: Tester,
    second: Option<Tester>,
    _secure: Option<Secure>,
    _stomp: Option<Server>,
}

impl Bench {
    /// A fresh agent, connected to the tester and, where asked for, to a second one; with a certificate that is no good,
    /// without waiting for a connection.
    pub async fn start(laboratory: &Rc<Laboratory>, transport: Transport, number: u32, case: &Case) -> Self {
        if let Agent::Running(running) = &laboratory.agent {
            let mut first = visitor(running).await;
            assert!(first.has_channel_within(crate::tester::PATIENCE).await, "the EUT cannot be reached");
            let eut = Eut::new(&laboratory.agent);
            return Self { eut, first, second: None, _secure: None, _stomp: None };
        }
        let _turn = laboratory.starting.acquire().await.expect("the laboratory is open");
        let agent_id = format!("self::agent-{number}");
        let mut told = Told::new(&agent_id, transport);
        let secure = case.tls.map(|tls| Secure::new(transport, tls, &agent_id, &format!("self::first-{number}")));
        let eut = Eut::new(&laboratory.agent);
        let place = Place::new(laboratory, transport, secure.as_ref(), (&eut, &agent_id), number);
        let first = place.tester("first", "tester", &mut told).await;
        let second = match case.second {
            Some(Second::Trusted) => Some(place.tester("second", "tester", &mut told).await),
            Some(Second::Untrusted) => Some(place.tester("second", "", &mut told).await),
            None => None,
        };
        told.config.push_str(place.spare());
        let stomp = place.stomp.clone();
        let mut bench = Self { eut, first, second, _stomp: stomp, _secure: secure };
        bench.eut.start(&told);
        if case.tls.is_none_or(|credential| credential == Credential::Good) {
            bench.first.connected(1).await;
        }
        if let Some(second) = &mut bench.second {
            second.connected(1).await;
        }
        bench
    }

    /// The second controller.
    pub fn second(&mut self) -> &mut Tester {
        self.second.as_mut().expect("a case that is listed with two controllers")
    }

    /// What the agent and the testers say of themselves.
    pub fn log(&self) -> String {
        let second = self.second.as_ref().map(|second| second.notes()).unwrap_or_default();
        format!("{}{}{second}", self.eut.log(), self.first.notes())
    }
}

impl Deref for Bench {
    type Target = Tester;

    fn deref(&self) -> &Tester {
        &self.first
    }
}

impl DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut Tester {
        &mut self.first
    }
}

/// Seconds of a wait: the plan's with `WAITS=plan`, else these.
pub fn seconds(plan: u64, here: u64) -> Duration {
    let plans = std::env::var("WAITS").is_ok_and(|waits| waits == "plan");
    Duration::from_secs(if plans { plan } else { here })
}
