//! What a case is, and where the tables of cases are.

use futures_util::future::LocalBoxFuture;

use crate::bench::{Bench, Second};
use crate::eut::Scene;
use crate::place::Transport;
use crate::secure::Credential;
use crate::{mqtt, own, plan, stomp, trust, unix_socket, websocket};

/// The tables of cases, one per room of cases: the plan's numbers, then cases of our own.
const TABLES: &[&[Case]] =
    &[plan::CASES, stomp::CASES, websocket::CASES, mqtt::CASES, own::CASES, trust::CASES, unix_socket::CASES];

/// Every case, in the order of the report.
pub fn all() -> impl Iterator<Item = &'static Case> {
    TABLES.iter().copied().flatten()
}

/// One case of the plan, or one of our own.
pub struct Case {
    /// The plan's number; for a case of our own the requirement, and after a slash a word where one has several cases.
    pub id: &'static str,
    /// The plan's title.
    pub title: &'static str,
    /// The transports it belongs to; empty for all.
    pub on: &'static [Transport],
    /// With a second controller.
    pub second: Option<Second>,
    /// Not through a broker, whose certificate the agent would see in place of the controller's.
    pub direct: bool,
    /// With TLS, and this certificate of the tester's.
    pub tls: Option<Credential>,
    /// Mostly waits for time to pass.
    pub waits: bool,
    pub run: Run,
}

pub enum Run {
    /// With a tester that the agent is connected to.
    Yes(for<'a> fn(&'a mut Bench) -> LocalBoxFuture<'a, ()>),
    /// With an agent that is not started yet: the case is the other side of the wire itself.
    Wire(for<'a> fn(&'a mut Scene) -> LocalBoxFuture<'a, ()>),
    /// Why it cannot be run.
    No(&'static str),
}

/// What a row of a table leaves out.
pub const PLAIN: Case =
    Case { id: "", title: "", on: &[], second: None, direct: false, tls: None, waits: false, run: Run::No("") };

/// A row of a table: id, title, function, options. The function takes a bench; `wire` before it says that it takes a scene.
macro_rules! case {
    ($id:literal, $title:literal, wire $run:path $(, $option:ident: $value:expr)*) => {
        $crate::cases::Case {
            id: $id,
            title: $title,
            run: $crate::cases::Run::Wire(|scene| Box::pin($run(scene))),
            $($option: $value,)*
            ..$crate::cases::PLAIN
        }
    };
    ($id:literal, $title:literal, $run:path $(, $option:ident: $value:expr)*) => {
        $crate::cases::Case {
            id: $id,
            title: $title,
            run: $crate::cases::Run::Yes(|bench| Box::pin($run(bench))),
            $($option: $value,)*
            ..$crate::cases::PLAIN
        }
    };
}
pub(crate) use case;

impl Case {
    /// Chapter and number of the plan; None for a case of our own.
    pub fn number(&self) -> Option<(u32, u32)> {
        let (chapter, number) = self.id.split_once('.')?;
        Some((chapter.parse().ok()?, number.parse().ok()?))
    }

    /// Whether it belongs to this transport.
    pub fn is_on(&self, transport: Transport) -> bool {
        self.on.is_empty() || self.on.contains(&transport)
    }
}
