//! A client that takes whatever happens to its gateway, and the owner's end of the channel. Written from the protocol alone.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Message, WebSocket};

use super::home::PATIENCE;

pub(crate) const READ: &[&str] = &["operator.read"];
pub(crate) const WRITE: &[&str] = &["operator.read", "operator.write"];
pub(crate) const PAIRING: &[&str] = &["operator.read", "operator.pairing"];

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A key and the id made from it.
#[derive(Clone)]
pub(crate) struct Device(SigningKey);

impl Device {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SigningKey::from_bytes(&Sha256::digest(seed.to_le_bytes()).into()))
    }

    pub(crate) fn id(&self) -> String {
        Sha256::digest(self.0.verifying_key().to_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What came of a connect or a call.
pub(crate) enum Reply {
    Yes(Value),
    No(Value),
    /// The connection ended before there was an answer.
    Gone,
}

impl Reply {
    /// The error's own code.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Yes(_) => "granted".to_owned(),
            Self::No(error) => text(&error["details"]["code"]),
            Self::Gone => "gone".to_owned(),
        }
    }

    pub(crate) fn granted(self) -> Value {
        match self {
            Self::Yes(payload) => payload,
            Self::No(error) => panic!("refused: {error}"),
            Self::Gone => panic!("the gateway went away"),
        }
    }
}

/// A stream that asks again where the system says no more than that: with a deadline, whatever stops and continues this process
/// ends a wait (signal(7)), and nothing was wrong with the connection.
#[derive(Debug)]
struct Patient(TcpStream);

fn again<T>(mut call: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

impl Read for Patient {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        again(|| self.0.read(bytes))
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        again(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        again(|| self.0.flush())
    }
}

/// A WebSocket that has heard its challenge.
pub(crate) struct Socket {
    stream: WebSocket<Patient>,
    nonce: String,
    /// Pushes that came while something else was awaited.
    pub(crate) pushes: Vec<Value>,
    calls: u32,
}

/// How somebody asks to be let in.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) device: &'a Device,
    pub(crate) scopes: &'a [&'a str],
    /// The shared token, or a device's own.
    pub(crate) token: Token<'a>,
    /// Under a name that is not this machine's.
    pub(crate) is_remote: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Token<'a> {
    Shared(&'a str),
    Own(&'a str),
}

impl Socket {
    /// None where nobody answers, or not to the end.
    pub(crate) fn open(address: SocketAddr, is_remote: bool) -> Option<Self> {
        Self::over(TcpStream::connect(address).ok()?, address, is_remote)
    }

    pub(crate) fn over(tcp: TcpStream, address: SocketAddr, is_remote: bool) -> Option<Self> {
        tcp.set_read_timeout(Some(PATIENCE)).expect("set");
        tcp.set_nodelay(true).expect("set");
        let mut request = format!("ws://{address}/").into_client_request().expect("a request");
        if is_remote {
            request.headers_mut().insert("host", HeaderValue::from_static("gw.example.test"));
        }
        let (stream, _) = tokio_tungstenite::tungstenite::client(request, Patient(tcp)).ok()?;
        let mut socket = Self { stream, nonce: String::new(), pushes: vec![], calls: 0 };
        let challenge = socket.hear().ok()?;
        socket.nonce = text(&challenge["payload"]["nonce"]);
        Some(socket)
    }

    pub(crate) fn connect(&mut self, ask: Ask<'_>) -> Reply {
        self.say_connect(ask);
        self.response("connect")
    }

    /// Says it and does not wait for the answer.
    pub(crate) fn say_connect(&mut self, ask: Ask<'_>) {
        let params = self.params(ask);
        self.request("connect", "connect", &params);
    }

    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Reply {
        self.calls += 1;
        let id = format!("call-{}", self.calls);
        self.request(&id, method, params);
        self.response(&id)
    }

    fn request(&mut self, id: &str, method: &str, params: &Value) {
        let call = json!({ "type": "req", "id": id, "method": method, "params": params });
        // If the gateway is gone, its missing answer tells.
        let _ = self.stream.send(Message::text(call.to_string()));
    }

    /// The answer to `id`; pushes on the way are kept.
    pub(crate) fn response(&mut self, id: &str) -> Reply {
        loop {
            match self.hear() {
                Ok(frame) if frame["type"] == "event" => self.pushes.push(frame),
                Ok(frame) if frame["id"] == id => {
                    return if frame["ok"] == true {
                        Reply::Yes(frame["payload"].clone())
                    } else {
                        Reply::No(frame["error"].clone())
                    };
                }
                Ok(frame) => panic!("{frame} instead of an answer to {id}"),
                Err(_) => return Reply::Gone,
            }
        }
    }

    /// The next push.
    pub(crate) fn push(&mut self) -> Value {
        if !self.pushes.is_empty() {
            return self.pushes.remove(0);
        }
        match self.hear() {
            Ok(frame) => frame,
            Err(end) => panic!("{end} instead of a push"),
        }
    }

    /// Sends a ping and waits for its pong.
    pub(crate) fn ping(&mut self) {
        self.stream.send(Message::Ping("p".into())).expect("sent");
        loop {
            match self.stream.read().expect("a pong") {
                Message::Pong(_) => return,
                Message::Text(text) => self.pushes.push(serde_json::from_str(&text).expect("JSON")),
                _ => {}
            }
        }
    }

    /// The next frame, or how the connection ended.
    fn hear(&mut self) -> Result<Value, String> {
        loop {
            match self.stream.read() {
                Ok(Message::Text(text)) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Ok(Message::Close(why)) => return Err(format!("{why:?}")),
                Ok(_) => {}
                Err(tokio_tungstenite::tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("the gateway neither answers nor ends")
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Waits until the gateway has ended it.
    pub(crate) fn ended(&mut self) {
        while self.hear().is_ok() {}
    }

    fn params(&self, ask: Ask<'_>) -> Value {
        let Ask { device, scopes, token, .. } = ask;
        let (auth, secret) = match token {
            Token::Shared(secret) => (json!({ "token": secret }), secret),
            Token::Own(secret) => (json!({ "deviceToken": secret }), secret),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_millis();
        let now = u64::try_from(now).expect("a time");
        let (id, nonce) = (device.id(), &self.nonce);
        let signed = format!("v3|{id}|cli|cli|operator|{}|{now}|{secret}|{nonce}|linux|", scopes.join(","));
        json!({
            "minProtocol": 3,
            "maxProtocol": 3,
            "client": { "id": "cli", "version": "0.0.0-test", "platform": "linux", "mode": "cli" },
            "caps": [],
            "role": "operator",
            "scopes": scopes,
            "auth": auth,
            "device": {
                "id": id,
                "publicKey": URL_SAFE_NO_PAD.encode(device.0.verifying_key().to_bytes()),
                "signature": URL_SAFE_NO_PAD.encode(device.0.sign(signed.as_bytes()).to_bytes()),
                "signedAt": now,
                "nonce": nonce,
            },
        })
    }
}

/// Opens a socket and asks on it.
pub(crate) fn connect(address: SocketAddr, ask: Ask<'_>) -> (Option<Socket>, Reply) {
    match Socket::open(address, ask.is_remote) {
        Some(mut socket) => {
            let reply = socket.connect(ask);
            (Some(socket), reply)
        }
        None => (None, Reply::Gone),
    }
}

/// One call over the owner channel.
pub(crate) fn owner(state: &Path, method: &str, params: &Value) -> Reply {
    let exchange = || -> std::io::Result<String> {
        let stream = UnixStream::connect(state.join("pairing/owner.sock"))?;
        stream.set_read_timeout(Some(PATIENCE * 2))?;
        let call = json!({ "type": "req", "id": "1", "method": method, "params": params });
        (&stream).write_all(format!("{call}\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        Ok(line)
    };
    match exchange() {
        Ok(line) if line.ends_with('\n') => {
            let frame: Value = serde_json::from_str(&line).expect("JSON");
            if frame["ok"] == true { Reply::Yes(frame["payload"].clone()) } else { Reply::No(frame["error"].clone()) }
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("the owner channel neither answers nor ends"),
        _ => Reply::Gone,
    }
}
