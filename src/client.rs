//! Dialling a gateway: challenge, signature, hello, calls. A secret goes to this machine only, because without TLS anybody on
//! the path could read it.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::keyring::OwnDevice;
use crate::limits;
use crate::pairing::{ClientId, ClientMode, Millis, Role, ScopeSet, SignatureForm, SignedText};
use crate::peer;
use crate::wire::connect::Dialect;
use crate::wire::devices::public_key_text;
use crate::wire::frame::{self, Inbound, WireError};

/// A gateway to dial, and what to show it.
#[derive(Default)]
pub struct Target {
    /// Its address, `ws://…`.
    pub url: String,
    /// The shared token.
    pub token: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// A device token, in a field of its own.
    pub device_token: Option<String>,
    /// The user that serves it on this machine, where that is neither this one nor root.
    pub served_by: Option<u32>,
    /// The scopes to ask for; without, those of the OpenClaw 2026.3.13 CLI.
    pub scopes: Option<Vec<String>>,
}

/// Why a gateway could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an address of a gateway.
    #[error("{url:?} is not a gateway's address: {why}")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Nobody answers there.
    #[error("no gateway answers at {url}: {source}; start one on that host: openclaw gateway run")]
    Unreachable {
        /// Where.
        url: String,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody answers, but not as a gateway does.
    #[error("what answers at {url} is not an OpenClaw gateway: {why}")]
    NotAGateway {
        /// Where.
        url: String,
        /// What it did.
        why: String,
    },
    /// Somebody else's process answers on this machine.
    #[error(
        "uid {uid} serves {url}, who is neither you nor root, so it was sent no secret; if your gateway runs as that user: --served-by {uid}"
    )]
    Stranger {
        /// Where.
        url: String,
        /// Whose it is.
        uid: u32,
    },
    /// It took too long.
    #[error("the gateway at {url} did not answer within {} ms; give it longer with --timeout", limit.as_millis())]
    Slow {
        /// Where.
        url: String,
        /// How long it had.
        limit: Duration,
    },
    /// The connect or a call was refused.
    #[error("{}", .0.message)]
    Refused(Box<WireError>),
    /// The connection ended.
    #[error("the gateway closed the connection ({code}): {reason}")]
    Closed {
        /// The close code.
        code: u16,
        /// The reason it gave.
        reason: String,
    },
}

/// A connection that was let in.
pub struct Client {
    socket: WebSocketStream<TcpStream>,
    url: String,
    limit: Duration,
    calls: u64,
    /// What the gateway said when it let us in.
    pub hello: Value,
}

impl Client {
    /// Dials `target` as `device`. Each step may take `limit`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn connect(target: &Target, device: &OwnDevice, now: Millis, limit: Duration) -> Result<Self, ClientError> {
        let url = target.url.clone();
        let slow = || ClientError::Slow { url: url.clone(), limit };
        let dialled = tokio::time::timeout(limit, dial(&url)).await.map_err(|_| slow())??;
        let mut client = Self { socket: dialled, url: url.clone(), limit, calls: 0, hello: Value::Null };
        let nonce = loop {
            if let Inbound::Event { event, payload } = client.next().await?
                && event == "connect.challenge"
            {
                break payload.get("nonce").and_then(Value::as_str).map(str::to_owned);
            }
        };
        let nonce = nonce.ok_or_else(|| client.stranger("its challenge has no nonce"))?;
        let ends = client.socket.get_ref();
        if let (Ok(server), Ok(own)) = (ends.peer_addr(), ends.local_addr())
            && let Some(uid) = peer::stranger_at(server, own, target.served_by)
        {
            return Err(ClientError::Stranger { url, uid });
        }
        let params = connect_params(target, device, &nonce, now);
        client.hello = client.call("connect", Some(&params)).await?;
        Ok(client)
    }

    /// Asks for `method` and waits for the answer; pushes meanwhile are passed over.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn call(&mut self, method: &str, params: Option<&Value>) -> Result<Value, ClientError> {
        self.calls = self.calls.saturating_add(1);
        let number = self.calls.to_string();
        let request = frame::request(&number, method, params);
        if self.socket.send(Message::text(request)).await.is_err() {
            // Why it ended stands in a frame that came before.
            while self.next().await.is_ok() {}
        }
        loop {
            match self.next().await? {
                Inbound::Res { id, ok: true, payload, .. } if id == number => return Ok(payload),
                Inbound::Res { id, error, .. } if id == number || id == "invalid" => {
                    let error = error.unwrap_or_else(|| WireError::invalid("refused without a reason"));
                    return Err(ClientError::Refused(Box::new(error)));
                }
                Inbound::Res { .. } | Inbound::Event { .. } => {}
            }
        }
    }

    /// Leaves in order.
    pub async fn close(mut self) {
        // Whoever is gone needs no goodbye.
        let _ = tokio::time::timeout(limits::CLOSE_DEADLINE, self.socket.close(None)).await;
    }

    async fn next(&mut self) -> Result<Inbound, ClientError> {
        loop {
            let slow = ClientError::Slow { url: self.url.clone(), limit: self.limit };
            let message = tokio::time::timeout(self.limit, self.socket.next()).await.map_err(|_| slow)?;
            let text = match message {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) =
                        frame.map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
                    return Err(ClientError::Closed { code, reason });
                }
                Some(Ok(_)) => continue,
                Some(Err(WsError::Io(source))) => return Err(ClientError::Unreachable { url: self.url.clone(), source }),
                Some(Err(error)) => return Err(self.stranger(&error.to_string())),
                None => return Err(ClientError::Closed { code: 1006, reason: "it went away".to_owned() }),
            };
            return serde_json::from_str(&text).map_err(|_| self.stranger("it sent a frame that is none"));
        }
    }

    fn stranger(&self, why: &str) -> ClientError {
        ClientError::NotAGateway { url: self.url.clone(), why: why.to_owned() }
    }
}

/// Opens a WebSocket to a gateway on this machine.
async fn dial(url: &str) -> Result<WebSocketStream<TcpStream>, ClientError> {
    let (host, port) = local_address(url)?;
    let unreachable = |source| ClientError::Unreachable { url: url.to_owned(), source };
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(unreachable)?;
    // A small delay is all that is lost where this cannot be set.
    let _ = stream.set_nodelay(true);
    let request = url.into_client_request();
    let request = request.map_err(|_| ClientError::Address { url: url.to_owned(), why: "it cannot be asked for" })?;
    let config = WebSocketConfig::default()
        .read_buffer_size(limits::READ_BUFFER_BYTES)
        .max_message_size(Some(limits::MESSAGE_BYTES))
        .max_frame_size(Some(limits::MESSAGE_BYTES));
    match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(WsError::Io(source)) => Err(unreachable(source)),
        Err(error) => Err(ClientError::NotAGateway { url: url.to_owned(), why: error.to_string() }),
    }
}

/// Host and port of a `ws://` address, which has to be of this machine unless the environment says that the path is private.
fn local_address(url: &str) -> Result<(String, u16), ClientError> {
    let refuse = |why| ClientError::Address { url: url.to_owned(), why };
    let uri: Uri = url.parse().map_err(|_| refuse("it is not a URL"))?;
    match uri.scheme_str() {
        Some("ws") => {}
        Some("wss") => return Err(refuse("wss:// needs TLS, which this version does not speak; use a tunnel to ws://127.0.0.1")),
        _ => return Err(refuse("it has to begin with ws://")),
    }
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    if !is_local && std::env::var_os("OPENCLAW_ALLOW_INSECURE_PRIVATE_WS").is_none_or(|value| value != "1") {
        return Err(refuse(
            "without TLS a secret goes to this machine only; use a tunnel, or OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1 in a network of your own",
        ));
    }
    Ok((host, uri.port_u16().unwrap_or(limits::PORT_DEFAULT)))
}

/// Params of `connect`, signed in the v3 form (OpenClaw 2026.3.13).
fn connect_params(target: &Target, device: &OwnDevice, nonce: &str, now: Millis) -> Value {
    let scopes = target.scopes.clone().unwrap_or_else(|| ScopeSet::cli().iter().map(str::to_owned).collect());
    let id = device.id().to_string();
    let platform = std::env::consts::OS;
    let text = SignedText {
        device: &id,
        client_id: ClientId::Cli.as_str(),
        client_mode: ClientMode::Cli.as_str(),
        role: Role::Operator.as_str(),
        scopes: &scopes.join(","),
        signed_at_ms: now.0,
        credential: target.token.as_deref().or(target.device_token.as_deref()).unwrap_or_default(),
        nonce,
        platform,
        family: "",
    };
    let mut auth = serde_json::Map::new();
    for (key, secret) in [("token", &target.token), ("password", &target.password), ("deviceToken", &target.device_token)] {
        if let Some(secret) = secret {
            auth.insert(key.to_owned(), secret.clone().into());
        }
    }
    json!({
        "minProtocol": Dialect::Three.number(),
        "maxProtocol": Dialect::NEWEST.number(),
        "client": {
            "id": ClientId::Cli.as_str(),
            "version": env!("CARGO_PKG_VERSION"),
            "platform": platform,
            "mode": ClientMode::Cli.as_str(),
        },
        "role": Role::Operator.as_str(),
        "scopes": scopes,
        "auth": auth,
        "device": {
            "id": id,
            "publicKey": public_key_text(&device.public_key()),
            "signature": device.sign(&text.render(SignatureForm::V3)),
            "signedAt": now.0,
            "nonce": nonce,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_to_this_machine_only() {
        for url in ["ws://127.0.0.1:1", "ws://localhost:1/x", "ws://[::1]:1", "ws://[::ffff:127.0.0.1]:1"] {
            assert_eq!(local_address(url).ok().map(|(_, port)| port), Some(1), "{url}");
        }
        for url in ["ws://10.0.0.1:1", "ws://example.com", "wss://127.0.0.1:1", "http://127.0.0.1", "127.0.0.1:1", "ws://"] {
            assert!(matches!(local_address(url), Err(ClientError::Address { .. })), "{url}");
        }
    }
}
