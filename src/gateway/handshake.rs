//! One connect, judged without a socket: message and time in, an attempt with its verdicts out. It looks at form, proof and
//! credentials in OpenClaw's order (2026.3.13); whether they are enough is the authority's to decide.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::limits;
use crate::pairing::{
    Ask, Attempt, AuthMode, Client, ClientId, ConnectionId, Credential, Described, Description, DeviceId, Fault, Millis,
    Presented, Proof, PublicKey, Role, ScopeSet, SharedSecret, SharedVerdict, SignedText, Source, TokenVerdict, digest_of,
    signed_form,
};
use crate::wire::connect::{AuthParams, ConnectParams, DeviceParams, Dialect};
use crate::wire::devices::parse_public_key;
use crate::wire::frame::{Malformed, Text, parse_call, parse_params};

/// One socket before its connect.
pub(super) struct Handshake<'a> {
    /// Its id.
    pub connection: ConnectionId,
    /// Where it comes from.
    pub source: Source,
    /// The nonce of its challenge.
    pub nonce: String,
    /// For a page: whether its origin may connect.
    pub origin_is_allowed: Option<bool>,
    /// The gateway's auth mode.
    pub auth: AuthMode,
    /// Its secret.
    pub secret: Option<&'a SharedSecret>,
}

/// What a first message comes to.
pub(super) struct Judged {
    /// The attempt, ready to be decided.
    pub attempt: Attempt,
    /// The key that was proved.
    pub key: Option<PublicKey>,
    /// The device token that was presented, by its digest.
    pub presented: Option<Presented>,
    /// The request to respond to.
    pub request: Option<String>,
    /// What does not fit, for the one who sent it.
    pub complaint: Option<String>,
    /// The lowest and the highest protocol that it speaks.
    pub protocols: Option<(u64, u64)>,
    /// The scopes it asks for, in its own order.
    pub asked: Vec<String>,
}

impl Handshake<'_> {
    /// An attempt that ended in `fault` before a connect could be read.
    #[must_use]
    pub(super) fn failed(&self, fault: Fault) -> Judged {
        let attempt = Attempt {
            connection: self.connection,
            source: self.source.clone(),
            fault: Some(fault),
            protocol: None,
            client: None,
            ask: None,
            proof: None,
            credential: None,
        };
        Judged { attempt, key: None, presented: None, request: None, complaint: None, protocols: None, asked: vec![] }
    }

    /// Judges the first message.
    #[must_use]
    pub(super) fn judge(&self, message: &[u8], now: Millis) -> Judged {
        if message.len() > limits::PREAUTH_MESSAGE_BYTES {
            return self.failed(Fault::TooLarge);
        }
        let call = match parse_call(message) {
            Ok(call) => call,
            Err(Malformed::NotJson) => return self.failed(Fault::NotJson),
            Err(Malformed::NotARequest { .. }) => return self.failed(Fault::InvalidFrame),
        };
        let request = Some(call.id.0);
        if call.method.0 != "connect" {
            return Judged { request, ..self.failed(Fault::NotConnect) };
        }
        match parse_params::<ConnectParams>(call.params.as_deref()) {
            Ok(params) => Judged { request, ..self.judge_params(&params, now) },
            Err(complaint) => Judged { request, complaint: Some(complaint), ..self.failed(Fault::InvalidParams) },
        }
    }

    fn judge_params(&self, params: &ConnectParams, now: Millis) -> Judged {
        let client = Client { id: params.client.id.0, mode: params.client.mode.0 };
        let mut judged = self.failed(Fault::Protocol);
        judged.attempt.client = Some(client);
        judged.protocols = Some((params.min_protocol.0, params.max_protocol.0));
        judged.attempt.protocol = Dialect::agreed(params.min_protocol.0, params.max_protocol.0).map(Dialect::number);
        if judged.attempt.protocol.is_none() {
            return judged;
        }
        let role = match params.role.as_ref().map_or(Some(Role::Operator), |role| Role::from_text(&role.0)) {
            Some(role) => role,
            None => return with_fault(judged, Fault::InvalidRole),
        };
        let needs_origin = matches!(client.id, ClientId::ControlUi | ClientId::Webchat | ClientId::WebchatUi);
        match self.origin_is_allowed {
            Some(false) => return with_fault(judged, Fault::OriginForbidden),
            None if needs_origin => return with_fault(judged, Fault::OriginMissing),
            Some(true) | None => {}
        }
        let Ok(scopes) = ScopeSet::parse(params.scopes.iter().map(|scope| &*scope.0)) else {
            judged.complaint = Some("at /scopes: must be scopes without separators or control characters".to_owned());
            return with_fault(judged, Fault::InvalidParams);
        };
        judged.asked = params.scopes.iter().map(|scope| scope.0.clone()).take(limits::SCOPES).collect();
        let unsaid = Described { like: None, here: None };
        judged.attempt.ask = Some(Ask { role, scopes, described: unsaid });
        let none = AuthParams::default();
        let auth = params.auth.as_ref().unwrap_or(&none);
        if let Some(device) = &params.device {
            match self.prove(params, device, auth, role, now) {
                Ok((proof, key)) => {
                    judged.attempt.proof = Some(proof);
                    judged.key = Some(key);
                    if let Some(ask) = &mut judged.attempt.ask {
                        ask.described.here = Some(Box::new(description(params)));
                    }
                }
                Err((fault, complaint)) => {
                    judged.complaint = complaint;
                    return with_fault(judged, fault);
                }
            }
        }
        let (credential, presented) = self.credential(auth, judged.attempt.proof.is_some());
        judged.attempt.credential = Some(credential);
        judged.attempt.fault = None;
        judged.presented = presented;
        judged
    }

    /// The order is id, clock, nonce, signature (OpenClaw 2026.3.13).
    fn prove(
        &self,
        params: &ConnectParams,
        device: &DeviceParams,
        auth: &AuthParams,
        role: Role,
        now: Millis,
    ) -> Result<(Proof, PublicKey), (Fault, Option<String>)> {
        let fault = |fault| Err((fault, None));
        let Some(key) = parse_public_key(&device.public_key.0) else { return fault(Fault::DeviceIdMismatch) };
        let id = DeviceId::of(&key);
        if id.to_string() != device.id.0 {
            return fault(Fault::DeviceIdMismatch);
        }
        if now.0.abs_diff(device.signed_at) > limits::SIGNED_AT_SKEW_MS {
            let clocks = format!(
                "the client signed at {} and the gateway's clock says {}; they may differ by {} ms",
                crate::views::time_text(Millis(device.signed_at)),
                crate::views::time_text(now),
                limits::SIGNED_AT_SKEW_MS
            );
            return Err((Fault::SignatureExpired, Some(clocks)));
        }
        let nonce = device.nonce.0.trim();
        if nonce.is_empty() {
            return fault(Fault::NonceMissing);
        }
        if nonce != self.nonce {
            return fault(Fault::NonceMismatch);
        }
        let scopes = params.scopes.iter().map(|scope| &*scope.0).collect::<Vec<_>>().join(",");
        let text = SignedText {
            device: &device.id.0,
            client_id: params.client.id.0.as_str(),
            client_mode: params.client.mode.0.as_str(),
            role: role.as_str(),
            scopes: &scopes,
            signed_at_ms: device.signed_at,
            credential: auth.signed(),
            nonce: &device.nonce.0,
            platform: &params.client.platform.0,
            family: params.client.device_family.as_ref().map_or("", |family| &family.0),
        };
        if text.is_ambiguous() {
            let complaint = "a signed field holds a separator or a control character".to_owned();
            return Err((Fault::InvalidParams, Some(complaint)));
        }
        let signature =
            URL_SAFE_NO_PAD.decode(device.signature.0.trim_end_matches('=')).ok().and_then(|bytes| bytes.try_into().ok());
        match signature.and_then(|signature| signed_form(&key, &text, &signature)) {
            Some(form) => Ok((Proof { device: id, form }, key)),
            None => fault(Fault::SignatureInvalid),
        }
    }

    /// The shared secret comes first; only where it is not right does a device token count (OpenClaw 2026.3.13). Blank
    /// credentials count as absent.
    fn credential(&self, auth: &AuthParams, has_device: bool) -> (Credential, Option<Presented>) {
        let given = |field: &Option<String>| field.clone().filter(|text| !text.trim().is_empty());
        let presented = match self.auth {
            AuthMode::None | AuthMode::TrustedProxy => None,
            AuthMode::Token => given(&auth.token),
            AuthMode::Password => given(&auth.password),
        };
        let shared = match (self.auth, self.secret, &presented) {
            (AuthMode::None, ..) => SharedVerdict::Right,
            (_, None, _) => SharedVerdict::NotConfigured,
            (_, Some(_), None) => SharedVerdict::Missing,
            (_, Some(secret), Some(text)) if secret.is(text) => SharedVerdict::Right,
            (_, Some(_), Some(_)) => SharedVerdict::Wrong,
        };
        let explicit = given(&auth.device_token);
        let is_explicit = explicit.is_some();
        let token = explicit.or_else(|| given(&auth.token)).filter(|_| has_device && shared != SharedVerdict::Right);
        let credential = Credential {
            mode: self.auth,
            shared,
            token: TokenVerdict::Missing,
            token_is_explicit: is_explicit,
            bootstrap: given(&auth.bootstrap_token).is_some(),
        };
        (credential, token.map(|text| Presented { digest: digest_of(&text), explicit: is_explicit }))
    }
}

fn with_fault(mut judged: Judged, fault: Fault) -> Judged {
    judged.attempt.fault = Some(fault);
    judged
}

/// What a client that proved itself says of itself, cut at the limits.
fn description(params: &ConnectParams) -> Description {
    let text = |field: &Option<Text>| field.as_ref().map(|text| cut(&text.0));
    let list = |list: &[Text]| list.iter().take(limits::CAPABILITIES).map(|text| cut(&text.0)).collect();
    // Protocol 3 wants a platform of everybody; who has none to tell says a blank, which is no claim.
    let claim = |text: String| Some(text).filter(|text| !text.trim().is_empty());
    let client = &params.client;
    Description {
        platform: claim(cut(&client.platform.0)),
        family: text(&client.device_family).and_then(claim),
        display_name: text(&client.display_name),
        version: Some(cut(&client.version.0)),
        model: text(&client.model_identifier),
        instance: text(&client.instance_id),
        caps: list(&params.caps),
        commands: list(&params.commands),
    }
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(limits::TEXT_BYTES)).unwrap_or_default().to_owned()
}
