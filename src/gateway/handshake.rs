//! One connect, judged without a socket: message and time in, an attempt with its verdicts out. It looks at form, proof and
//! credentials in OpenClaw's order (2026.3.13); whether they are enough is the authority's to decide.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::budget::{Budgets, Key};
use crate::limits;
use crate::pairing::{
    Ask, Attempt, AuthMode, Client, ClientId, ConnectionId, Credential, Described, Description, DeviceId, DeviceToken, Fault,
    Millis, Presented, Proof, PublicKey, Registry, Role, ScopeSet, SharedSecret, SharedVerdict, Shown, SignedText, Source,
    TokenVerdict, digest_of, signed_form,
};
use crate::wire::connect::{AuthParams, ConnectParams, DeviceParams, Dialect};
use crate::wire::devices::parse_public_key;
use crate::wire::frame::{Malformed, Text, parse_call, parse_params};

/// What the upgrade of a socket tells of it.
pub(super) struct Arrival {
    /// Where it comes from.
    pub source: Source,
    /// As much of that as is recorded, and so decided on.
    pub recorded: Source,
    /// For a page: whether its origin may connect.
    pub page_is_allowed: Option<bool>,
    /// In the auth mode `trusted-proxy`: what a proxy says of its user.
    pub vouched: Option<SharedVerdict>,
    /// Whose wrong guesses its are.
    pub counted: Key,
}

/// One socket before its connect.
pub(super) struct Handshake<'a> {
    /// Its id.
    pub connection: ConnectionId,
    /// How it came.
    pub arrival: Arrival,
    /// The nonce of its challenge.
    pub nonce: String,
    /// The gateway's auth mode.
    pub auth: AuthMode,
    /// Its secret.
    pub secret: Option<&'a SharedSecret>,
    /// Who guessed wrong so far.
    pub budgets: &'a Budgets,
}

/// The moment at which a connect is judged.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    /// The time that clients sign.
    pub wall: Millis,
    /// The time that never goes back, in milliseconds.
    pub monotonic: u64,
    /// Who is paired.
    pub registry: &'a Registry,
}

/// What a first message comes to.
pub(super) struct Judged {
    /// The attempt, ready to be decided.
    pub attempt: Attempt,
    /// The key that was proved.
    pub key: Option<PublicKey>,
    /// The device token and the setup code that were presented, by their digests.
    pub shown: Shown,
    /// The device token itself, to be told to who presented it.
    pub token: Option<DeviceToken>,
    /// The request to respond to.
    pub request: Option<String>,
    /// What does not fit, for the one who sent it.
    pub complaint: Option<String>,
    /// For how many milliseconds nothing of it is compared, after too many wrong guesses.
    pub rest_ms: Option<u64>,
    /// The lowest and the highest protocol that it speaks.
    pub protocols: Option<(u64, u64)>,
    /// The scopes it asks for, in its own order.
    pub asked: Vec<String>,
    /// What it says of itself, cut at the limits.
    pub says: Description,
}

impl Handshake<'_> {
    /// An attempt that ended in `fault` before a connect could be read.
    #[must_use]
    pub(super) fn failed(&self, fault: Fault) -> Judged {
        let attempt = Attempt {
            connection: self.connection,
            source: self.arrival.recorded.clone(),
            fault: Some(fault),
            protocol: None,
            client: None,
            ask: None,
            proof: None,
            credential: None,
        };
        Judged {
            attempt,
            key: None,
            shown: Shown::default(),
            token: None,
            request: None,
            complaint: None,
            rest_ms: None,
            protocols: None,
            asked: vec![],
            says: Description::default(),
        }
    }

    /// Judges the first message.
    #[must_use]
    pub(super) fn judge(&self, message: &[u8], now: Moment<'_>) -> Judged {
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

    fn judge_params(&self, params: &ConnectParams, now: Moment<'_>) -> Judged {
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
        let needs_origin =
            matches!(client.id, ClientId::ControlUi | ClientId::Webchat | ClientId::WebchatUi | ClientId::BrowserCopilot);
        match self.arrival.page_is_allowed {
            Some(false) => return with_fault(judged, Fault::OriginForbidden),
            None if needs_origin => return with_fault(judged, Fault::OriginMissing),
            Some(true) | None => {}
        }
        let Ok(scopes) = ScopeSet::parse(params.scopes.iter().map(|scope| &*scope.0)) else {
            judged.complaint = Some("at /scopes: must be scopes without separators or control characters".to_owned());
            return with_fault(judged, Fault::InvalidParams);
        };
        judged.asked = params.scopes.iter().map(|scope| scope.0.clone()).take(limits::SCOPES).collect();
        judged.says = description(params);
        let unsaid = Described { like: None, here: None };
        // Until somebody proved anything a scope that no release knows is a text of theirs, and is not recorded.
        judged.attempt.ask = Some(Ask { role, scopes: scopes.known(), described: unsaid });
        let none = AuthParams::default();
        let auth = params.auth.as_ref().unwrap_or(&none);
        if let Some(device) = &params.device {
            match self.prove(params, device, auth, role, now) {
                Ok((proof, key)) => {
                    judged.attempt.proof = Some(proof);
                    judged.key = Some(key);
                    if let Some(ask) = &mut judged.attempt.ask {
                        ask.described.here = Some(Box::new(judged.says.clone()));
                    }
                }
                Err(Unproved::Fault(fault, complaint)) => {
                    judged.complaint = complaint;
                    return with_fault(judged, fault);
                }
                Err(Unproved::Spent(rest)) => judged.rest_ms = Some(rest),
            }
        }
        judged.attempt.fault = None;
        let said = Said::of(self.auth, auth, Dialect::of(judged.attempt.protocol));
        let compared = match judged.rest_ms {
            Some(rest) => Err(rest),
            None => self.compare(&said, judged.attempt.proof.map(|proof| proof.device), (role, &scopes), now),
        };
        let (shared, presented) = compared.unwrap_or_else(|rest| {
            judged.rest_ms = Some(rest);
            (SharedVerdict::Spent, None)
        });
        let has_secret = shared == SharedVerdict::Right && self.auth != AuthMode::None;
        if let (true, Some(ask)) = (has_secret || judged.attempt.proof.is_some(), &mut judged.attempt.ask) {
            ask.scopes = scopes;
        }
        judged.attempt.credential = Some(Credential {
            mode: self.auth,
            shared,
            token: TokenVerdict::Missing,
            token_is_explicit: said.token_is_explicit,
            bootstrap: said.code.is_some(),
        });
        judged.token = said.token.map(DeviceToken::presented);
        judged.shown =
            Shown { token: presented, code: said.code.as_deref().filter(|_| shared != SharedVerdict::Spent).map(digest_of) };
        judged
    }

    /// The order is id, clock, nonce, signature (OpenClaw 2026.3.13).
    fn prove(
        &self,
        params: &ConnectParams,
        device: &DeviceParams,
        auth: &AuthParams,
        role: Role,
        now: Moment<'_>,
    ) -> Result<(Proof, PublicKey), Unproved> {
        let fault = |fault| Err(Unproved::Fault(fault, None));
        let Some(key) = parse_public_key(&device.public_key.0) else { return fault(Fault::DeviceIdMismatch) };
        let id = DeviceId::of(&key);
        if id.to_string() != device.id.0 {
            return fault(Fault::DeviceIdMismatch);
        }
        if now.wall.0.abs_diff(device.signed_at) > limits::SIGNED_AT_SKEW_MS {
            let clocks = format!(
                "the client signed at {} and the gateway's clock says {}; they may differ by {} ms",
                crate::views::time_text(Millis(device.signed_at)),
                crate::views::time_text(now.wall),
                limits::SIGNED_AT_SKEW_MS
            );
            return Err(Unproved::Fault(Fault::SignatureExpired, Some(clocks)));
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
            return Err(Unproved::Fault(Fault::InvalidParams, Some(complaint)));
        }
        let signature =
            URL_SAFE_NO_PAD.decode(device.signature.0.trim_end_matches('=')).ok().and_then(|bytes| bytes.try_into().ok());
        let budget = &now.registry.policy().budgets().failure;
        // Others on its address cannot shut out a device that is paired.
        if let Some(rest) = self.budgets.rest(budget, self.arrival.counted.clone(), now.monotonic)
            && now.registry.device(&id).is_none()
        {
            return Err(Unproved::Spent(rest));
        }
        // A signature cannot be guessed, so many may be verified at once; only the failure is counted one by one.
        match signature.and_then(|signature| signed_form(&key, &text, &signature)) {
            Some(form) => Ok((Proof { device: id, form }, key)),
            None => {
                self.budgets.count_wrong(budget, self.arrival.counted.clone(), now.monotonic);
                fault(Fault::SignatureInvalid)
            }
        }
    }

    /// The verdict on the shared secret, and the device token that counts where that is not right; or for how many milliseconds
    /// nothing is compared. A token that the device once had is no guess; a setup code that is not good is one, unless the secret
    /// is right too.
    fn compare(
        &self,
        said: &Said,
        device: Option<DeviceId>,
        (role, scopes): (Role, &ScopeSet),
        now: Moment<'_>,
    ) -> Result<(SharedVerdict, Option<Presented>), u64> {
        let paired = device.filter(|device| now.registry.device(device).is_some());
        let counted = paired.map_or_else(|| self.arrival.counted.clone(), Key::Device);
        self.budgets.compare(&now.registry.policy().budgets().failure, counted, now.monotonic, || {
            let shared = match (self.auth, self.secret) {
                (AuthMode::None, _) => SharedVerdict::Right,
                (AuthMode::TrustedProxy, _) => self.arrival.vouched.unwrap_or(SharedVerdict::NotConfigured),
                (_, None) => SharedVerdict::NotConfigured,
                (_, Some(_)) if said.secrets.is_empty() => SharedVerdict::Missing,
                (_, Some(secret)) if said.secrets.iter().any(|text| secret.is(text)) => SharedVerdict::Right,
                (_, Some(_)) => SharedVerdict::Wrong,
            };
            let token = said.token.as_ref().zip(device).filter(|_| shared != SharedVerdict::Right);
            let presented = token.map(|(text, device)| (device, digest_of(text)));
            // A guess of the secret is one, however good the token is that stands beside it or in its place.
            let guesses = said.secrets.iter().any(|text| token.is_none_or(|(token, _)| text != token));
            let is_wrong_token = presented
                .as_ref()
                .is_some_and(|(device, digest)| now.registry.judge(device, role, digest) == TokenVerdict::Wrong);
            // There is no token that one of a device not paired could be.
            let is_wrong = match shared {
                SharedVerdict::Wrong => guesses || is_wrong_token,
                _ => paired.is_some() && is_wrong_token,
            };
            let has_secret = shared == SharedVerdict::Right && self.auth != AuthMode::None;
            let code = said.code.as_ref().zip(device).filter(|_| !has_secret);
            let is_wrong_code = code.is_some_and(|(text, device)| {
                now.registry.good_code(&digest_of(text), &device, role, scopes, now.wall).is_none()
            });
            let presented = presented.map(|(_, digest)| Presented { digest, explicit: said.token_is_explicit });
            ((shared, presented), is_wrong || is_wrong_code)
        })
    }
}

/// Why there is no proof.
enum Unproved {
    /// It is wrong, and what does not fit.
    Fault(Fault, Option<String>),
    /// Nothing of this address is looked at for so many milliseconds.
    Spent(u64),
}

/// The credentials of a connect. Blank ones count as absent.
struct Said {
    /// What may be the shared secret.
    secrets: Vec<String>,
    /// What may be a device token.
    token: Option<String>,
    token_is_explicit: bool,
    /// A setup code.
    code: Option<String>,
}

impl Said {
    /// The shared secret comes first; only where it is not right does a device token count (OpenClaw 2026.3.13). Of protocol 4
    /// the secret is taken from either field, as 2026.9.6 takes it; of protocol 3 only from its own, since its clients send
    /// device tokens in the other.
    fn of(mode: AuthMode, auth: &AuthParams, dialect: Dialect) -> Self {
        let given = |field: &Option<String>| field.clone().filter(|text| !text.trim().is_empty());
        let (own, other) = match mode {
            AuthMode::None | AuthMode::TrustedProxy => (None, None),
            AuthMode::Token => (given(&auth.token), given(&auth.password)),
            AuthMode::Password => (given(&auth.password), given(&auth.token)),
        };
        let explicit = given(&auth.device_token);
        Self {
            secrets: own.into_iter().chain(other.filter(|_| dialect == Dialect::Four)).collect(),
            token_is_explicit: explicit.is_some(),
            token: explicit.or_else(|| given(&auth.token)),
            code: given(&auth.bootstrap_token),
        }
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
