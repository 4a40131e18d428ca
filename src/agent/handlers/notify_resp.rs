//! NotifyResp: a notification has arrived. Its msg_id tells which; its subscription_id does not count (R-NOT.9).

use super::super::Agent;
use super::Asker;
use crate::backend::Backend;

/// Takes the notification off the list.
pub fn handle<B: Backend>(agent: &mut Agent<B>, asker: &Asker, msg_id: &str) {
    match agent.outbox.answered(&asker.controller, msg_id) {
        Some(subscription) if subscription.is_empty() => agent.on_boarding_answered(&asker.controller),
        Some(_) => {}
        None => log::debug!("controller={} answered {msg_id}, which nothing waits for", asker.controller),
    }
}
