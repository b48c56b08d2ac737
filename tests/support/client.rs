//! A client written from the protocol alone, so that a mistake shared with the gateway's own parsing cannot hide.
#![allow(dead_code, reason = "each test binary includes all of it and uses a part")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

/// The shared secret of every gateway here.
pub(crate) const SECRET: &str = "the shared secret of these tests";
/// No answer takes this long; it only turns a hang into a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const READ: &[&str] = &["operator.read"];
pub(crate) const WRITE: &[&str] = &["operator.write"];
pub(crate) const PAIRING: &[&str] = &["operator.pairing"];
pub(crate) const ADMIN: &[&str] = &["operator.admin"];
/// What the OpenClaw 2026.3.13 CLI always asks for.
pub(crate) const CLI: &[&str] = &["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"];

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// A key and the id made from it.
pub(crate) struct Device {
    pub(crate) key: SigningKey,
}

impl Device {
    pub(crate) fn new(seed: u8) -> Self {
        Self { key: SigningKey::from_bytes(&[seed; 32]) }
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    pub(crate) fn id(&self) -> String {
        id_of(&self.public())
    }

    /// A connect with the shared secret, as a CLI makes it.
    pub(crate) fn asks(&self, scopes: &[&str]) -> Ask {
        Ask { key: Some(self.key.clone()), ..Ask::new(scopes) }
    }

    /// A connect with nothing but its own token.
    pub(crate) fn returns(&self, token: &str, scopes: &[&str]) -> Ask {
        self.asks(scopes).auth(json!({ "deviceToken": token }))
    }
}

pub(crate) fn id_of(public: &[u8]) -> String {
    Sha256::digest(public).iter().map(|byte| format!("{byte:02x}")).collect()
}

type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// What a client says when it connects. Fields are signed as they stand; edits come after the signature.
#[derive(Clone)]
pub(crate) struct Ask {
    key: Option<SigningKey>,
    protocol: u8,
    form: &'static str,
    client: (&'static str, &'static str),
    role: &'static str,
    scopes: Vec<String>,
    platform: &'static str,
    family: Option<&'static str>,
    auth: Value,
    clock_ahead_ms: i64,
    headers: Vec<(&'static str, String)>,
    user: Option<u32>,
    edits: Vec<Edit>,
}

impl Ask {
    /// Without a device.
    pub(crate) fn new(scopes: &[&str]) -> Self {
        Self {
            key: None,
            protocol: 3,
            form: "v3",
            client: ("cli", "cli"),
            role: "operator",
            scopes: scopes.iter().map(ToString::to_string).collect(),
            platform: "linux",
            family: None,
            auth: json!({ "token": SECRET }),
            clock_ahead_ms: 0,
            headers: vec![],
            user: None,
            edits: vec![],
        }
    }

    pub(crate) fn auth(self, auth: Value) -> Self {
        Self { auth, ..self }
    }

    /// In the dialect of OpenClaw 2026.9.6.
    pub(crate) fn four(self) -> Self {
        Self { protocol: 4, ..self }
    }

    pub(crate) fn client(self, id: &'static str, mode: &'static str) -> Self {
        Self { client: (id, mode), ..self }
    }

    pub(crate) fn role(self, role: &'static str) -> Self {
        Self { role, ..self }
    }

    pub(crate) fn platform(self, platform: &'static str) -> Self {
        Self { platform, ..self }
    }

    pub(crate) fn family(self, family: &'static str) -> Self {
        Self { family: Some(family), ..self }
    }

    pub(crate) fn form(self, form: &'static str) -> Self {
        Self { form, ..self }
    }

    pub(crate) fn clock_ahead_ms(self, clock_ahead_ms: i64) -> Self {
        Self { clock_ahead_ms, ..self }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// From a name that is not this machine's, hence remote.
    pub(crate) fn remote(self) -> Self {
        self.header("host", "gw.example.test")
    }

    /// Changes the params after they were signed.
    pub(crate) fn edit(mut self, edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.edits.push(Arc::new(edit));
        self
    }

    /// From a process of another user; only root can become one.
    pub(crate) fn by_user(self, uid: u32) -> Self {
        Self { user: Some(uid), ..self }
    }

    /// A socket that this connect can be sent on.
    pub(crate) async fn open(&self, address: SocketAddr) -> Socket {
        let tcp = match self.user {
            Some(uid) => TcpStream::from_std(connected_as(uid, address)).expect("registered"),
            None => TcpStream::connect(address).await.expect("connected"),
        };
        Socket::upgrade(tcp, address, &self.headers).await
    }

    /// Sends this connect on a new socket, signed at `now_ms`.
    pub(crate) async fn connect(&self, address: SocketAddr, now_ms: u64) -> Tried {
        let mut socket = self.open(address).await;
        let params = self.params(&socket.nonce, now_ms);
        socket.request("connect", "connect", &params).await;
        let heard = socket.hear().await;
        Tried { socket, heard }
    }

    /// The params of `connect` for this challenge.
    pub(crate) fn params(&self, nonce: &str, now_ms: u64) -> Value {
        let (id, mode) = self.client;
        let mut params = json!({
            "minProtocol": self.protocol,
            "maxProtocol": self.protocol,
            "client": { "id": id, "version": "0.0.0-test", "platform": self.platform, "mode": mode },
            "caps": [],
            "role": self.role,
            "scopes": self.scopes,
            "auth": self.auth,
        });
        if let Some(family) = self.family {
            params["client"]["deviceFamily"] = family.into();
        }
        if let Some(key) = &self.key {
            params["device"] = self.device(key, nonce, now_ms);
        }
        self.edits.iter().for_each(|edit| edit(&mut params));
        params
    }

    fn device(&self, key: &SigningKey, nonce: &str, now_ms: u64) -> Value {
        let public = key.verifying_key().to_bytes();
        let signed_at = now_ms.checked_add_signed(self.clock_ahead_ms).expect("a time");
        let signature = URL_SAFE_NO_PAD.encode(key.sign(self.text(&id_of(&public), nonce, signed_at).as_bytes()).to_bytes());
        json!({
            "id": id_of(&public),
            "publicKey": URL_SAFE_NO_PAD.encode(public),
            "signature": signature,
            "signedAt": signed_at,
            "nonce": nonce,
        })
    }

    /// The text that a device signs.
    fn text(&self, device: &str, nonce: &str, signed_at: u64) -> String {
        let credential = ["token", "deviceToken", "bootstrapToken"].iter().find_map(|field| self.auth.get(field)?.as_str());
        let Self { form, client: (id, mode), role, platform, .. } = self;
        let (scopes, credential) = (self.scopes.join(","), credential.unwrap_or_default());
        let common = format!("{form}|{device}|{id}|{mode}|{role}|{scopes}|{signed_at}|{credential}|{nonce}");
        match *form {
            "v3" => {
                let normal = |text: &str| text.trim().to_ascii_lowercase();
                format!("{common}|{}|{}", normal(platform), normal(self.family.unwrap_or_default()))
            }
            _ => common,
        }
    }
}

/// Ticks go on while an answer is awaited that never comes, so it is the whole wait that has an end.
async fn in_time<T>(waited_for: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, waited_for).await.expect("the gateway answers in time")
}

/// What came of a connect: the socket, and the response if one came before the close.
pub(crate) struct Tried {
    pub(crate) socket: Socket,
    pub(crate) heard: Heard,
}

/// A connect that was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The response's error; null where there was no response.
    pub(crate) error: Value,
    pub(crate) close: (u16, String),
}

impl Tried {
    /// It has to be let in; the socket and hello-ok. In protocol 3 the state of health comes right behind it.
    pub(crate) async fn admitted(mut self) -> (Socket, Value) {
        match self.heard {
            Heard::Frame(frame) if frame["ok"] == true && frame["payload"]["type"] == "hello-ok" => {
                let hello = frame["payload"].clone();
                if hello["protocol"] == 3 {
                    assert_eq!(self.socket.push("health").await["ok"], true);
                }
                (self.socket, hello)
            }
            heard => panic!("refused: {heard:?}"),
        }
    }

    /// It has to be refused.
    pub(crate) async fn refused(mut self) -> Refused {
        match self.heard {
            Heard::Frame(frame) => {
                assert_eq!((&frame["id"], &frame["ok"]), (&json!("connect"), &json!(false)), "{frame}");
                Refused { error: frame["error"].clone(), close: self.socket.end().await }
            }
            Heard::Closed(code, reason) => Refused { error: Value::Null, close: (code, reason) },
            Heard::Gone => panic!("no close frame"),
        }
    }
}

impl Refused {
    /// It has to need a person; the id of its request.
    pub(crate) fn request(&self) -> String {
        assert_eq!(self.error["details"]["code"], "PAIRING_REQUIRED", "{self:?}");
        text(&self.error["details"]["requestId"]).to_owned()
    }
}

/// The kernel gives a socket to the user of the thread that made it.
fn connected_as(uid: u32, address: SocketAddr) -> std::net::TcpStream {
    let connect = move || {
        let uid = rustix::thread::Uid::from_raw(uid);
        rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root may become anybody");
        std::net::TcpStream::connect(address).expect("connected")
    };
    let stream = std::thread::spawn(connect).join().expect("no panic");
    stream.set_nonblocking(true).expect("set");
    stream
}

/// What came from the gateway.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Frame(Value),
    Closed(u16, String),
    /// The stream ended without a close frame.
    Gone,
}

/// A WebSocket that has heard its challenge.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
    pub(crate) nonce: String,
    /// Pushes that came while something else was awaited.
    pub(crate) events: VecDeque<Value>,
    /// Of presence, which is told whenever it is convenient, each push that came meanwhile.
    presence: VecDeque<Value>,
    calls: u32,
}

impl Socket {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::upgrade(TcpStream::connect(address).await.expect("connected"), address, &[]).await
    }

    /// With room for few bytes on the way, so that what it sends waits until the gateway reads.
    pub(crate) async fn open_narrow(address: SocketAddr) -> Self {
        let tcp = TcpSocket::new_v4().expect("a socket");
        tcp.set_send_buffer_size(4096).expect("set");
        Self::upgrade(tcp.connect(address).await.expect("connected"), address, &[]).await
    }

    async fn upgrade(tcp: TcpStream, address: SocketAddr, headers: &[(&'static str, String)]) -> Self {
        let mut request = format!("ws://{address}/").into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"));
        }
        let (stream, _) = tokio_tungstenite::client_async(request, tcp).await.expect("upgraded");
        let mut socket = Self { stream, nonce: String::new(), events: VecDeque::new(), presence: VecDeque::new(), calls: 0 };
        let Heard::Frame(challenge) = socket.hear().await else { panic!("no challenge") };
        assert_eq!(challenge["event"], "connect.challenge");
        socket.nonce = challenge["payload"]["nonce"].as_str().expect("a nonce").to_owned();
        socket
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.try_send(message).await.expect("sent");
    }

    pub(crate) async fn try_send(&mut self, message: Message) -> Result<(), WsError> {
        self.stream.send(message).await
    }

    pub(crate) async fn say(&mut self, text: impl Into<String>) {
        self.send(Message::text(text.into())).await;
    }

    pub(crate) async fn request(&mut self, id: &str, method: &str, params: &Value) {
        self.say(json!({ "type": "req", "id": id, "method": method, "params": params }).to_string()).await;
    }

    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            match self.next().await {
                Heard::Frame(frame) if frame["event"] == "presence" => self.presence.push_back(frame),
                heard => return heard,
            }
        }
    }

    /// The next push of presence, whole; other pushes on the way are kept.
    pub(crate) async fn presence(&mut self) -> Value {
        if let Some(frame) = self.presence.pop_front() {
            return frame;
        }
        in_time(async {
            loop {
                match self.next().await {
                    Heard::Frame(frame) if frame["event"] == "presence" => return frame,
                    Heard::Frame(frame) if frame["type"] == "event" => self.events.push_back(frame),
                    other => panic!("{other:?} instead of presence"),
                }
            }
        })
        .await
    }

    /// The pushes of presence that came so far.
    pub(crate) async fn presence_so_far(&mut self) -> Vec<Value> {
        self.get("health", json!({})).await;
        self.presence.drain(..).collect()
    }

    async fn next(&mut self) -> Heard {
        loop {
            match in_time(self.stream.next()).await {
                Some(Ok(Message::Text(text))) => return Heard::Frame(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(Some(frame)))) => return Heard::Closed(frame.code.into(), frame.reason.to_string()),
                Some(Ok(Message::Close(None))) => return Heard::Closed(1005, String::new()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Heard::Gone,
            }
        }
    }

    /// Until something came that was not heard yet; it stays unheard.
    pub(crate) async fn wait_for_bytes(&mut self) {
        self.stream.get_ref().peek(&mut [0]).await.expect("bytes");
    }

    /// The response to `id`; pushes on the way are kept.
    pub(crate) async fn response(&mut self, id: &str) -> Result<Value, Value> {
        in_time(async {
            loop {
                match self.hear().await {
                    Heard::Frame(frame) if frame["type"] == "event" => self.events.push_back(frame),
                    Heard::Frame(frame) => {
                        assert_eq!(frame["id"], id, "{frame}");
                        return if frame["ok"] == true { Ok(frame["payload"].clone()) } else { Err(frame["error"].clone()) };
                    }
                    end => panic!("{end:?} instead of a response to {id}"),
                }
            }
        })
        .await
    }

    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.calls += 1;
        let id = format!("call-{}", self.calls);
        self.request(&id, method, &params).await;
        self.response(&id).await
    }

    /// A call that has to be granted.
    pub(crate) async fn get(&mut self, method: &str, params: Value) -> Value {
        self.call(method, params).await.unwrap_or_else(|error| panic!("{method} was refused: {error}"))
    }

    /// A call that has to be refused; its error.
    pub(crate) async fn denied(&mut self, method: &str, params: Value) -> Value {
        self.call(method, params).await.err().unwrap_or_else(|| panic!("{method} was granted"))
    }

    /// The ids of the pending requests and of the paired devices that it is shown.
    pub(crate) async fn listed(&mut self) -> (Vec<String>, Vec<String>) {
        let list = self.get("device.pair.list", json!({})).await;
        let ids = |part: &str, key: &str| {
            list[part].as_array().expect("a list").iter().map(|entry| text(&entry[key]).to_owned()).collect()
        };
        (ids("pending", "requestId"), ids("paired", "deviceId"))
    }

    /// The payload of the next push, which has to be an `event`.
    pub(crate) async fn push(&mut self, event: &str) -> Value {
        let frame = match self.events.pop_front() {
            Some(frame) => frame,
            None => match self.hear().await {
                Heard::Frame(frame) => frame,
                end => panic!("{end:?} instead of {event}"),
            },
        };
        assert_eq!(frame["event"], event, "{frame}");
        frame["payload"].clone()
    }

    /// How the gateway ends this socket; pushes on the way are kept.
    pub(crate) async fn end(&mut self) -> (u16, String) {
        loop {
            match self.hear().await {
                Heard::Frame(frame) if frame["type"] == "event" => self.events.push_back(frame),
                Heard::Closed(code, reason) => return (code, reason),
                other => panic!("{other:?} instead of a close"),
            }
        }
    }
}
