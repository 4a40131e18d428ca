//! From the configuration's links to the settings of the transports.

use crate::backend::uci::Package;
use crate::config;
use crate::config::links::{Files, Link, Mqtt, Retry, Stomp, Transport, WebSocketClient, WebSocketServer};
use crate::config::options::CA_FILE;
use crate::mtp::{Limits, LinkEvent, LinkHandle, LinkId, backoff, mqtt, stomp, tls, unix_socket, websocket};
use crate::task::{Task, spawn};
use crate::usp::endpoint_id::EndpointId;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

/// Oktopus drops a session that was lost without a close only after its read deadline of 10 s; coming back earlier
/// leaves it with a session it believes dead.
const SLOW_RETURN: Duration = Duration::from_secs(11);

/// What TLS goes by on every link.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    pub(super) clock: tls::Clock,
    pub(super) keyring: tls::Keyring,
}

impl Trust {
    /// The keys of the configuration count from the next handshake on.
    pub(super) fn follow(&self, package: &Package) {
        let keys = config::keys(package);
        let known =
            |key: config::Key| tls::Known { section: key.section, der: key.der.into(), authority: key.authority };
        self.keyring.replace(tls::Keys {
            known: keys.certificates.into_iter().map(known).collect(),
            first_use: keys.first_use,
            crl_file: (!keys.crl_file.is_empty()).then(|| (&*keys.crl_file).into()),
        });
    }
}

/// Starts a link as a task of its own, which begins when `before` has ended: two links of one section would fight over
/// a port or a client id.
pub(super) fn start(
    link: &Link,
    before: Option<JoinHandle<()>>,
    id: LinkId,
    (own_id, trust): (&EndpointId, &Trust),
    events: Sender<LinkEvent>,
) -> Result<(LinkHandle, JoinHandle<()>), String> {
    let (handle, task) = match &link.transport {
        Transport::Mqtt(client) => boxed(mqtt::start(broker(client, link, own_id, trust)?, id, events)),
        Transport::Stomp(server) => boxed(stomp::start(stomp_server(server, link, own_id, trust)?, id, events)),
        Transport::WebSocketClient(client) => {
            boxed(websocket::start(websocket_client(client, own_id, trust)?, id, events))
        }
        Transport::WebSocketServer(server) => {
            boxed(websocket::listen(websocket_server(server, own_id, trust)?, id, events))
        }
        Transport::UnixSocket(socket) => {
            let settings = unix_socket::Settings::new(&socket.path, own_id.as_str());
            if socket.listen {
                boxed(unix_socket::listen(settings, id, events))
            } else {
                boxed(unix_socket::start(settings, id, events))
            }
        }
    };
    let task = spawn(async move {
        if let Some(before) = before {
            let _ = before.await;
        }
        task.await;
    });
    Ok((handle, task))
}

fn boxed((handle, task): (LinkHandle, impl Future<Output = ()> + 'static)) -> (LinkHandle, Task) {
    (handle, Box::pin(task))
}

fn broker(client: &Mqtt, link: &Link, own_id: &EndpointId, trust: &Trust) -> Result<mqtt::Settings, String> {
    let given = |text: &str| (!text.is_empty()).then(|| text.into());
    Ok(mqtt::Settings {
        host: client.broker_address.clone(),
        port: client.broker_port,
        tls: client.tls.as_ref().map(|files| client_tls(files, None, trust)).transpose()?,
        version: if client.level == 5 { mqtt::Version::V5 } else { mqtt::Version::V311 },
        client_id: client.client_id.clone(),
        own_id: own_id.as_str().into(),
        username: client.username.clone(),
        password: client.password.0.clone(),
        keep_alive: client.keep_alive,
        clean_start: client.clean_start,
        session_expiry: Some(client.session_expiry).filter(|seconds| *seconds > 0),
        resubscribe: Some(Duration::from_secs(client.resubscribe.into())).filter(|interval| !interval.is_zero()),
        request_response_info: client.request_response_info,
        request_problem_info: client.request_problem_info,
        will: client.will.as_ref().map(will),
        filters: link.filters.clone(),
        response_topic: given(&client.response_topic),
        publish_qos: client.publish_qos,
        retry: policy(client.retry),
        message_retry: Duration::from_secs(client.message_retry.into()),
        ack_timeout: mqtt::ACK_TIMEOUT,
        limits: Limits::default(),
    })
}

fn will(will: &config::links::Will) -> mqtt::Will {
    let config::links::Will { topic, value, qos, retain } = will.clone();
    mqtt::Will { topic, payload: value, qos, retain }
}

fn stomp_server(
    connection: &Stomp,
    link: &Link,
    own_id: &EndpointId,
    trust: &Trust,
) -> Result<stomp::Settings, String> {
    Ok(stomp::Settings {
        host: connection.host.clone(),
        port: connection.port,
        tls: connection.tls.as_ref().map(|files| client_tls(files, None, trust)).transpose()?,
        own_id: own_id.as_str().into(),
        virtual_host: connection.virtual_host.clone(),
        username: connection.username.clone(),
        password: connection.password.0.clone(),
        heartbeats: connection.heartbeats,
        destination: link.filters.first().map(|(destination, _)| destination.clone()).unwrap_or_default(),
        retry: backoff::Policy { from_zero: true, ..policy(connection.retry) },
        limits: Limits::default(),
    })
}

fn websocket_client(
    client: &WebSocketClient,
    own_id: &EndpointId,
    trust: &Trust,
) -> Result<websocket::ClientSettings, String> {
    let expected = Some(client.endpoint_id.clone()).filter(|id| !id.is_empty());
    Ok(websocket::ClientSettings {
        host: client.host.clone(),
        port: client.port,
        path: path(client),
        tls: client.tls.as_ref().map(|files| client_tls(files, expected, trust)).transpose()?,
        own_id: own_id.as_str().into(),
        keep_alive: Duration::from_secs(client.keep_alive.into()),
        retry: policy(client.retry),
        hold_off_after_loss: if client.slow_return { SLOW_RETURN } else { Duration::ZERO },
        limits: Limits::default(),
    })
}

/// The path of the request, with the password where the server looks for it there.
fn path(client: &WebSocketClient) -> Box<str> {
    let mut path = client.path.to_string();
    if !client.password.0.is_empty() {
        path.push_str(if path.ends_with('/') { "" } else { "/" });
        path.push_str(&websocket::encode(&client.password.0));
    }
    path.into()
}

fn websocket_server(
    server: &WebSocketServer,
    own_id: &EndpointId,
    trust: &Trust,
) -> Result<websocket::ServerSettings, String> {
    let address: IpAddr = server.address.parse().map_err(|_| format!("address {} is no IP address", server.address))?;
    Ok(websocket::ServerSettings {
        listen: SocketAddr::new(address, server.port),
        path: server.path.clone(),
        tls: server.tls.as_ref().map(|files| server_tls(files, trust)).transpose()?,
        own_id: own_id.as_str().into(),
        keep_alive: Duration::from_secs(server.keep_alive.into()),
        limits: Limits::default(),
    })
}

fn policy(retry: Retry) -> backoff::Policy {
    backoff::Policy {
        minimum: Duration::from_secs(retry.minimum.into()),
        multiplier: Some(retry.multiplier),
        maximum: retry.maximum.map(|seconds| Duration::from_secs(seconds.into())),
        from_zero: false,
    }
}

fn client_tls(files: &Files, expected_id: Option<Box<str>>, trust: &Trust) -> Result<tls::ClientTls, String> {
    Ok(tls::ClientTls {
        trust: authorities(files),
        identity: identity(files)?,
        versions: tls::Versions::default(),
        expected_id,
        keyring: trust.keyring.clone(),
        clock: trust.clock.clone(),
    })
}

fn server_tls(files: &Files, trust: &Trust) -> Result<tls::ServerTls, String> {
    let identity = identity(files)?.ok_or("a server with TLS needs the options certificate and key")?;
    Ok(tls::ServerTls {
        identity,
        clients: Some(authorities(files)),
        versions: tls::Versions::default(),
        keyring: trust.keyring.clone(),
        clock: trust.clock.clone(),
    })
}

fn authorities(files: &Files) -> tls::Trust {
    if &*files.ca == CA_FILE { tls::Trust::Bundle(CA_FILE.into()) } else { tls::Trust::File((&*files.ca).into()) }
}

fn identity(files: &Files) -> Result<Option<tls::Identity>, String> {
    match (&*files.certificate, &*files.key) {
        ("", "") => Ok(None),
        ("", _) => Err("there is a key but no certificate".into()),
        (_, "") => Err("there is a certificate but no key".into()),
        (certificate, key) => Ok(Some(tls::Identity { certificate: certificate.into(), key: key.into() })),
    }
}
