//! Challenges: a person tells a controller a secret, and the controller gets a role for it (R-SEC.13 to R-SEC.17).
//!
//! A controller has one challenge outstanding at most. Failures are counted per challenge, over all controllers and
//! over a restart, so that neither a second controller nor a reboot gives more tries.

use super::handlers::operate::{Call, Reply};
use super::trust::Challenge;
use super::{Action, Agent, Kept};
use crate::backend::Backend;
use crate::base64;
use crate::order;
use crate::usp::fault::{Code, Fault};
use std::fmt::Write as _;
use std::rc::Rc;

/// Seconds until a request for a challenge is void, where the controller names none (TR-181).
const EXPIRATION: u32 = 900;
/// The table.
const TABLE: &str = "Device.LocalAgent.ControllerTrust.Challenge.";

/// Where challenges stand.
#[derive(Debug, Default)]
pub struct Challenges {
    /// By the section of the controller.
    outstanding: order::Map<Rc<str>, Outstanding>,
    /// By the section of the challenge.
    failures: order::Map<Box<str>, Failures>,
}

#[derive(Debug)]
struct Outstanding {
    challenge: Box<str>,
    id: Box<str>,
    /// None for never.
    ends_ms: Option<u64>,
}

#[derive(Debug, Default)]
struct Failures {
    count: u32,
    /// Set while the challenge is locked.
    until_ms: Option<u64>,
}

impl Challenges {
    /// The challenge may be tried. A lock-out that is over begins a new count.
    fn open(&mut self, challenge: &str, now_ms: u64) -> Result<(), Fault> {
        let Some(until) = self.failures.get(challenge).and_then(|failures| failures.until_ms) else { return Ok(()) };
        if until > now_ms {
            let seconds = (until - now_ms).div_ceil(1000);
            return Err(Fault::new(Code::RequestDenied, format!("the challenge is locked for {seconds} s")));
        }
        self.failures.remove(challenge);
        Ok(())
    }

    /// One failure more; with the last one the challenge is taken from everybody, and locked (R-SEC.16, R-SEC.17).
    fn failed(&mut self, challenge: &Challenge, now_ms: u64) {
        let mut failures = self.failures.remove(&challenge.section).unwrap_or_default();
        failures.count += 1;
        if failures.count < challenge.retries {
            self.failures.insert(challenge.section.clone(), failures);
            return;
        }
        log::warn!("challenge={} failures={} locked={}s", challenge.section, failures.count, challenge.lockout);
        self.outstanding.retain(|_, outstanding| outstanding.challenge != challenge.section);
        if challenge.lockout > 0 {
            failures.until_ms = Some(now_ms.saturating_add(u64::from(challenge.lockout) * 1000));
            self.failures.insert(challenge.section.clone(), failures);
        }
    }

    /// What is no challenge any more has no failures.
    pub fn follow(&mut self, challenges: &[Challenge]) {
        self.failures.retain(|section, _| challenges.iter().any(|challenge| challenge.section == *section));
    }

    /// What survives a restart, one challenge per line: failures, milliseconds it stays locked, section.
    fn save(&self, now_ms: u64) -> String {
        let mut text = String::new();
        for (challenge, failures) in self.failures.iter() {
            let left = failures.until_ms.map_or(0, |until| until.saturating_sub(now_ms));
            let _ = writeln!(text, "{} {left} {challenge}", failures.count);
        }
        text
    }

    /// Takes back what was kept over a restart. The time the agent was away does not count.
    pub fn load(&mut self, text: &str, now_ms: u64) {
        for line in text.lines().take(super::trust::MAX_ROWS) {
            let mut words = line.splitn(3, ' ');
            let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok());
            let (Some(count), Some(left), Some(name)) = (number(words.next()), number(words.next()), words.next())
            else {
                continue;
            };
            let count = u32::try_from(count).unwrap_or(u32::MAX - 1);
            let until_ms = (left > 0).then(|| now_ms.saturating_add(left));
            self.failures.insert(name.into(), Failures { count, until_ms });
        }
    }
}

/// RequestChallenge(): what a person has to be asked.
pub(super) async fn request<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let none = || Fault::new(Code::InvalidValue, "there is no such challenge");
    let section = visible(agent, call).await.ok_or_else(none)?;
    let settings = agent.settings.clone();
    let challenge = settings.trust.challenges.iter().find(|c| c.section == section).ok_or_else(none)?;
    let now_ms = agent.now.monotonic_ms;
    agent.challenges.open(&section, now_ms)?;
    let controller = &call.asker.controller;
    if let Some(before) = agent.challenges.outstanding.get(&**controller) {
        let runs = before.ends_ms.is_none_or(|ends| ends > now_ms);
        if runs && before.challenge != section {
            return Err(Fault::new(Code::RequestDenied, "another challenge is outstanding"));
        }
    }
    let seconds = call.argument("RequestExpiration").and_then(|text| text.parse().ok()).unwrap_or(EXPIRATION);
    let id: Box<str> = format!("{:016x}", agent.dice.roll()).into();
    let output = [
        ("Instruction", &challenge.instruction),
        ("InstructionType", &challenge.instruction_type),
        ("ValueType", &challenge.value_type),
        ("ChallengeID", &id),
    ];
    let output = output.map(|(name, value)| (name.to_owned(), value.to_string())).into();
    let ends_ms = (seconds > 0).then(|| now_ms.saturating_add(u64::from(seconds) * 1000));
    agent.challenges.outstanding.insert(controller.clone(), Outstanding { challenge: section, id, ends_ms });
    Ok(Reply::Output(output))
}

/// The section of the challenge that ChallengeRef names, if the controller may see it.
async fn visible<B: Backend>(agent: &Agent<B>, call: &Call<'_>) -> Option<Box<str>> {
    let reference = call.argument("ChallengeRef")?.trim_end_matches('.');
    let found = agent.model.begin().objects(&*call.asker.access, &format!("{reference}.")).await.ok()?;
    let [node] = &found[..] else { return None };
    let row = node.row.as_ref().filter(|_| node.path.starts_with(TABLE))?;
    Some(row.key.clone())
}

/// ChallengeResponse(): the role for the right value.
pub(super) async fn respond<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let settings = agent.settings.clone();
    let (now_ms, controller) = (agent.now.monotonic_ms, &call.asker.controller);
    let id = call.argument("ChallengeID").unwrap_or_default();
    let outstanding = agent.challenges.outstanding.get(&**controller);
    let asked = outstanding.filter(|o| *o.id == *id && o.ends_ms.is_none_or(|ends| ends > now_ms));
    let challenge = asked.and_then(|o| settings.trust.challenges.iter().find(|c| c.section == o.challenge));
    let challenge = challenge.ok_or_else(|| Fault::new(Code::InvalidValue, "no such challenge is outstanding"))?;
    agent.challenges.open(&challenge.section, now_ms)?;
    let given = base64::decode(call.argument("Value").unwrap_or_default()).unwrap_or_default();
    let right = challenge.value.is(&given);
    if right {
        assign(agent, controller, &challenge.roles).await?;
        agent.challenges.outstanding.remove(controller);
        agent.challenges.failures.remove(&challenge.section);
        log::info!("controller={controller} challenge={} result=passed", challenge.section);
    } else {
        log::warn!("controller={controller} challenge={} result=failed", challenge.section);
        agent.challenges.failed(challenge, now_ms);
    }
    agent.actions.push(Action::Keep(Kept::Challenges, agent.challenges.save(now_ms)));
    match right {
        true => Ok(Reply::Output(Vec::new())),
        false => Err(Fault::new(Code::CommandFailure, "this is not the value")),
    }
}

impl<B: Backend> Agent<B> {
    /// The roles of the challenge that this controller has requested and not yet answered.
    pub(super) fn challenged_roles(&self, controller: &str) -> Option<Vec<Box<str>>> {
        let now_ms = self.now.monotonic_ms;
        let outstanding = self.challenges.outstanding.get(controller);
        let asked = outstanding.filter(|o| o.ends_ms.is_none_or(|ends| ends > now_ms))?;
        let challenge = self.settings.trust.challenges.iter().find(|c| c.section == asked.challenge)?;
        Some(challenge.roles.clone())
    }

    /// What it asked for it has.
    pub(super) fn forget_challenge(&mut self, controller: &str) {
        self.challenges.outstanding.remove(controller);
    }
}

/// The roles take the place of the untrusted one, or come after the others.
pub(super) async fn assign<B: Backend>(
    agent: &mut Agent<B>,
    controller: &str,
    roles: &[Box<str>],
) -> Result<(), Fault> {
    let settings = agent.settings.clone();
    let mut assigned: Vec<Box<str>> = settings.controller(controller).map(|c| c.roles.clone()).unwrap_or_default();
    assigned.retain(|role| *role != settings.trust.untrusted_role);
    for role in roles {
        if !assigned.contains(role) {
            assigned.push(role.clone());
        }
    }
    agent.assign_roles(controller, assigned).await
}
