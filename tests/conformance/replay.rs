//! Plays one recording against a gateway: what its clients sent is sent, and what the gateway says is compared with what the real
//! one said, connection by connection.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::compare::{Difference, compare};
use super::gateway::Gateway;
use super::recording::{Kind, Line, Recording};
use super::words::{Challenge, Words};

/// How long an answer is waited for that may not come.
const PATIENCE: Duration = Duration::from_secs(20);
/// From here on a pause in a recording is one; what is shorter is the time that things took.
const PAUSE_MS: u64 = 200;

/// One connection, and what came on it that no line of the recording has spoken of yet.
#[derive(Default)]
struct Peer {
    socket: Option<WebSocketStream<TcpStream>>,
    challenge: Challenge,
    calls: BTreeMap<String, String>,
    heard: Vec<(usize, Value)>,
    count: usize,
    /// Lines and what answered them, by the order in which it came.
    matched: Vec<(usize, usize, String)>,
    /// Events that have not come yet, with their lines.
    awaited: Vec<(usize, Value)>,
    protocol: u64,
    numbered: u64,
    misnumbered: Vec<Value>,
    pings: u64,
    pongs: u64,
    close: Option<Value>,
    http: Option<Value>,
    /// How many ticks the real gateway told, and we.
    ticks: (usize, usize),
    says_close: bool,
    /// Whether the real gateway let it in.
    was_admitted: bool,
    /// Whether no more can be compared: it has ended, or what follows can only differ.
    is_past: bool,
}

struct Replay {
    token: &'static str,
    protocol: u64,
    peers: BTreeMap<String, Peer>,
    words: Words,
    next_is_binary: bool,
    line: usize,
    found: Vec<(usize, Difference)>,
    // The last to go: it waits until nobody is connected.
    gateway: Gateway,
}

/// Plays a recording; every difference, in the order of the recording.
pub(crate) fn replay(recording: &Recording) -> Vec<Difference> {
    let (token, protocol) = if recording.release() == "3.13" { ("tok3", 3) } else { ("tok9", 4) };
    let proxied = recording.ran_with("trusted-proxy");
    let token = if proxied { "tokp" } else { token };
    let auth = if recording.ran_with("mode-none") {
        json!({ "mode": "none" })
    } else if recording.ran_with("mode-password") {
        json!({ "mode": "password", "password": "pw1" })
    } else {
        json!({ "mode": "token", "token": token })
    };
    let trusts = proxied || (protocol == 4 && !recording.ran_with("no-trusted-proxies"));
    let proxies = if trusts { json!(["127.0.0.1"]) } else { json!([]) };
    let gateway = Gateway::start(&json!({ "auth": auth, "trustedProxies": proxies }));
    let (words, peers) = (Words::default(), BTreeMap::new());
    let mut replay = Replay { gateway, token, protocol, peers, words, next_is_binary: false, line: 0, found: vec![] };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut now = recording.lines.first().map_or(0, |line| line.at_ms);
        for (index, line) in recording.lines.iter().enumerate() {
            replay.line = index;
            let passed = line.at_ms.saturating_sub(now);
            if passed > PAUSE_MS {
                replay.settle().await;
            }
            replay.gateway.turn(passed, passed > PAUSE_MS).await;
            now = now.max(line.at_ms);
            replay.play(line).await;
        }
        replay.end().await;
    });
    replay.found.sort_by_key(|(line, _)| *line);
    replay.found.into_iter().map(|(_, difference)| difference).collect()
}

impl Replay {
    async fn play(&mut self, line: &Line) {
        let name = line.connection.as_str();
        let is_new = line.kind == Kind::Http && line.is_ours_to_send;
        if !is_new && self.peers.get(name).is_some_and(|peer| peer.is_past) {
            return;
        }
        match (line.kind, line.is_ours_to_send) {
            (Kind::Before, _) => self.before(&line.frame).await,
            (Kind::Note, _) => self.note(line.frame["text"].as_str().unwrap_or_default()),
            (Kind::Http, true) if line.frame["upgrade"] == true => self.open(name, &line.frame).await,
            (Kind::Http, true) => self.exchange(name, &line.frame).await,
            (Kind::Http, false) => self.expect_http(name, &line.frame),
            (Kind::Text, true) => self.say(name, &line.frame).await,
            (Kind::Text, false) if line.frame["type"] == "res" => self.expect_response(name, &line.frame).await,
            (Kind::Text, false) => self.expect_event(name, &line.frame).await,
            (Kind::Close, true) => self.peer(name).close(&line.frame).await,
            (Kind::Close, false) => self.expect_close(name, &line.frame).await,
        }
    }

    fn peer(&mut self, name: &str) -> &mut Peer {
        self.peers.entry(name.to_owned()).or_default()
    }

    fn note(&mut self, text: &str) {
        match text {
            "SIGTERM to the gateway" => self.gateway.stop(),
            "next frame is sent as a binary message" => self.next_is_binary = true,
            _ => {}
        }
    }

    /// Brings about what an earlier recording had left behind: a request from afar or from a page, neither of which is approved by
    /// rule, and which the owner may have approved.
    async fn before(&mut self, left: &Value) {
        self.gateway.turn(1, false).await;
        let mut headers = json!({ "origin": "http://127.0.0.1:<gateway>" });
        if let Some(address) = left.get("remoteIp") {
            headers["x-forwarded-for"] = address.clone();
        }
        self.open("before", &json!({ "path": "/", "headers": headers })).await;
        let key = left["publicKey"].as_str().expect("a key").to_owned();
        let mut client =
            json!({ "id": left["clientId"], "mode": left["clientMode"], "version": "0.0.0-rec", "platform": left["platform"] });
        if let Some(name) = left.get("displayName") {
            client["displayName"] = name.clone();
        }
        if let Some(family) = left.get("deviceFamily") {
            client["deviceFamily"] = family.clone();
        }
        let device = json!({
            "id": key.replace("key", "device"),
            "publicKey": key,
            "signature": { "form": "v3" },
            "signedAt": "<now+0>",
            "nonce": "<nonce>",
        });
        let connect = json!({
            "type": "req",
            "id": "before",
            "method": "connect",
            "params": {
                "minProtocol": self.protocol,
                "maxProtocol": self.protocol,
                "client": client,
                "role": left["role"],
                "scopes": left["scopes"],
                "auth": { "token": self.token },
                "device": device.clone(),
            },
        });
        self.say("before", &connect).await;
        let (_, refused) = self.peer("before").response("before").await.expect("an answer");
        let request = refused["error"]["details"]["requestId"].clone();
        assert!(request.is_string(), "no request came of what was there before: {refused}");
        self.peers.remove("before");
        if left["paired"] != true {
            return self.words.learn(&left["requestId"], &request);
        }
        let device = self.words.said(&device["id"], &Challenge::default());
        let mut acts = vec![("device.pair.approve", json!({ "requestId": request }))];
        if let Some(label) = left.get("label") {
            acts.push(("device.pair.rename", json!({ "deviceId": device, "label": label })));
        }
        if left.get("rotated").is_some() {
            acts.push(("device.token.rotate", json!({ "deviceId": device, "role": left["role"] })));
        }
        for (method, params) in acts {
            let done = self.gateway.owner(method, params).await.expect("it runs");
            assert_eq!(done["ok"], true, "what was there before can be made: {done}");
        }
    }

    async fn open(&mut self, name: &str, upgrade: &Value) {
        let address = self.gateway.address;
        let mut request = format!("ws://{address}{}", text(&upgrade["path"])).into_client_request().expect("a request");
        for (header, value) in headers(upgrade, address.port()) {
            let header = HeaderName::try_from(header).expect("a header");
            request.headers_mut().insert(header, HeaderValue::from_str(&value).expect("a header"));
        }
        let tcp = TcpStream::connect(address).await.expect("connected");
        let mut peer = Peer::default();
        match tokio_tungstenite::client_async(request, tcp).await {
            Ok((socket, _)) => {
                peer.socket = Some(socket);
                peer.until(|peer| !peer.heard.is_empty()).await;
                if let Some((_, challenge)) = peer.heard.first() {
                    let payload = &challenge["payload"];
                    let ts = payload["ts"].as_u64().expect("a time");
                    peer.challenge = Challenge { nonce: text(&payload["nonce"]).to_owned(), ts };
                    self.words.is_nonce(&peer.challenge.nonce);
                    assert_eq!(ts, self.gateway.now_ms(), "a challenge tells the time");
                }
            }
            Err(WsError::Http(response)) => peer.http = Some(answered(&response)),
            Err(error) => panic!("{error}"),
        }
        self.peers.insert(name.to_owned(), peer);
    }

    /// A plain exchange, on a connection of its own.
    async fn exchange(&mut self, name: &str, request: &Value) {
        let address = self.gateway.address;
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", text(&request["method"]), text(&request["path"]));
        let mut headers = headers(request, address.port());
        headers.entry("host".to_owned()).or_insert_with(|| address.to_string());
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        stream.write_all(format!("{head}\r\n").as_bytes()).await.expect("sent");
        let mut answer = vec![];
        stream.read_to_end(&mut answer).await.expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let mut response = Response::builder().status(head.split(' ').nth(1).expect("a status"));
        for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(": ")) {
            response = response.header(name, value);
        }
        let response = response.body(Some(body.as_bytes().to_vec())).expect("a response");
        let mut said = answered(&response);
        said["request"] = format!("{} {}", text(&request["method"]), text(&request["path"])).into();
        self.peer(name).http = Some(said);
    }

    fn expect_http(&mut self, name: &str, theirs: &Value) {
        let peer = self.peer(name);
        let ours = peer.http.take();
        peer.is_past = peer.socket.is_some();
        let request = ours.as_ref().and_then(|ours| ours["request"].as_str()).unwrap_or("upgrade");
        let at = format!("{name} http {request}");
        match ours.clone() {
            Some(mut ours) => {
                if let Some(ours) = ours.as_object_mut() {
                    ours.remove("request");
                    if !theirs.as_object().is_some_and(|theirs| theirs.contains_key("body")) {
                        ours.remove("body");
                    }
                }
                self.compare(self.line, &at, theirs, &ours);
            }
            None => self.differs(&at, Some(theirs), Some(&json!("upgraded"))),
        }
    }

    async fn say(&mut self, name: &str, frame: &Value) {
        let peer = self.peers.entry(name.to_owned()).or_default();
        if let (Some(id), Some(method)) = (frame["id"].as_str(), frame["method"].as_str()) {
            peer.calls.insert(id.to_owned(), method.to_owned());
        }
        let message = match (frame.get("raw"), frame.get("bytes")) {
            (Some(raw), _) => text(raw).to_owned(),
            (_, Some(bytes)) => "x".repeat(bytes.as_u64().and_then(|bytes| bytes.try_into().ok()).expect("a length")),
            _ => self.words.said(frame, &peer.challenge).to_string(),
        };
        let is_binary = std::mem::take(&mut self.next_is_binary);
        let message = if is_binary { Message::binary(message.into_bytes()) } else { Message::text(message) };
        if let Some(socket) = &mut peer.socket {
            // Who is turned away while it speaks hears why when it listens.
            let _cut_off = tokio::time::timeout(PATIENCE, socket.send(message)).await;
        }
    }

    async fn expect_response(&mut self, name: &str, theirs: &Value) {
        let peer = self.peers.entry(name.to_owned()).or_default();
        let id = text(&theirs["id"]);
        let method = peer.calls.get(id).map_or(id, String::as_str);
        let at = format!("{name} {method}");
        match peer.response(id).await {
            Some((order, ours)) => {
                peer.matched.push((self.line, order, at.clone()));
                self.judge(name, self.line, &at, theirs, ours);
            }
            None if peer.close.is_some() => self.ended_early(name, &at, theirs),
            None => self.differs(&at, Some(&brief(theirs)), None),
        }
        self.catch_up().await;
    }

    /// An event may come only once another connection got its answer, though the recording has it before.
    async fn expect_event(&mut self, name: &str, theirs: &Value) {
        let line = self.line;
        if is_on_its_own_time(theirs) {
            self.peer(name).ticks.0 += usize::from(theirs["event"] == "tick");
            return;
        }
        self.peer(name).awaited.push((line, theirs.clone()));
        self.catch_up().await;
    }

    /// Matches the events that are awaited with those that came.
    async fn catch_up(&mut self) {
        for name in self.peers.keys().cloned().collect::<Vec<_>>() {
            let peer = self.peer(&name);
            if peer.is_past || peer.awaited.is_empty() {
                continue;
            }
            peer.settle().await;
            for (line, theirs) in std::mem::take(&mut peer.awaited) {
                let event = text(&theirs["event"]);
                let is_it = |frame: &Value| {
                    let (theirs, ours) = (&theirs["payload"], self.words.named(&frame["payload"]));
                    frame["event"] == event && theirs["deviceId"] == ours["deviceId"] && theirs["decision"] == ours["decision"]
                };
                let peer = self.peers.get_mut(&name).expect("it listens");
                match peer.heard.iter().position(|(_, frame)| is_it(frame)) {
                    Some(index) => {
                        let (order, ours) = peer.heard.remove(index);
                        let at = format!("{name} {event}");
                        peer.matched.push((line, order, at.clone()));
                        self.judge(&name, line, &at, &theirs, ours);
                    }
                    None => peer.awaited.push((line, theirs)),
                }
            }
        }
    }

    fn differs(&mut self, at: &str, theirs: Option<&Value>, ours: Option<&Value>) {
        self.found.push((self.line, Difference::new(at, "", theirs, ours)));
    }

    fn compare(&mut self, line: usize, at: &str, theirs: &Value, ours: &Value) {
        let mut found = vec![];
        compare(at, theirs, ours, &mut found);
        self.found.extend(found.into_iter().map(|difference| (line, difference)));
    }

    /// Compares what came with what had to come.
    fn judge(&mut self, name: &str, line: usize, at: &str, theirs: &Value, ours: Value) {
        let peer = self.peer(name);
        peer.was_admitted |= theirs["payload"]["type"] == "hello-ok";
        let is_handshake = at.ends_with(" connect") || !peer.was_admitted;
        peer.is_past |= is_handshake && ours["type"] == "res" && theirs["ok"] != ours["ok"];
        self.words.learn(theirs, &ours);
        let ours = self.words.named(&ours);
        self.compare(line, at, theirs, &ours);
    }

    /// We closed a connection that lived on there: told once, and what followed on it was not to be had.
    fn ended_early(&mut self, name: &str, at: &str, theirs: &Value) {
        let peer = self.peer(name);
        peer.is_past = true;
        let close = peer.close.clone();
        let close = close.map(|close| self.words.named(&json!({ "close": close })));
        self.differs(at, Some(&brief(theirs)), close.as_ref());
    }

    async fn expect_close(&mut self, name: &str, theirs: &Value) {
        let is_running = self.gateway.is_running();
        let peer = self.peer(name);
        if peer.protocol != 0 && !peer.says_close && is_running {
            // What ends somebody who was let in is an act that was answered before.
            peer.settle().await;
        } else {
            peer.until(|peer| peer.close.is_some()).await;
        }
        self.catch_up().await;
        self.left_over(name);
        let peer = self.peer(name);
        peer.is_past = true;
        let (says_close, close) = (peer.says_close, peer.close.clone());
        let at = format!("{name} close");
        match close {
            Some(_) if theirs["code"] == 0 => {}
            // Who says that it goes is told the same.
            Some(ours) if says_close && ours["code"] == theirs["code"] => {}
            Some(ours) => {
                let ours = self.words.named(&ours);
                self.compare(self.line, &at, theirs, &ours);
            }
            None => self.differs(&at, Some(theirs), None),
        }
    }

    /// What came on a connection and had not to, what did not come, and what came in another order.
    fn left_over(&mut self, name: &str) {
        let peer = self.peer(name);
        let (heard, awaited) = (std::mem::take(&mut peer.heard), std::mem::take(&mut peer.awaited));
        let ticks = std::mem::take(&mut peer.ticks);
        let (misnumbered, mut matched) = (std::mem::take(&mut peer.misnumbered), std::mem::take(&mut peer.matched));
        // The first may fall on either side of where we begin or end.
        if ticks.0.abs_diff(ticks.1) > 1 {
            let (theirs, ours) = (json!(ticks.0), json!(ticks.1));
            self.differs(&format!("{name} tick"), Some(&theirs), Some(&ours));
        }
        for (line, theirs) in awaited {
            let at = format!("{name} {}", text(&theirs["event"]));
            self.found.push((line, Difference::new(&at, "", Some(&brief(&theirs)), None)));
        }
        for (_, frame) in heard {
            let what = frame["event"].as_str().or(frame["id"].as_str()).unwrap_or_default();
            let ours = brief(&self.words.named(&frame));
            self.differs(&format!("{name} {what}"), None, Some(&ours));
        }
        matched.sort();
        for (line, _, at) in matched.windows(2).filter(|pair| pair[1].1 < pair[0].1).map(|pair| &pair[1]) {
            self.found.push((*line, Difference::new(at, "/order", None, Some(&json!("earlier")))));
        }
        for seq in misnumbered {
            self.found.push((self.line, Difference::new(&format!("{name} event"), "/seq", None, Some(&seq))));
        }
    }

    async fn settle(&mut self) {
        for peer in self.peers.values_mut().filter(|peer| !peer.is_past) {
            peer.settle().await;
        }
    }

    /// What came that no line spoke of.
    async fn end(&mut self) {
        self.catch_up().await;
        self.settle().await;
        let names: Vec<_> = self.peers.keys().cloned().collect();
        for name in names {
            let peer = self.peer(&name);
            if peer.is_past {
                continue;
            }
            let close = peer.close.clone();
            self.left_over(&name);
            if let Some(close) = close {
                let close = self.words.named(&close);
                self.differs(&format!("{name} close"), None, Some(&close));
            }
        }
        self.peers.clear();
    }
}

impl Peer {
    /// Reads until `is_enough`, the end, or the end of patience.
    async fn until(&mut self, is_enough: impl Fn(&Self) -> bool) {
        while !is_enough(self) && self.close.is_none() {
            let Some(socket) = &mut self.socket else { return };
            let Ok(message) = tokio::time::timeout(PATIENCE, socket.next()).await else { return };
            match message {
                Some(Ok(Message::Text(text))) => self.hear(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(Some(frame)))) => {
                    let reason = frame.reason.to_string();
                    self.close = Some(json!({ "code": u16::from(frame.code), "reason": reason }));
                    // The other half of the goodbye.
                    let _gone = socket.flush().await;
                }
                Some(Ok(Message::Close(None))) => self.close = Some(json!({ "code": 1005, "reason": "" })),
                Some(Ok(Message::Pong(_))) => self.pongs += 1,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => self.close = Some(json!({ "code": 1006, "reason": "" })),
            }
        }
    }

    fn hear(&mut self, frame: Value) {
        if frame["payload"]["type"] == "hello-ok" {
            self.protocol = frame["payload"]["protocol"].as_u64().expect("a protocol");
        }
        if let Some(seq) = frame["seq"].as_u64() {
            // Protocol 3 numbers the pushes of the whole gateway, protocol 4 those of the connection.
            let follows = if self.protocol == 3 { seq > self.numbered } else { seq == self.numbered + 1 };
            if !follows {
                self.misnumbered.push(json!({ "after": self.numbered, "comes": seq }));
            }
            self.numbered = seq;
        }
        if is_on_its_own_time(&frame) {
            self.ticks.1 += usize::from(frame["event"] == "tick");
            return;
        }
        self.heard.push((self.count, frame));
        self.count += 1;
    }

    /// Reads all that was sent before now.
    async fn settle(&mut self) {
        let Some(socket) = &mut self.socket else { return };
        if self.close.is_none() && socket.send(Message::Ping(vec![].into())).await.is_ok() {
            self.pings += 1;
        }
        self.until(|peer| peer.pongs == peer.pings).await;
    }

    /// The response to a call, if it comes.
    async fn response(&mut self, id: &str) -> Option<(usize, Value)> {
        let index = |peer: &Self| peer.heard.iter().position(|(_, frame)| frame["type"] == "res" && frame["id"] == id);
        self.until(|peer| index(peer).is_some()).await;
        index(self).map(|index| self.heard.remove(index))
    }

    async fn close(&mut self, frame: &Value) {
        self.says_close = true;
        let code = frame["code"].as_u64().and_then(|code| u16::try_from(code).ok()).filter(|code| *code != 0);
        let frame = code.map(|code| CloseFrame { code: code.into(), reason: text(&frame["reason"]).to_owned().into() });
        if let Some(socket) = &mut self.socket {
            let _gone = socket.close(frame).await;
        }
    }
}

/// Presence and ticks are told when it suits each gateway, so only that there are ticks is compared.
fn is_on_its_own_time(frame: &Value) -> bool {
    frame["event"] == "presence" || frame["event"] == "tick"
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Of a frame what is worth showing.
fn brief(frame: &Value) -> Value {
    frame.get("payload").or(frame.get("error")).unwrap_or(frame).clone()
}

fn headers(request: &Value, port: u16) -> BTreeMap<String, String> {
    let headers = request["headers"].as_object().into_iter().flatten();
    headers.map(|(name, value)| (name.clone(), text(value).replace("<gateway>", &port.to_string()))).collect()
}

fn answered(response: &Response<Option<Vec<u8>>>) -> Value {
    let shown = ["content-type", "allow", "cache-control", "retry-after"];
    let headers: serde_json::Map<_, _> = shown
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), response.headers().get(*name)?.to_str().ok()?.into())))
        .collect();
    let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let body = serde_json::from_str(&body).unwrap_or_else(|_| Value::from(body.into_owned()));
    json!({ "status": response.status().as_u16(), "headers": headers, "body": body })
}
