//! Requests and answers over a wire that a case plays itself.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use usp_agent::usp::wire::msg::body::MsgBody;
use usp_agent::usp::wire::msg::request::ReqType;
use usp_agent::usp::wire::msg::response::RespType;
use usp_agent::usp::wire::msg::{self, Msg};
use usp_agent::usp::wire::record::Record;
use usp_agent::usp::wire::record::record::RecordType;

use crate::eut::Scene;
use crate::tester::{PATIENCE, message, record};

/// Carries records between the case and the agent.
pub trait Wire {
    async fn send(&mut self, record: Bytes);
    /// The next record of the agent; None where the connection ends, and the case fails when neither comes in time.
    async fn receive(&mut self, within: Duration) -> Option<Bytes>;
}

/// Who speaks with whom.
#[derive(Debug, Clone)]
pub struct Ids {
    pub own: String,
    pub agent: String,
}

impl Ids {
    pub fn of(scene: &Scene) -> Self {
        Self { own: scene.own_id.clone(), agent: scene.agent_id.clone() }
    }

    /// A request in a record, and its msg_id.
    pub fn request(&self, request: ReqType) -> (String, Bytes) {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let id = format!("wire-{}", LAST.fetch_add(1, Ordering::Relaxed));
        let body = MsgBody::Request(msg::Request { req_type: Some(request) });
        let record = record(&self.own, &self.agent, message(&id, body));
        (id, record)
    }

    /// Checks the ids of a record and gives what it carries.
    pub fn open(&self, bytes: Bytes) -> RecordType {
        let record = Record::decode(bytes).expect("the EUT sends no USP record");
        assert_eq!((&*record.from_id, &*record.to_id), (&*self.agent, &*self.own), "ids of the EUT's record");
        record.record_type.expect("a record_type")
    }

    /// The body of the message in a record, where it has this id.
    pub fn message(&self, record: Bytes, id: &str) -> Option<MsgBody> {
        let RecordType::NoSessionContext(inner) = self.open(record) else { return None };
        let message = Msg::decode(inner.payload).expect("the EUT sends no USP message");
        let is_it = message.header.is_some_and(|header| header.msg_id == id);
        is_it.then(|| message.body.and_then(|body| body.msg_body).expect("a message without body"))
    }

    /// The answer to `id`, whatever else comes before it.
    pub async fn answer(&self, wire: &mut impl Wire, id: &str) -> MsgBody {
        loop {
            let bytes = wire.receive(PATIENCE).await.expect("the connection ends before the answer");
            if let Some(body) = self.message(bytes, id) {
                return body;
            }
        }
    }

    /// Sends a request and waits for its Response.
    pub async fn ask(&self, wire: &mut impl Wire, request: ReqType) -> RespType {
        let (id, record) = self.request(request);
        wire.send(record).await;
        match self.answer(wire, &id).await {
            MsgBody::Response(response) => response.resp_type.expect("an empty Response"),
            other => panic!("not a Response: {other:?}"),
        }
    }

    /// "The EUT sends a GetResponse", and it holds what was asked for.
    pub async fn gets(&self, wire: &mut impl Wire, path: &str) -> Vec<(String, String)> {
        let response = self.ask(wire, get(path)).await;
        values(response, path)
    }

    /// The Connect record, which is the first thing on a new channel (R-MTP.6), within the 30 s of 6.12, 7.10 and 11.17.
    pub async fn connect_record(&self, wire: &mut impl Wire) -> RecordType {
        let first = wire.receive(Duration::from_secs(30)).await.expect("the connection ends without a record");
        self.open(first)
    }
}

/// A Get of one path.
pub fn get(path: &str) -> ReqType {
    ReqType::Get(msg::Get { param_paths: vec![path.to_owned()], max_depth: 0 })
}

/// Paths and values of a GetResp for one path.
pub fn values(response: RespType, path: &str) -> Vec<(String, String)> {
    let RespType::GetResp(response) = response else { panic!("not a GetResp: {response:?}") };
    let [result] = &*response.req_path_results else { panic!("{response:?}") };
    assert_eq!((&*result.requested_path, result.err_code), (path, 0), "{result:?}");
    let of = |object: &msg::get_resp::ResolvedPathResult| {
        let path = object.resolved_path.clone();
        object.result_params.clone().into_iter().map(move |(name, value)| (format!("{path}{name}"), value))
    };
    let values: Vec<_> = result.resolved_path_results.iter().flat_map(of).collect();
    assert!(!values.is_empty(), "an empty GetResp for {path}");
    values
}

/// The value of the one parameter whose path ends like this.
pub fn value_of<'a>(values: &'a [(String, String)], end: &str) -> &'a str {
    let mut found = values.iter().filter(|(path, _)| path.ends_with(end));
    let (_, value) = found.next().unwrap_or_else(|| panic!("no {end} in {values:?}"));
    assert!(found.next().is_none(), "{end} twice in {values:?}");
    value
}

/// A time between two tries: in the range of TR-369's retry algorithm for try `n`, by `m` seconds and `k` thousandths.
/// A loaded machine is late, never early.
pub fn in_retry_range(waited: Duration, n: i32, m: f64, k: f64) {
    let (low, high) = (m * (k / 1000.0).powi(n - 1), m * (k / 1000.0).powi(n));
    let waited = waited.as_secs_f64();
    assert!(waited > low - 0.05 && waited < high + 0.5, "try {n} after {waited:.2} s, not within {low} to {high} s");
}
