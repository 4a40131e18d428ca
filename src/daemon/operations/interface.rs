//! The argument Interface: which network device a test goes through.

use super::arguments::Arguments;
use crate::backend::{Backend, Router, Table, ubus};
use crate::model::{Everything, Model};
use crate::usp::fault::{Code, Fault};
use std::net::IpAddr;

/// The rows of netifd's interfaces.
const IP_INTERFACES: &str = "Device.IP.Interface.";

/// What was asked for.
#[derive(Clone)]
pub enum Interface {
    /// Whichever the routes name.
    Any,
    /// A network device, by its name: the row of another layer.
    Device(String),
    /// An interface of netifd, which knows its device; `path` for what is said of it.
    Logical {
        /// The path as it was given.
        path: String,
        /// netifd's name.
        name: String,
        /// Whom to ask.
        bus: ubus::Client,
    },
}

/// What a test goes through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Through {
    /// The network device; any where None.
    pub device: Option<String>,
    /// The name servers of the interface.
    pub dns_servers: Vec<IpAddr>,
}

impl Interface {
    /// Reads the argument, a path like `Device.IP.Interface.2`. A recorded router has no devices.
    pub async fn asked(input: &[(String, String)], model: &Model<Router>) -> Result<Self, Fault> {
        let path = Arguments(input).text("Interface").trim_end_matches('.').to_owned();
        let Router::Live(router) = model.backend() else { return Ok(Self::Any) };
        if path.is_empty() {
            return Ok(Self::Any);
        }
        let reading = model.get(&Everything, &[&format!("{path}.Name")], 0).await;
        let objects = reading.results.into_iter().next().and_then(Result::ok).unwrap_or_default();
        let name = objects.into_iter().next().and_then(|object| object.params.into_iter().next());
        let (_, name) = name.ok_or_else(|| unusable(&path))?;
        if path.starts_with(IP_INTERFACES) {
            return Ok(Self::Logical { path, name, bus: router.bus().clone() });
        }
        let devices = model.backend().list("/sys/class/net").await.unwrap_or_default();
        match devices.contains(&name) {
            true => Ok(Self::Device(name)),
            false => Err(unusable(&path)),
        }
    }

    /// Finds the device.
    pub async fn find(self) -> Result<Through, Fault> {
        let (path, name, bus) = match self {
            Self::Any => return Ok(Through::default()),
            Self::Device(name) => return Ok(Through { device: Some(name), dns_servers: Vec::new() }),
            Self::Logical { path, name, bus } => (path, name, bus),
        };
        let status = bus.call(&format!("network.interface.{name}"), "status", &Table::default()).await;
        let status = status.map_err(|_| unusable(&path))?;
        let device = status.get("l3_device").and_then(|device| device.as_str()).ok_or_else(|| unusable(&path))?;
        let servers = status.get("dns-server").and_then(|servers| servers.as_array()).unwrap_or_default();
        let dns_servers = servers.iter().filter_map(|server| server.as_str()?.parse().ok()).collect();
        Ok(Through { device: Some(device.to_owned()), dns_servers })
    }
}

fn unusable(path: &str) -> Fault {
    Fault::new(Code::InvalidCommandArguments, format!("Interface {path} is not there or has no device"))
}
