//! Why the MQTT link does not run on rumqttc's event loop: what a broker of MQTT 5.0 and R-MQTT ask for,
//! and what the loop does. When one of these fails, rumqttc has caught up there: read
//! docs/decisions/0004-mqtt-connection-is-our-own.md again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/mqtt_broker.rs"]
mod mqtt_broker;

use mqtt_broker::{Broker, Connection, Property, id};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, EventLoop, MqttOptions};
use std::time::Duration;
use tokio::time::timeout;

fn options(port: u16) -> MqttOptions {
    let mut options = MqttOptions::new("client", "127.0.0.1", port);
    options.set_outgoing_inflight_upper_limit(16);
    options
}

/// Polls until the loop fails: the error.
async fn failure(mut events: EventLoop) -> String {
    let poll = async {
        loop {
            if let Err(error) = events.poll().await {
                return error.to_string();
            }
        }
    };
    timeout(Duration::from_secs(5), poll).await.expect("no failure")
}

async fn connected(broker: &Broker) -> Connection {
    let mut connection = broker.accept().await;
    connection.connect().await;
    connection.connack(0, &[]).await;
    connection
}

/// R-MQTT.14: KeepAliveTime goes into CONNECT, whatever it is; zero turns it off.
#[test]
#[should_panic(expected = "Keep alives should be >= 5 secs")]
fn a_short_keep_alive_ends_the_program() {
    options(1).set_keep_alive(Duration::from_secs(3));
}

/// Brokers that silently drop what an access list forbids never acknowledge it.
#[tokio::test]
async fn one_missing_puback_stops_all_that_follows() {
    let broker = Broker::new().await;
    let (client, mut events) = AsyncClient::new(options(broker.port), 64);
    let polling = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    let mut connection = connected(&broker).await;
    for _ in 0..40 {
        client.try_publish("topic", QoS::AtLeastOnce, false, "record").unwrap();
    }
    let mut arrived = 0;
    while let Ok(publish) = timeout(Duration::from_millis(500), connection.publish()).await {
        arrived += 1;
        if publish.id != 1 {
            connection.ack(0x40, publish.id).await;
        }
    }
    assert_eq!(arrived, 16);
    polling.abort();
}

/// A PUBACK that comes after we gave up on it is no reason to lose the connection.
#[tokio::test]
async fn a_late_puback_ends_the_connection() {
    let broker = Broker::new().await;
    let (_client, events) = AsyncClient::new(options(broker.port), 8);
    let failed = tokio::spawn(failure(events));
    connected(&broker).await.ack(0x40, 7).await;
    assert!(failed.await.unwrap().contains("unsolicited ack"));
}

/// The owner of a router needs the words of a broker that refuses.
#[tokio::test]
async fn the_reason_string_of_a_refusal_is_lost() {
    let broker = Broker::new().await;
    let (_client, events) = AsyncClient::new(options(broker.port), 8);
    let failed = tokio::spawn(failure(events));
    let mut connection = broker.accept().await;
    connection.connect().await;
    connection.connack(0x87, &[Property::Text(id::REASON, "tenant suspended".into())]).await;
    let why = failed.await.unwrap();
    assert!(why.contains("NotAuthorized") && !why.contains("suspended"), "{why}");
}

/// MQTT 5.0, 3.14.2.1: a DISCONNECT without a reason code is a normal one.
#[tokio::test]
async fn an_empty_disconnect_is_taken_for_malformed() {
    let broker = Broker::new().await;
    let (_client, events) = AsyncClient::new(options(broker.port), 8);
    let failed = tokio::spawn(failure(events));
    connected(&broker).await.write(&[0xe0, 0]).await;
    assert!(failed.await.unwrap().contains("Payload is required"));
}
