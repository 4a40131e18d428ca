//! What follows from the certificate a peer has shown: who is taken in, who inherits what, who is banned.

use super::channels::{ChannelId, Link};
use super::session::{Door, PeerFacts};
use super::settings::{Controller, MAX_CONTROLLERS};
use super::timers::Timer;
use super::trust::{MAX_CERTIFICATES, Vouched};
use super::{Action, Agent};
use crate::backend::Backend;
use crate::backend::uci::OptValue;
use crate::base64;
use crate::model::{Everything, Node, Transaction};
use crate::usp::fault::{Code, Fault};

/// WebSocket close code for who is not wanted (RFC 6455, policy violation).
const POLICY: u16 = 1008;
pub(super) const CONTROLLERS: &str = "Device.LocalAgent.Controller.";
pub(super) const CERTIFICATES: &str = "Device.LocalAgent.Certificate.";

impl<B: Backend> Agent<B> {
    /// A channel is up: whom it reaches is decided by the certificate at its other end. False where it is of no use.
    pub(super) async fn admit(&mut self, channel: ChannelId, link: &mut Link) -> bool {
        if link.peer.revoked {
            self.ban(&link.peer).await;
            self.close(channel, "the certificate is revoked");
            return false;
        }
        if link.peer.first_use && self.settings.trust.first_use_timer > 0 {
            let wait = u64::from(self.settings.trust.first_use_timer) * 1000;
            self.timers.set(Timer::FirstUse(channel), self.now.monotonic_ms.saturating_add(wait));
        }
        let (settings, own) = (self.settings.clone(), self.own.clone());
        let door = Door { protocol: link.protocol, peer: &link.peer, own: &own };
        let mut reached = Vec::new();
        for route in &link.routes {
            let Some(controller) = settings.controller(&route.controller) else { continue };
            reached.push(match settings.trust.vouches(controller.endpoint_id.as_str(), Some(controller), &door) {
                Vouched::Yes => controller.enable,
                Vouched::Introduce => {
                    controller.enable && self.welcome(controller.endpoint_id.as_str(), &link.peer).await
                }
                Vouched::No => false,
            });
        }
        let mut reached = reached.into_iter();
        link.routes.retain(|route| settings.controller(&route.controller).is_none() || reached.next().unwrap_or(false));
        for route in &link.routes {
            if let Some(controller) = settings.controller(&route.controller) {
                self.inherit(controller, &link.peer);
            }
        }
        true
    }

    /// Who was let in on first use has said nothing (TOFUInactivityTimer).
    pub(super) fn close(&mut self, channel: ChannelId, reason: &str) {
        self.actions.push(Action::Close { channel, code: POLICY, reason: reason.into() });
    }

    /// The controller inherits the roles of the credential behind this peer, and no others (Determine Role).
    pub(super) fn inherit(&mut self, controller: &Controller, peer: &PeerFacts) {
        let settings = self.settings.clone();
        let credential = settings.trust.inherits(peer);
        if self.inherited.get(&controller.section).is_some_and(|before| **before == *credential) {
            return;
        }
        self.inherited.insert(controller.section.clone(), credential.into());
        self.show_inherited(&controller.section, settings.trust.inherited(credential));
    }

    /// InheritedRole of every controller, after the settings have changed.
    pub(super) fn show_all_inherited(&mut self) {
        let settings = self.settings.clone();
        self.inherited.retain(|section, _| settings.controller(section).is_some_and(|c| !settings.trust.is_banned(c)));
        for controller in &settings.controllers {
            let credential = self.inherited.get(&controller.section).map(|c| &**c).unwrap_or_default();
            let roles = settings.trust.inherited(credential).to_vec();
            self.show_inherited(&controller.section, &roles);
        }
    }

    fn show_inherited(&mut self, controller: &str, roles: &[Box<str>]) {
        let of = |name: &str| self.settings.roles.iter().find(|role| *role.section == *name || *role.name == *name);
        let sections: Vec<&str> = roles.iter().filter_map(|name| of(name)).map(|role| &*role.section).collect();
        let text = sections.join(",");
        let mut facts = self.model.facts();
        if !text.is_empty() || facts.get("controller", controller, "InheritedRole").is_some() {
            facts.set("controller", controller, "InheritedRole", text);
        }
    }

    /// Takes in who an authority vouches for, or who comes first under this name: a row of its own, its certificate
    /// kept, and the untrusted role where it inherits none.
    pub(super) async fn welcome(&mut self, from: &str, peer: &PeerFacts) -> bool {
        match self.take_in(from, peer).await {
            Ok(()) => {
                log::info!("controller={from} event=taken-in first-use={}", peer.first_use);
                self.reload().await;
                true
            }
            Err(fault) => {
                log::warn!("controller={from} event=not-taken-in cause=\"{fault}\"");
                false
            }
        }
    }

    async fn take_in(&mut self, from: &str, peer: &PeerFacts) -> Result<(), Fault> {
        let settings = self.settings.clone();
        let known = self.controller_path(from).await;
        if known.is_none() && settings.sections.len() >= MAX_CONTROLLERS {
            return Err(Fault::new(Code::ResourcesExceeded, "there are too many controllers"));
        }
        let kept = peer.certificate.as_ref().and_then(|der| settings.trust.certificates.iter().find(|c| c.der == *der));
        let mut transaction = self.model.begin();
        let certificate = match (kept, &peer.certificate) {
            _ if !peer.first_use => None,
            (Some(kept), _) => Some(kept.section.clone()),
            (None, Some(der)) => Some(keep(&mut transaction, settings.trust.certificates.len(), der).await?.1),
            (None, None) => None,
        };
        let node = match known {
            Some(path) => node(&mut transaction, &path).await?,
            None => {
                let table = table(&mut transaction, CONTROLLERS).await?;
                let node = transaction.create(&Everything, &table).await?;
                for (name, value) in [("EndpointID", from), ("Enable", "true"), ("OnBoardingComplete", "true")] {
                    transaction.set(&Everything, &node, name, value).await?;
                }
                transaction.finish(&Everything, &node).await?;
                node
            }
        };
        if settings.trust.inherited(settings.trust.inherits(peer)).is_empty() {
            let role = OptValue::List(vec![settings.trust.untrusted_role.clone()]);
            transaction.put(&node, "role", Some(role)).await?;
        }
        if let Some(certificate) = certificate {
            transaction.put(&node, "Credential", Some(OptValue::List(vec![certificate]))).await?;
        }
        let committed = transaction.commit().await?;
        self.after.committed(committed);
        Ok(())
    }

    /// BannedRole becomes the only role of the controllers whose own certificate is revoked. Another certificate of the
    /// same Endpoint ID bans nobody: whoever holds the key of an old one could.
    async fn ban(&mut self, peer: &PeerFacts) {
        let settings = self.settings.clone();
        let trust = &settings.trust;
        let banned = settings.controllers.iter().filter(|c| trust.is_own(c, peer)).filter(|c| !trust.is_banned(c));
        for controller in banned.filter(|_| !trust.banned_role.is_empty()) {
            log::warn!("controller={} event=banned cause=certificate-revoked", controller.section);
            if let Err(fault) = self.assign_roles(&controller.section, vec![trust.banned_role.clone()]).await {
                log::error!("controller={} event=not-banned cause=\"{fault}\"", controller.section);
            }
        }
    }

    /// These are the controller's roles from now on.
    pub(super) async fn assign_roles(&mut self, controller: &str, roles: Vec<Box<str>>) -> Result<(), Fault> {
        let id = self.settings.controller(controller).map(|c| c.endpoint_id.clone());
        let path = match &id {
            Some(id) => self.controller_path(id.as_str()).await,
            None => None,
        };
        let mut transaction = self.model.begin();
        let row = node(&mut transaction, path.as_deref().unwrap_or_default()).await?;
        transaction.put(&row, "role", Some(OptValue::List(roles))).await?;
        let committed = transaction.commit().await?;
        self.after.committed(committed);
        Ok(())
    }
}

/// The object at a path that names one.
pub(super) async fn node<B: Backend>(transaction: &mut Transaction<'_, B>, path: &str) -> Result<Node, Fault> {
    let found = transaction.objects(&Everything, path).await?.into_iter().next();
    found.ok_or_else(|| Fault::new(Code::ObjectDoesNotExist, "it is gone"))
}

/// The table at a path.
pub(super) async fn table<B: Backend>(transaction: &mut Transaction<'_, B>, path: &str) -> Result<Node, Fault> {
    let found = transaction.table(path).await?;
    found.ok_or_else(|| Fault::new(Code::ObjectDoesNotExist, "there is no such table"))
}

/// Stages a certificate; its row, and its section.
pub(super) async fn keep<B: Backend>(
    transaction: &mut Transaction<'_, B>,
    kept: usize,
    der: &[u8],
) -> Result<(Node, Box<str>), Fault> {
    if kept >= MAX_CERTIFICATES {
        return Err(Fault::new(Code::ResourcesExceeded, "there are too many certificates"));
    }
    let table = table(transaction, CERTIFICATES).await?;
    let node = transaction.create(&Everything, &table).await?;
    transaction.put(&node, "certificate", Some(OptValue::One(base64::encode(der).into()))).await?;
    let section = node.row.as_ref().map(|row| row.key.clone()).unwrap_or_default();
    Ok((node, section))
}
