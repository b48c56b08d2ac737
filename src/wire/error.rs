//! Refusals on the wire: code, message, details, close code and reason. The only place where these strings are written;
//! what a person reads is `views::refusal_sentence`.

use serde_json::{Value, json};

use super::connect::Dialect;
use super::frame::WireError;
use crate::limits;
use crate::pairing::{Ask, AuthReason, Client, ClientId, ClientMode, DeviceId, Fault, KnownScope, Refusal, RequestId, Role};
use crate::views;

/// How a connect is refused: a response, unless there was no request to respond to, then a close.
#[derive(Debug)]
pub struct Answer {
    /// The error of the response.
    pub error: Option<WireError>,
    /// The close code.
    pub code: u16,
    /// The close reason, at most 123 bytes.
    pub reason: String,
}

/// What a refusal speaks about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// The client.
    pub client: Option<Client>,
    /// The device that proved itself.
    pub device: Option<&'a DeviceId>,
    /// What it asked.
    pub ask: Option<&'a Ask>,
    /// The roles that the device holds.
    pub roles: &'a [Role],
    /// What does not fit, for a malformed connect.
    pub complaint: Option<&'a str>,
    /// For how many milliseconds nothing of it is compared.
    pub rest_ms: Option<u64>,
    /// The request that was to be answered.
    pub request: Option<&'a RequestId>,
    /// The protocol that it agreed on.
    pub dialect: Dialect,
    /// The lowest and the highest protocol that the client speaks.
    pub protocols: Option<(u64, u64)>,
    /// Whether it came from this host, past no proxy.
    pub is_direct: bool,
}

impl<'a> Subject<'a> {
    fn about(self) -> views::About<'a> {
        views::About { device: self.device, role: self.ask.map(|ask| ask.role), request: self.request }
    }
}

/// The answer to a connect that was refused.
#[must_use]
pub fn connect_refused(refusal: &Refusal, subject: Subject<'_>) -> Answer {
    if let Refusal::Fault(fault) = refusal {
        return faulty(*fault, subject);
    }
    let error = command_refused(refusal, subject);
    let reason = match refusal {
        Refusal::Unauthorized { .. } => error.message.clone(),
        _ => views::close_reason(refusal, subject.about()),
    };
    Answer { error: Some(error), code: 1008, reason: cut(&reason, limits::CLOSE_REASON_BYTES) }
}

/// The error of a refused command, and of a refused connect that was well-formed.
#[must_use]
pub fn command_refused(refusal: &Refusal, subject: Subject<'_>) -> WireError {
    let sentence = views::refusal_sentence(refusal, subject.about());
    let invalid = |message: String, details: Option<Value>| WireError { details, ..WireError::invalid(message) };
    match refusal {
        Refusal::ControlUiNeedsDevice => invalid(sentence, Some(json!({ "code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED" }))),
        Refusal::DeviceRequired => not_paired(sentence, json!({ "code": "DEVICE_IDENTITY_REQUIRED" })),
        Refusal::Unauthorized { reason, may_retry_with_device_token, rotated_at } => {
            let mut details = json!({
                "code": auth_code(*reason),
                "authReason": reason.as_str(),
                "canRetryWithDeviceToken": may_retry_with_device_token,
                "recommendedNextStep": next_step(*reason, *may_retry_with_device_token),
            });
            if let (Some(at), Some(details)) = (rotated_at, details.as_object_mut()) {
                details.insert("rotatedAtMs".into(), at.0.into());
            }
            let message = match hint(*reason, subject) {
                Some(hint) => format!("{sentence} ({hint})"),
                None => sentence,
            };
            let retryable = subject.rest_ms.map(|_| true);
            WireError { retryable, retry_after_ms: subject.rest_ms, ..invalid(message, Some(details)) }
        }
        Refusal::PairingRequired(need) => {
            let asked = subject.ask.map(|ask| ask.scopes.iter().collect::<Vec<_>>()).unwrap_or_default();
            let mut details = json!({
                "code": "PAIRING_REQUIRED",
                "requestId": need.request.to_string(),
                "reason": need.reason.as_str(),
                "deviceId": subject.device.map(ToString::to_string),
                "requestedRole": subject.ask.map(|ask| ask.role.as_str()),
                "requestedScopes": asked,
                "approvedScopes": need.held.iter().collect::<Vec<_>>(),
                "missingScopes": need.missing.iter().collect::<Vec<_>>(),
                "remediationHint": format!("openclaw devices approve {}", need.request),
            });
            if let (false, Some(details)) = (subject.roles.is_empty(), details.as_object_mut()) {
                let roles: Vec<_> = subject.roles.iter().map(|role| role.as_str()).collect();
                details.insert("approvedRoles".into(), roles.into());
            }
            // A Control UI of 2026.9.6 stays where it is and tries again, if it is told to.
            let is_control_ui = subject.client.is_some_and(|client| matches!(client.id, ClientId::ControlUi | ClientId::Tui));
            if let (Dialect::Four, true, Some(details)) = (subject.dialect, is_control_ui, details.as_object_mut()) {
                details.insert("recommendedNextStep".into(), "wait_then_retry".into());
                details.insert("retryable".into(), true.into());
                details.insert("pauseReconnect".into(), false.into());
            }
            WireError { retry_after_ms: Some(need.retry_after_ms), ..not_paired(sentence, details) }
        }
        Refusal::PendingTableFull => WireError {
            retryable: Some(true),
            retry_after_ms: Some(limits::RETRY_AFTER_MS.1),
            ..not_paired(sentence, json!({ "code": "PENDING_TABLE_FULL" }))
        },
        Refusal::RecordBudgetSpent { retry_after_ms } => WireError {
            code: "UNAVAILABLE".into(),
            retryable: Some(true),
            retry_after_ms: Some(*retry_after_ms),
            ..invalid(sentence, Some(json!({ "code": "RECORD_BUDGET_SPENT" })))
        },
        Refusal::TokenKeyUnusable => {
            WireError { code: "UNAVAILABLE".into(), ..invalid(sentence, Some(json!({ "code": "TOKEN_KEY_UNUSABLE" }))) }
        }
        Refusal::FromExecShell => invalid(sentence, Some(json!({ "code": "FROM_EXEC_SHELL" }))),
        Refusal::PolicyDenied { rule, beyond } => {
            let beyond: Vec<_> = beyond.iter().collect();
            invalid(sentence, Some(json!({ "code": "POLICY_DENIED", "rule": rule, "beyondScopes": beyond })))
        }
        Refusal::LoosensPolicy { keys } => {
            let keys: Vec<_> = keys.split(", ").collect();
            invalid(sentence, Some(json!({ "code": "POLICY_LOOSENS", "keys": keys })))
        }
        // No text on which a client drops a token: whoever showed none may show a good one elsewhere.
        Refusal::Succeeded { by, at } => {
            let details = json!({ "code": "DEVICE_SUCCEEDED", "succeededBy": by.to_string(), "succeededAtMs": at.0 });
            invalid(sentence, Some(details))
        }
        Refusal::BadPolicy { .. } => invalid(sentence, Some(json!({ "code": "POLICY_MALFORMED" }))),
        _ => invalid(sentence, None),
    }
}

/// What somebody on the owner channel is told who is not the owner.
#[must_use]
pub fn not_the_owner(owner: u32, uid: u32) -> WireError {
    let why = if owner == uid { " (a number that stands for every user that is not known here)" } else { "" };
    WireError::invalid(format!("the owner of this state directory is uid {owner}, not {uid}{why}"))
}

/// What is said while the journal cannot be written: nothing is let in unrecorded.
#[must_use]
pub fn journal_unavailable() -> Answer {
    let message =
        "the journal cannot be written, so nobody is let in; see the gateway's own output, then: openclaw journal verify";
    let error = WireError {
        code: "UNAVAILABLE".into(),
        message: message.into(),
        details: Some(json!({ "code": "JOURNAL_UNAVAILABLE" })),
        retryable: Some(true),
        retry_after_ms: Some(limits::RETRY_AFTER_MS.1),
    };
    Answer { error: Some(error), code: 1013, reason: "the journal cannot be written".into() }
}

/// A method that is OpenClaw's own and not served here.
#[must_use]
pub fn not_served(method: &str) -> WireError {
    WireError {
        code: "UNAVAILABLE".into(),
        details: Some(json!({ "code": "METHOD_NOT_SERVED", "method": method })),
        ..WireError::invalid(match method {
            "node.invoke" => {
                "node.invoke is not served: this gateway pairs nodes and runs nothing on them; OpenClaw's own gateway does"
                    .to_owned()
            }
            "node.pair.request" | "node.pair.verify" => {
                format!("{method} is not served: a node pairs by connecting, and its request is one of node.pair.list")
            }
            _ => format!("{method} belongs to OpenClaw itself; this gateway serves pairing, health and logs"),
        })
    }
}

/// How the connection of somebody ends who does not read what was sent: close code and reason (2026.3.13, 2026.9.6).
#[must_use]
pub const fn slow_consumer(dialect: Dialect) -> (u16, &'static str) {
    match dialect {
        Dialect::Three => (1008, "slow consumer"),
        Dialect::Four => (1013, "slow consumer"),
    }
}

fn not_paired(message: String, details: Value) -> WireError {
    WireError { code: "NOT_PAIRED".into(), details: Some(details), ..WireError::invalid(message) }
}

/// Refusals of form and proof (OpenClaw 2026.3.13): some close without a response.
fn faulty(fault: Fault, subject: Subject<'_>) -> Answer {
    let closed = |code, reason: &str| Answer { error: None, code, reason: reason.into() };
    let answered = |message: String, details: Option<Value>| {
        let reason = cut(&message, limits::CLOSE_REASON_UPSTREAM_BYTES);
        Answer { error: Some(WireError { details, ..WireError::invalid(message) }), code: 1008, reason }
    };
    let proof = |code: &str, reason: &str| answered(fault.as_str().into(), Some(json!({ "code": code, "reason": reason })));
    match fault {
        Fault::Gone | Fault::Timeout | Fault::NotJson => closed(1000, ""),
        Fault::TooLarge => closed(1009, ""),
        Fault::InvalidFrame => closed(1008, fault.as_str()),
        Fault::NotConnect => answered("invalid handshake: first request must be connect".into(), None),
        Fault::InvalidParams => answered(format!("{}: {}", fault.as_str(), subject.complaint.unwrap_or_default()), None),
        Fault::Protocol => {
            // Who speaks neither is told in the words of both, and the nearest.
            let (min, max) = subject.protocols.unzip();
            let is_old = max.is_some_and(|max| max < u64::from(Dialect::Three.number()));
            let details = json!({
                "code": "PROTOCOL_MISMATCH",
                "expectedProtocol": if is_old { Dialect::Three } else { Dialect::NEWEST }.number(),
                "minimumProbeProtocol": Dialect::Three.number(),
                "clientMinProtocol": min,
                "clientMaxProtocol": max,
            });
            Answer { code: 1002, ..answered(fault.as_str().into(), Some(details)) }
        }
        Fault::InvalidRole => answered(fault.as_str().into(), None),
        Fault::OriginMissing | Fault::OriginForbidden => answered(
            "origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)"
                .into(),
            Some(json!({ "code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": fault.as_str() })),
        ),
        Fault::DeviceIdMismatch => proof("DEVICE_AUTH_DEVICE_ID_MISMATCH", "device-id-mismatch"),
        Fault::SignatureExpired => answered(
            fault.as_str().into(),
            Some(json!({
                "code": "DEVICE_AUTH_SIGNATURE_EXPIRED",
                "reason": "device-signature-stale",
                "clocks": subject.complaint,
            })),
        ),
        Fault::NonceMissing => proof("DEVICE_AUTH_NONCE_REQUIRED", "device-nonce-missing"),
        Fault::NonceMismatch => proof("DEVICE_AUTH_NONCE_MISMATCH", "device-nonce-mismatch"),
        Fault::SignatureInvalid => proof("DEVICE_AUTH_SIGNATURE_INVALID", "device-signature"),
    }
}

const fn auth_code(reason: AuthReason) -> &'static str {
    match reason {
        AuthReason::TokenMissing => "AUTH_TOKEN_MISSING",
        AuthReason::TokenMismatch => "AUTH_TOKEN_MISMATCH",
        AuthReason::TokenNotConfigured => "AUTH_TOKEN_NOT_CONFIGURED",
        AuthReason::PasswordMissing => "AUTH_PASSWORD_MISSING",
        AuthReason::PasswordMismatch => "AUTH_PASSWORD_MISMATCH",
        AuthReason::PasswordNotConfigured => "AUTH_PASSWORD_NOT_CONFIGURED",
        AuthReason::BootstrapTokenInvalid => "AUTH_BOOTSTRAP_TOKEN_INVALID",
        AuthReason::DeviceTokenMismatch => "AUTH_DEVICE_TOKEN_MISMATCH",
        AuthReason::RateLimited => "AUTH_RATE_LIMITED",
        AuthReason::TrustedProxyUserMissing
        | AuthReason::TrustedProxyUserNotAllowed
        | AuthReason::TrustedProxyUntrustedSource => "AUTH_UNAUTHORIZED",
    }
}

const fn next_step(reason: AuthReason, may_retry: bool) -> &'static str {
    match reason {
        _ if may_retry => "retry_with_device_token",
        AuthReason::TokenMissing
        | AuthReason::TokenNotConfigured
        | AuthReason::PasswordMissing
        | AuthReason::PasswordNotConfigured => "update_auth_configuration",
        AuthReason::TokenMismatch | AuthReason::PasswordMismatch | AuthReason::DeviceTokenMismatch => "update_auth_credentials",
        AuthReason::RateLimited => "wait_then_retry",
        AuthReason::BootstrapTokenInvalid
        | AuthReason::TrustedProxyUserMissing
        | AuthReason::TrustedProxyUserNotAllowed
        | AuthReason::TrustedProxyUntrustedSource => "review_auth_configuration",
    }
}

/// Where each kind of client keeps its credential (hint texts of OpenClaw 2026.3.13, which its clients match on; 2026.9.6 has
/// others for a CLI on the gateway's own host).
fn hint(reason: AuthReason, subject: Subject<'_>) -> Option<String> {
    let what = match reason {
        AuthReason::TokenMissing | AuthReason::TokenMismatch => "token",
        AuthReason::PasswordMissing | AuthReason::PasswordMismatch => "password",
        AuthReason::TokenNotConfigured => return Some("set gateway.auth.token".into()),
        AuthReason::PasswordNotConfigured => return Some("set gateway.auth.password".into()),
        AuthReason::BootstrapTokenInvalid
        | AuthReason::DeviceTokenMismatch
        | AuthReason::RateLimited
        | AuthReason::TrustedProxyUserMissing
        | AuthReason::TrustedProxyUserNotAllowed
        | AuthReason::TrustedProxyUntrustedSource => return None,
    };
    // A page is known by its id; 2026.3.13 also took mode `ui` for one.
    let is_page = |client: Client| {
        let is_called_so = matches!(client.id, ClientId::ControlUi | ClientId::WebchatUi);
        is_called_so || (client.mode == ClientMode::Ui && subject.dialect == Dialect::Three)
    };
    Some(match subject.client {
        Some(client) if client.mode == ClientMode::Cli && subject.dialect == Dialect::Four && subject.is_direct => {
            let or = if what == "token" { " or pair the device" } else { "" };
            format!("use this gateway's gateway.auth.{what}{or}")
        }
        Some(client) if client.mode == ClientMode::Cli => format!("set gateway.remote.{what} to match gateway.auth.{what}"),
        Some(client) if is_page(client) && what == "token" => {
            "open the dashboard URL and paste the token in Control UI settings".into()
        }
        Some(client) if is_page(client) => "enter the password in Control UI settings".into(),
        _ => format!("provide gateway auth {what}"),
    })
}

/// The answer to a call for which the connection lacks a scope: protocol 4 has a code of its own for it.
#[must_use]
pub fn missing_scope(scope: KnownScope, dialect: Dialect) -> WireError {
    let error = WireError::invalid(format!("missing scope: {scope}"));
    match dialect {
        Dialect::Three => error,
        Dialect::Four => WireError {
            code: "FORBIDDEN".into(),
            details: Some(json!({
                "code": "MISSING_SCOPE",
                "missingScope": scope.as_str(),
                "requiredScopes": [scope.as_str()],
            })),
            ..error
        },
    }
}

/// The answer to a call that another role is for.
#[must_use]
pub fn unauthorized_role(role: Role) -> WireError {
    WireError::invalid(format!("{UNAUTHORIZED_ROLE}{role}"))
}

/// Whether this is that answer; who hears it too often in a row is closed.
#[must_use]
pub fn is_unauthorized_role(error: &WireError) -> bool {
    error.message.starts_with(UNAUTHORIZED_ROLE)
}

const UNAUTHORIZED_ROLE: &str = "unauthorized role: ";

/// The answer to a call that would wait beside too many others of its connection.
#[must_use]
pub fn too_many_wait() -> WireError {
    WireError {
        code: "UNAVAILABLE".into(),
        retryable: Some(true),
        retry_after_ms: Some(limits::RETRY_AFTER_MS.0),
        ..WireError::invalid("too many calls of this connection wait already")
    }
}

/// The answer about what is no node, or none that the caller may know of.
#[must_use]
pub fn unknown_node() -> WireError {
    WireError::invalid("unknown nodeId")
}

/// The answer about what is no request, or none that the caller may know of.
#[must_use]
pub fn unknown_request() -> WireError {
    WireError::invalid("unknown requestId")
}

/// Why a setup code cannot say where the gateway is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAddress {
    /// The settings cannot be read.
    Settings(String),
    /// What was given there is no address.
    Malformed(&'static str),
    /// It would lead a client over the open net without TLS.
    Plain(&'static str),
    /// It would carry `operator.admin` over a network without TLS.
    PlainForAdmin,
    /// Whoever listens on the way could fetch the code first.
    PlainJoin,
    /// Nobody but this host reaches the gateway.
    LoopbackOnly,
    /// This machine has no address in a network.
    NoLan,
}

/// The answer to whoever wants a setup code that cannot say where the gateway is.
#[must_use]
pub fn no_address(why: NoAddress) -> WireError {
    WireError::invalid(match why {
        NoAddress::Settings(why) => why,
        NoAddress::Malformed(from) => format!("{from} is no address of a gateway; it should be wss://host or ws://host:port"),
        NoAddress::Plain(from) => format!(
            "{from} leads out of the private network without TLS, where anybody on the way could take the code; give a wss:// address"
        ),
        NoAddress::PlainForAdmin => {
            "a code that gives operator.admin needs a wss:// address, or one on this host; give it fewer scopes or such an address"
                .to_owned()
        }
        NoAddress::PlainJoin => {
            "a join URL needs a https:// address, or one on this host; hand on the setup code itself instead: openclaw qr".to_owned()
        }
        NoAddress::LoopbackOnly => {
            "the gateway listens on loopback only, so no other machine could use a code; say under which address it is reached, or \
             set gateway.bind or gateway.remote.url"
                .to_owned()
        }
        NoAddress::NoLan => "this machine has no address in a network that a code could say; give one".to_owned(),
    })
}

/// The answer where nothing can be recorded.
#[must_use]
pub fn unrecorded() -> WireError {
    journal_unavailable().error.unwrap_or_else(|| WireError::invalid("the journal cannot be written"))
}

/// The answer where the journal cannot be read.
#[must_use]
pub fn unreadable(why: String) -> WireError {
    WireError { code: "UNAVAILABLE".into(), ..WireError::invalid(why) }
}

/// The answer to a method that no release knows.
#[must_use]
pub fn unknown_method(method: &str) -> WireError {
    WireError::invalid(format!("unknown method: {method}"))
}

fn cut(text: &str, bytes: usize) -> String {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_reason_is_cut_on_a_character() {
        let long = format!("{}é", "x".repeat(limits::CLOSE_REASON_UPSTREAM_BYTES - 1));
        let answer =
            connect_refused(&Refusal::Fault(Fault::InvalidParams), Subject { complaint: Some(&long), ..Subject::default() });
        assert!(answer.reason.len() <= limits::CLOSE_REASON_UPSTREAM_BYTES);
    }

    #[test]
    fn every_fault_has_its_own_answer() {
        for fault in Fault::ALL {
            let answer = connect_refused(&Refusal::Fault(*fault), Subject::default());
            assert!([1000, 1002, 1008, 1009].contains(&answer.code), "{fault}");
        }
    }
}
