//! The event object of the bus: who listens to which events, and sending them.

use super::router::{DONE, FIRST_ID, Handled, Object, Owner, Router};
use crate::backend::ubus::blobmsg;
use crate::backend::ubus::message::{Body, attr, kind, matches, status};
use crate::backend::{Table, Value};

impl Router {
    pub(super) fn event_object(&mut self, client: u32, method: &str, data: Option<&[u8]>) -> Handled {
        let args = data.and_then(|data| blobmsg::decode(data).ok());
        match (method, args) {
            ("register", Some(args)) => self.register(client, &args),
            ("send", Some(args)) => {
                let (Some(Value::String(id)), Some(Value::Table(data))) = (args.get("id"), args.get("data")) else {
                    return Err(status::INVALID_ARGUMENT);
                };
                if id.starts_with("ubus.") {
                    return Err(status::PERMISSION_DENIED);
                }
                self.event(Some(client), id, data);
                DONE
            }
            ("register" | "send", None) => Err(status::INVALID_ARGUMENT),
            _ => Err(status::INVALID_COMMAND),
        }
    }

    fn register(&mut self, client: u32, args: &Table) -> Handled {
        let (Some(Value::Int32(id)), Some(Value::String(pattern))) = (args.get("object"), args.get("pattern")) else {
            return Err(status::INVALID_ARGUMENT);
        };
        let id = *id as u32;
        if id < FIRST_ID {
            return Err(status::PERMISSION_DENIED);
        }
        let owned = self.owns(client, id);
        let object = self.objects.get_mut(&id).ok_or(status::NOT_FOUND)?;
        if !owned || pattern.is_empty() {
            return Err(status::PERMISSION_DENIED);
        }
        object.patterns.push(pattern.to_string());
        DONE
    }

    /// An object listens to this event.
    pub(super) fn heard(&self, id: &str) -> bool {
        self.objects.values().any(|object| object.patterns.iter().any(|pattern| matches(pattern, id)))
    }

    /// Sends an event to every object that listens, except those of the sender.
    pub(super) fn event(&mut self, sender: Option<u32>, id: &str, data: &Table) {
        let Ok(data) = blobmsg::encode(data) else { return };
        let listens = |object: &Object| object.patterns.iter().any(|pattern| matches(pattern, id));
        let listeners: Vec<(u32, u32)> = self
            .objects
            .iter()
            .filter(|(_, object)| listens(object))
            .filter_map(|(id, object)| match object.owner {
                Owner::Client(owner) if Some(owner) != sender => Some((owner, *id)),
                _ => None,
            })
            .collect();
        for (owner, object) in listeners {
            self.event_seq = self.event_seq.wrapping_add(1);
            let body = Body::default().int32(attr::OBJID, object).string(attr::METHOD, id).nested(attr::DATA, &data);
            self.send(owner, kind::INVOKE, self.event_seq, 0, body);
        }
    }

    pub(super) fn object_event(&mut self, event: &str, id: u32, path: &str) {
        let data = Table::default().with("id", Value::Int32(id as i32)).with("path", path);
        self.event(None, event, &data);
    }
}
