//! Which topics to subscribe to, and where answers go (R-MQTT.15, 16, 21 to 25).

use super::packet::ConnAck;
use super::{Filter, Version};
use crate::order;

const REPLY_TO: &str = "/reply-to=";
/// QoS of the filters that no Subscription row gives one.
const DEFAULT_QOS: u8 = 1;

/// What follows from configuration and CONNACK.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Filters for one SUBSCRIBE; the agent's own topic first.
    pub(super) filters: Vec<Filter>,
    /// Filters that cannot be subscribed to.
    pub(super) invalid: Vec<Box<str>>,
    /// Our "reply to" topic.
    pub(super) reply_to: Option<Box<str>>,
}

/// R-MQTT.15: configured filters, every `subscribe-topic`, and the response topic where no filter covers it.
pub(super) fn plan(
    version: Version,
    configured: &[Filter],
    response_topic_configured: Option<&str>,
    connack: &ConnAck,
) -> Plan {
    let given: Vec<Box<str>> = connack.subscribe_topics.iter().map(|topic| topic.as_str().into()).collect();
    let response = connack.response_information.as_deref().or(response_topic_configured.filter(|t| !t.is_empty()));
    let response_filter: Option<Box<str>> = response.map(|topic| match (version, &connack.response_information) {
        // The reply-to suffixes of 3.1.1 make every answer's topic another one.
        (Version::V311, _) => format!("{}/#", topic.trim_end_matches("/#")).into(),
        (Version::V5, _) => topic.into(),
    });
    let mut wanted: Vec<Filter> = given.iter().map(|topic| (topic.clone(), DEFAULT_QOS)).collect();
    wanted.extend(configured.iter().cloned());
    if let Some(filter) = &response_filter {
        if !wanted.iter().any(|(known, _)| covers(known, filter)) {
            wanted.push((filter.clone(), DEFAULT_QOS));
        }
        // Oktopus takes an agent for online by the first filter of its SUBSCRIBE.
        order::sort_by_key(&mut wanted, |(known, _)| match () {
            () if given.contains(known) => 0,
            () if covers(known, filter) => 1,
            () => 2,
        });
    }
    let (filters, invalid) = valid_and_invalid(wanted);
    let reply_to = response.map(Into::into).or_else(|| plain_topic(version, &filters));
    Plan { filters, invalid, reply_to }
}

fn valid_and_invalid(wanted: Vec<Filter>) -> (Vec<Filter>, Vec<Box<str>>) {
    let mut filters: Vec<Filter> = Vec::new();
    let mut invalid = Vec::new();
    for (filter, qos) in wanted {
        if !is_valid_filter(&filter) {
            invalid.push(filter);
        } else if let Some((_, known)) = filters.iter_mut().find(|(known, _)| *known == filter) {
            *known = qos.max(*known);
        } else {
            filters.push((filter, qos));
        }
    }
    (filters, invalid)
}

/// The topic to be reached at when nobody names one: a filter that is a plain topic.
fn plain_topic(version: Version, filters: &[Filter]) -> Option<Box<str>> {
    match version {
        Version::V5 => filters.iter().map(|(filter, _)| filter).find(|filter| is_valid_topic(filter)).cloned(),
        Version::V311 => filters.iter().find_map(|(filter, _)| {
            let topic = filter.strip_suffix("/#")?;
            is_valid_topic(topic).then(|| topic.into())
        }),
    }
}

/// Whether every topic that `narrow` (a topic or a filter) matches is matched by `wide` too.
fn covers(wide: &str, narrow: &str) -> bool {
    let (mut wide, mut narrow) = (wide.split('/'), narrow.split('/'));
    loop {
        match (wide.next(), narrow.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(level)) if level != "#" => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

/// A filter a broker will not take for a protocol error.
fn is_valid_filter(filter: &str) -> bool {
    let levels: Vec<&str> = filter.split('/').collect();
    let wildcards = levels.iter().enumerate().all(|(at, level)| match *level {
        "#" => at + 1 == levels.len(),
        "+" => true,
        level => !level.contains(['#', '+']),
    });
    !filter.is_empty() && wildcards && fits(filter)
}

/// A topic that can be published to.
pub(super) fn is_valid_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['#', '+']) && fits(topic)
}

fn fits(text: &str) -> bool {
    u16::try_from(text.len()).is_ok() && !text.contains('\0')
}

/// The topic on the wire of a 3.1.1 PUBLISH (R-MQTT.24).
pub(super) fn with_reply_to(topic: &str, reply_to: &str) -> String {
    format!("{topic}{REPLY_TO}{}", reply_to.replace('/', "%2F"))
}

/// The reply-to topic in a received 3.1.1 topic (R-MQTT.25).
pub(super) fn reply_to_of(topic: &str) -> Option<Box<str>> {
    let (_, reply_to) = topic.rsplit_once(REPLY_TO)?;
    let reply_to = reply_to.replace("%2F", "/").replace("%2f", "/");
    is_valid_topic(&reply_to).then(|| reply_to.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connack(subscribe_topics: &[&str], response_information: Option<&str>) -> ConnAck {
        ConnAck {
            subscribe_topics: subscribe_topics.iter().map(|topic| (*topic).to_owned()).collect(),
            response_information: response_information.map(Into::into),
            ..ConnAck::default()
        }
    }

    fn filters(plan: &Plan) -> Vec<&str> {
        plan.filters.iter().map(|(filter, _)| &**filter).collect()
    }

    fn configured(filters: &[&str]) -> Vec<Filter> {
        filters.iter().map(|filter| ((*filter).into(), 0)).collect()
    }

    #[test]
    fn all_sources_come_together_with_the_agents_topic_first() {
        let connack = connack(&["agent/x", "agent/all"], Some("reply/x"));
        let plan = plan(Version::V5, &configured(&["own/a", "own/b"]), Some("configured/x"), &connack);
        assert_eq!(filters(&plan), ["agent/x", "agent/all", "reply/x", "own/a", "own/b"]);
        assert_eq!(plan.reply_to.as_deref(), Some("reply/x"));
    }

    #[test]
    fn a_covered_response_topic_is_not_subscribed_to_again() {
        let plan = plan(Version::V5, &configured(&["a/b", "usp/+/#"]), Some("usp/agent/x"), &connack(&[], None));
        assert_eq!(filters(&plan), ["usp/+/#", "a/b"]);
        assert_eq!(plan.reply_to.as_deref(), Some("usp/agent/x"));
    }

    #[test]
    fn a_configured_response_topic_counts_without_response_information() {
        let plan = plan(Version::V5, &[], Some("usp/agent/x"), &connack(&[], None));
        assert_eq!(filters(&plan), ["usp/agent/x"]);
    }

    #[test]
    fn with_3_1_1_the_response_topic_becomes_a_wildcard() {
        let none = connack(&[], None);
        let bare = plan(Version::V311, &[], Some("usp/agent/x"), &none);
        assert_eq!(filters(&bare), ["usp/agent/x/#"]);
        assert_eq!(bare.reply_to.as_deref(), Some("usp/agent/x"));
        let covered = plan(Version::V311, &configured(&["usp/agent/#"]), Some("usp/agent/x"), &none);
        assert_eq!(filters(&covered), ["usp/agent/#"]);
        let exact = plan(Version::V311, &configured(&["usp/agent/x"]), Some("usp/agent/x"), &none);
        assert_eq!(filters(&exact), ["usp/agent/x/#", "usp/agent/x"]);
    }

    #[test]
    fn without_any_response_topic_a_plain_filter_serves() {
        let five = plan(Version::V5, &configured(&["+/x/#", "agent/x"]), None, &connack(&[], None));
        assert_eq!(five.reply_to.as_deref(), Some("agent/x"));
        let four = plan(Version::V311, &configured(&["agent/x", "agent/y/#"]), None, &connack(&[], None));
        assert_eq!(four.reply_to.as_deref(), Some("agent/y"));
    }

    #[test]
    fn nothing_known_means_nothing_to_subscribe_to() {
        assert_eq!(plan(Version::V5, &[], None, &connack(&[], None)), Plan::default());
    }

    #[test]
    fn filters_no_broker_takes_are_set_apart_and_doubles_joined() {
        let mut rows = configured(&["a/#/b", "", "a+", "good/+", "good/+"]);
        rows.push(("good/+".into(), 2));
        let plan = plan(Version::V5, &rows, None, &connack(&[], None));
        assert_eq!(plan.filters, [("good/+".into(), 2)]);
        assert_eq!(plan.invalid.len(), 3);
    }

    #[test]
    fn coverage_is_by_levels() {
        for (wide, narrow) in [("#", "a/b"), ("a/#", "a"), ("a/+", "a/b"), ("a/+/#", "a/b/#"), ("+/b", "a/b")] {
            assert!(covers(wide, narrow), "{wide} covers {narrow}");
        }
        for (wide, narrow) in [("a/+", "a/#"), ("a/b", "a/b/c"), ("a/b/c", "a/b"), ("a", "b"), ("a/+", "a")] {
            assert!(!covers(wide, narrow), "{wide} does not cover {narrow}");
        }
    }

    #[test]
    fn reply_to_topics_travel_in_the_topic_name() {
        let wire = with_reply_to("usp/agents/a", "usp/controllers/oui:00256D:c-42");
        assert_eq!(wire, "usp/agents/a/reply-to=usp%2Fcontrollers%2Foui:00256D:c-42");
        assert_eq!(reply_to_of(&wire).as_deref(), Some("usp/controllers/oui:00256D:c-42"));
        assert_eq!(reply_to_of("a/reply-to=b/reply-to=c%2Fd").as_deref(), Some("c/d"));
        assert_eq!(reply_to_of("a/b"), None);
        assert_eq!(reply_to_of("a/reply-to=#"), None);
    }
}
