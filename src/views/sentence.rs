//! One sentence per event and per refusal, the same in the answer to the client, in `logs`, `devices list` and `devices why`.
//! Whatever a client said of itself is quoted with its control and direction characters escaped, so one event stays one line.

use std::fmt::Write as _;

use crate::limits;
use crate::pairing::{
    Act, Actor, Attempt, AttemptsSuppressed, AuthReason, CommandRefused, Condition, ConfigurationChanged, DeviceId, Ending,
    Event, GatewayStarted, Millis, PairingNeed, Reason, Record, Refusal, RequestId, Resolution, Role, ScopeSet, is_plain,
};

/// A time as RFC 3339 in UTC, to the millisecond.
#[must_use]
pub fn time_text(at: Millis) -> String {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => format!("{} ms after 1970", at.0),
    }
}

/// The time that an RFC 3339 text names, cut to the millisecond; none where it names none from 1970 on.
#[must_use]
pub fn time_of(text: &str) -> Option<Millis> {
    let time = text.parse::<jiff::Timestamp>().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(Millis)
}

/// How long ago something was, in its largest unit.
#[must_use]
pub fn age_text(ms: u64) -> String {
    match ms / 1_000 {
        0..60 => "just now".to_owned(),
        seconds @ 60..3_600 => format!("{}m ago", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h ago", seconds / 3_600),
        seconds => format!("{}d ago", seconds / 86_400),
    }
}

/// Who did it.
#[must_use]
pub fn who(actor: &Actor) -> String {
    match actor {
        Actor::Peer => "the client".to_owned(),
        Actor::Device { device, .. } => format!("device {device}"),
        Actor::Owner(person) => {
            let whose = match person.uid {
                0 => "root on the gateway host".to_owned(),
                uid => format!("the owner on the gateway host (uid {uid})"),
            };
            let how = if person.from_exec { ", from a shell of OpenClaw's agent" } else { "" };
            format!("{whose}{how}")
        }
        Actor::SharedSecret { rule, .. } => format!("a client with the shared secret (rule {rule})"),
        Actor::Rule(rule) => format!("the policy rule {rule}"),
        Actor::System => "the gateway".to_owned(),
    }
}

/// What a refusal is about, as far as it is known and not said beside it.
#[derive(Clone, Copy, Debug, Default)]
pub struct About<'a> {
    /// The device that was refused, or whose request it is.
    pub device: Option<&'a DeviceId>,
    /// The role that it asked for.
    pub role: Option<Role>,
    /// The request that was to be answered.
    pub request: Option<&'a RequestId>,
}

/// What a refusal says to the one who got it, with what to do next.
#[must_use]
pub fn refusal_sentence(refusal: &Refusal, about: About<'_>) -> String {
    match refusal {
        Refusal::Fault(fault) => fault.as_str().to_owned(),
        Refusal::ControlUiNeedsDevice => "control ui requires device identity (use HTTPS or localhost secure context)".to_owned(),
        Refusal::DeviceRequired => "device identity required".to_owned(),
        Refusal::Unauthorized { reason, rotated_at, .. } => unauthorized(*reason, *rotated_at),
        Refusal::PairingRequired(need) => pairing_required(need, about),
        Refusal::PendingTableFull => {
            "too many pairing requests are waiting, so this one was not kept; the owner can reject some: openclaw devices list"
                .to_owned()
        }
        Refusal::MissingScope(scopes) => format!("missing scope: {}", scopes.iter().next().unwrap_or("operator.admin")),
        Refusal::NeedsAdmin => {
            "missing scope: operator.admin (acting on another device, or on a role that is not operator, needs it)".to_owned()
        }
        Refusal::UnknownRequest => "unknown requestId".to_owned(),
        Refusal::Resolved(resolution) => resolved(resolution, about),
        Refusal::UnknownDevice => "unknown deviceId".to_owned(),
        Refusal::RoleNotHeld(role) => {
            format!("unknown deviceId/role: the device holds no {role} role, and a rotation never creates one")
        }
        Refusal::HeldAlready => "the device holds all of these scopes; it has them when it connects and asks for them".to_owned(),
        Refusal::PolicyDenied { rule, beyond } => {
            format!("not allowed by policy: {} ({beyond} is beyond it, and no approval helps)", quote(rule))
        }
        Refusal::RecordBudgetSpent { retry_after_ms } => {
            format!("too much was recorded of this device or address lately; try again in {} s", retry_after_ms.div_ceil(1_000))
        }
        Refusal::FromExecShell => {
            "refused from a shell of OpenClaw's agent: an act that widens is a person's; do it in a terminal of \
             your own, or let the policy key ownerActsFromExec allow it (this is a seat belt, not a wall)"
                .to_owned()
        }
        Refusal::LoosensPolicy { keys } => format!(
            "this would let in what is not let in now ({}); only the owner may do that, on the gateway's host: \
             openclaw policy apply or openclaw policy arm",
            quote(keys)
        ),
        Refusal::BadPolicy { why } => format!("this is no policy: {}", quote(why)),
        Refusal::UnknownSetupCode => "no such setup code is good: it is spent, expired or taken back, or never was".to_owned(),
        Refusal::TooManySetupCodes => {
            "too many setup codes are good already; take some back: openclaw devices join-code --list".to_owned()
        }
        Refusal::NotPossible { why } => format!("not possible: {}", quote(why)),
        Refusal::OwnerOnly => {
            "only the owner may do that, on the gateway's host and never over the network, whatever scopes are held".to_owned()
        }
        Refusal::Succeeded { by, at } => format!(
            "{} was succeeded by device {by} at {}: its key and tokens are good no longer, and a new identity has to be \
             made to pair again",
            device(about, "the device"),
            time_text(*at)
        ),
        Refusal::TokenKeyUnusable => "no token can be issued: the key file pairing/token.key cannot be read".to_owned(),
    }
}

/// What the close frame says: short enough for one, names what a person would search for.
#[must_use]
pub fn close_reason(refusal: &Refusal, about: About<'_>) -> String {
    let text = match refusal {
        Refusal::PairingRequired(need) => format!("pairing required: {}, request {}", need.reason, need.request),
        _ => refusal_sentence(refusal, about),
    };
    cut(&text, limits::CLOSE_REASON_BYTES).to_owned()
}

/// One sentence for one record.
#[must_use]
pub fn event_sentence(record: &Record) -> String {
    let by = || who(&record.actor);
    match &record.event {
        Event::JournalCreated(event) => format!("journal {} created", event.journal),
        Event::GatewayStarted(event) => {
            let set = event.settings.iter().filter(|(name, value)| !value.is_empty() && name != GatewayStarted::SECRET);
            let settings = set.map(|(key, value)| format!("{}={}", quote(key), quote(value))).collect::<Vec<_>>();
            format!("gateway {} started, {}", quote(&event.version), settings.join(" "))
        }
        Event::GatewayStopped(event) => format!("gateway stopped ({})", quote(&event.cause)),
        Event::JournalRepaired(event) => {
            format!(
                "{} bytes after seq {} were never acknowledged and were put aside in {}",
                event.bytes,
                event.after,
                quote(&event.kept)
            )
        }
        Event::SegmentSealed(event) => {
            format!("the journal's file from seq {} on was sealed at {} bytes; it goes on in another", event.first, event.bytes)
        }
        Event::ConditionFound(event) => condition_sentence(event.condition, &event.detail),
        Event::ConditionCleared(event) => match event.condition {
            Condition::UncleanStop => "this time the gateway stops in order".to_owned(),
            condition if matches!(record.actor, Actor::Owner(_)) => {
                format!("{} is dealt with, says {}", subject(condition), by())
            }
            condition => format!("{} is as it should be again", subject(condition)),
        },
        Event::HistoryArchived(event) => {
            format!("the records up to seq {} are kept in {} from now on", event.through, quote(&event.archive))
        }
        Event::WitnessPlaced(event) => {
            let lost = event.lost.as_ref().map(|lost| {
                format!(
                    "; {} was not there or not what was written, so records missing until now could not be noticed",
                    quote(lost)
                )
            });
            format!("the journal's head is remembered in {} from now on{}", quote(&event.path), lost.unwrap_or_default())
        }
        Event::ConnectionAdmitted(event) => {
            format!("connection admitted: {} with {} by rule {}", attempt(&event.attempt), event.scopes, event.rule)
        }
        Event::ConnectionRefused(event) => {
            let proof = event.attempt.proof.as_ref();
            let role = event.attempt.ask.as_ref().map(|ask| ask.role);
            let about = About { device: proof.map(|proof| &proof.device), role, request: None };
            format!("connection refused: {}: {}", attempt(&event.attempt), refusal_sentence(&event.refusal, about))
        }
        Event::ConnectionClosed(event) => {
            format!("connection admitted at seq {} closed with code {}", event.admission, event.code)
        }
        Event::CommandRefused(event) => command_refused(event, &by()),
        Event::PairingRequested(event) => {
            let instead = event.supersedes.map(|old| format!(" in place of request {old}")).unwrap_or_default();
            let (role, scopes) = (event.ask.role, &event.ask.scopes);
            format!("request {}{instead}: device {} asks for {scopes} as {role} ({})", event.request, event.device, event.reason)
        }
        Event::PairingApproved(event) => {
            let through = match (event.act, event.request) {
                (Act::Rotation, Some(request)) => format!(" by a rotation, which settles request {request}"),
                (Act::Rotation, None) => " by a rotation".to_owned(),
                (_, Some(request)) => format!(", request {request}"),
                (_, None) => String::new(),
            };
            format!("device {} was granted {} as {} by {}{through}", event.device, event.scopes, event.role, by())
        }
        Event::PairingRejected(event) => format!("request {} of device {} was rejected by {}", event.request, event.device, by()),
        Event::PairingExpired(event) => {
            format!("request {} of device {} expired at {}", event.request, event.device, time_text(event.due))
        }
        Event::DeviceMetadataChanged(event) => {
            let text = |platform: &Option<String>| platform.as_deref().map_or_else(|| "none".to_owned(), quote);
            format!("device {} moved from platform {} to {}", event.device, text(&event.platform_before), text(&event.platform))
        }
        Event::DeviceRemoved(event) => format!("device {} was removed by {}", event.device, by()),
        Event::DeviceRenamed(event) => {
            let before = event.label_before.as_deref().map(|before| format!("; it was \"{}\"", quote(before)));
            let before = before.unwrap_or_default();
            match event.label.as_str() {
                "" => format!("the name of device {} was taken back by {}{before}", event.device, by()),
                label => format!("device {} was named \"{}\" by {}{before}", event.device, quote(label), by()),
            }
        }
        Event::TokenIssued(event) => format!("device {} got its {} token with {}", event.device, event.role, event.scopes),
        Event::TokenRotated(event) => {
            let (before, after) = (&event.scopes_before, &event.scopes);
            format!("the {} token of device {} was rotated by {}: {before} before, {after} now", event.role, event.device, by())
        }
        Event::TokenRevoked(event) => format!("the {} role of device {} was revoked by {}", event.role, event.device, by()),
        Event::PolicyChanged(_) => format!("another policy was put in force by {}", by()),
        Event::OwnerActsSeen(event) => format!("the owner's acts up to seq {} were seen by {}", event.through, by()),
        Event::RuleArmed(event) => format!("the local rule {} was armed again by {}", event.rule, by()),
        Event::AttemptsSuppressed(event) => suppressed(event),
        Event::SetupCodeCreated(event) => {
            let gives = event.grants.iter().map(|grant| format!("{} with {}", grant.role, grant.scopes));
            let label = event.label.as_deref().map(|label| format!(" for \"{}\"", quote(label))).unwrap_or_default();
            let (code, gives, until) = (event.code, listed(gives), time_text(event.expires));
            format!("setup code {code}{label} was made by {}: {gives}, until {until}", by())
        }
        Event::SetupCodeSpent(event) => format!("setup code {} was spent by device {}", event.code, event.device),
        Event::SetupCodeRevoked(event) => format!("setup code {} was taken back by {}", event.code, by()),
        Event::RollbackAccepted(event) => {
            let kept = match &*event.keeps {
                [] => "none of them".to_owned(),
                keeps => keeps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            };
            let (head, seen) = (event.head, event.witnessed);
            format!(
                "the journal ends at seq {head} and was seen up to seq {seen}; {} accepted that: every device is suspended until \
                 it is approved anew, and keeps what it held: {kept}",
                by()
            )
        }
        Event::ConfigurationChanged(event) => setting_changed(event),
        Event::ActUndone(event) => format!("the act at seq {} was undone by {}", event.undoes, by()),
        Event::GrantWithdrawn(event) => {
            format!("{} as {} was withdrawn from device {} by {}", event.scopes, event.role, event.device, by())
        }
        Event::DeviceRestored(event) => {
            let holds = event.grants.iter().map(|grant| format!("{} with {}", grant.role, grant.scopes));
            format!("device {} was restored by {}, without its tokens: {}", event.profile.device, by(), listed(holds))
        }
        Event::DeviceImported(event) => {
            let holds = event.grants.iter().map(|grant| {
                let token = if grant.token.is_some() { "and its token" } else { "and no token" };
                format!("{} with {} {token}", grant.role, grant.scopes)
            });
            format!("device {} was imported by {} from {}: {}", event.profile.device, by(), event.source, listed(holds))
        }
        Event::DeviceSucceeded(event) => {
            format!("device {} was succeeded by device {}, request {}, by {}", event.device, event.by, event.request, by())
        }
        Event::TokenKeyReplaced(event) => {
            let why = if event.before.is_some() { ", since the one before is gone" } else { "" };
            format!("new tokens are derived with another key from now on{why}; tokens in use stay good")
        }
    }
}

/// Which setting is another, and how; of a secret only that.
pub(super) fn setting_changed(event: &ConfigurationChanged) -> String {
    if event.key == GatewayStarted::SECRET {
        return "the shared secret changed".to_owned();
    }
    let text = |value: &Option<String>| value.as_deref().map_or_else(|| "not set".to_owned(), quote);
    format!("the setting {} changed from {} to {}", quote(&event.key), text(&event.before), text(&event.after))
}

fn listed(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" and ")
}

fn suppressed(event: &AttemptsSuppressed) -> String {
    let of = match (event.like, event.device, event.address) {
        (Some(like), _, _) => format!(" like seq {like}"),
        (None, Some(device), _) => format!(" of device {device}"),
        (None, None, Some(address)) => format!(" from {}", address.ip()),
        (None, None, None) => " from many addresses".to_owned(),
    };
    let (first, last) = (time_text(event.first), time_text(event.last));
    format!("{} more{of} were refused between {first} and {last} and not recorded one by one", event.count)
}

/// How something was found, and what to do about it.
#[must_use]
pub fn condition_sentence(condition: Condition, detail: &str) -> String {
    let (means, command) = next_step(condition);
    format!("{} {}; {means}: {command}", subject(condition), quote(detail))
}

/// What a condition is about, so that its detail completes the sentence.
pub(super) fn subject(condition: Condition) -> &'static str {
    match condition {
        Condition::Identity => "identity/device.json",
        Condition::Devices => "devices/",
        Condition::Key => "pairing/token.key",
        Condition::Witness => "the witness of the journal's head",
        Condition::Clock => "the wall clock",
        Condition::Configuration => "openclaw.json",
        Condition::UncleanStop => "the last gateway",
        Condition::Storage => "the disk",
    }
}

/// What a condition means, and the one command that comes next.
pub(super) fn next_step(condition: Condition) -> (&'static str, &'static str) {
    match condition {
        Condition::Identity => (
            "with another one, the command line of this host is a new device and has to be approved, or given the place of the \
                 one before",
            "openclaw recover",
        ),
        Condition::Devices => {
            ("it only holds copies, which are written again; who is paired stands in the journal", "openclaw devices list")
        }
        Condition::Key => (
            "tokens that devices have stay good; one that cannot be used is replaced while the gateway is stopped (openclaw recover \
             --new-key), a start with the old file back uses it, and one without any makes a new one",
            "openclaw gateway run",
        ),
        Condition::Witness => (
            "hold the journal against a head that you noted (openclaw journal verify --expect SEQ:HASH), and once that is settled",
            "openclaw recover --settle witness",
        ),
        Condition::Clock => ("until it has caught up, time in the journal goes on by itself; set the clock right", "timedatectl"),
        Condition::Configuration => {
            ("put the old one back and start again, or give every client the new shared secret", "openclaw gateway run")
        }
        Condition::UncleanStop => ("whatever was answered is on record; make sure of it", "openclaw journal verify"),
        Condition::Storage => (
            "what it holds of the journal, openclaw journal verify tells; once that is settled",
            "openclaw recover --settle storage",
        ),
    }
}

fn pairing_required(need: &PairingNeed, about: About<'_>) -> String {
    let mut text = format!("pairing required: {}: {} ", need.reason, device(about, "the device"));
    // Writing to a string cannot fail.
    let _ = match need.reason {
        Reason::NotPaired => write!(text, "is not paired and asks for {}", need.missing),
        Reason::MetadataUpgrade => write!(text, "claims another platform or family than the one it was approved with"),
        Reason::RoleUpgrade => match &need.revoked {
            Some((at, by)) => write!(text, "had this role until it was revoked at {} by {}", time_text(*at), who(by)),
            None => write!(text, "does not hold this role"),
        },
        Reason::ScopeUpgrade if need.token_is_narrow => {
            write!(text, "is approved for {}, but its token was narrowed to {}", need.missing, need.held)
        }
        Reason::ScopeUpgrade if need.missing.is_empty() => write!(text, "offers more than what was approved"),
        Reason::ScopeUpgrade => write!(text, "lacks {} (holds {})", need.missing, need.held),
    };
    if let Some(rule) = need.rests {
        let _ = write!(
            text,
            "; the policy rule {rule} rests, since a person took away what it let in (the owner arms it again: openclaw policy arm {rule})"
        );
    }
    let _ = write!(text, "; approve with: openclaw devices approve {}", need.request);
    if need.token_is_narrow {
        let scopes = need.held.union(&need.missing);
        let _ = write!(text, " (or give its token other scopes with: {})", rotate_command(about, &scopes));
    }
    text
}

/// The command that gives a role's token these scopes. It is there to be pasted, and what a scope is called is up to whoever
/// asked for it: where one is not plain letters, none is named.
pub(super) fn rotate_command(about: About<'_>, scopes: &ScopeSet) -> String {
    let mut command = "openclaw devices rotate".to_owned();
    if let (Some(device), Some(role)) = (about.device, about.role) {
        let _ = write!(command, " --device {device} --role {role}");
        let is_plain = |scope: &str| scope.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
        for scope in scopes.iter().filter(|_| scopes.iter().all(is_plain)) {
            let _ = write!(command, " --scope {scope}");
        }
    }
    command
}

fn device(about: About<'_>, otherwise: &str) -> String {
    about.device.map_or_else(|| otherwise.to_owned(), |device| format!("device {device}"))
}

fn resolved(resolution: &Resolution, about: About<'_>) -> String {
    let (at, by) = (time_text(resolution.at), who(&resolution.by));
    let request = about.request.map_or_else(|| "the request".to_owned(), |request| format!("request {request}"));
    match (resolution.ending, &resolution.successor) {
        (Ending::Superseded, Some((next, more))) => {
            let more = if more.is_empty() { "other details".to_owned() } else { format!("+{more}") };
            format!(
                "{request} was superseded at {at} by request {next} ({more}); approve that one instead: openclaw devices approve {next}"
            )
        }
        (Ending::Expired, _) => {
            format!("{request} expired at {at}; {} must reconnect to ask again", device(about, "the device"))
        }
        (Ending::Removed, _) => {
            format!("{request} ended at {at} when {} was removed by {by}", device(about, "its device"))
        }
        (ending, _) => format!("{request} was already {ending} at {at} by {by}"),
    }
}

fn unauthorized(reason: AuthReason, rotated_at: Option<Millis>) -> String {
    let core = match reason {
        AuthReason::TokenMissing => "gateway token missing",
        AuthReason::TokenMismatch => "gateway token mismatch",
        AuthReason::TokenNotConfigured => "gateway token not configured",
        AuthReason::PasswordMissing => "gateway password missing",
        AuthReason::PasswordMismatch => "gateway password mismatch",
        AuthReason::PasswordNotConfigured => "gateway password not configured",
        AuthReason::BootstrapTokenInvalid => "bootstrap token invalid or expired (scan a fresh setup code)",
        AuthReason::DeviceTokenMismatch => "device token mismatch (rotate/reissue device token)",
        AuthReason::RateLimited => "too many failed authentication attempts (retry later)",
        AuthReason::TrustedProxyUserMissing => "the trusted proxy named no user",
        AuthReason::TrustedProxyUserNotAllowed => "the user of the trusted proxy is not in gateway.auth.trustedProxy.allowUsers",
        AuthReason::TrustedProxyUntrustedSource => "this address is not in gateway.trustedProxies",
    };
    match rotated_at {
        Some(at) => format!("unauthorized: {core}: it was rotated at {}", time_text(at)),
        None => format!("unauthorized: {core}"),
    }
}

fn command_refused(event: &CommandRefused, by: &str) -> String {
    let mut text = format!("{} was refused to {by}", event.command);
    let parts = [
        event.request.map(|request| format!("request {request}")),
        event.device.map(|device| format!("device {device}")),
        event.role.map(|role| format!("role {role}")),
        event.scopes.as_ref().map(|scopes| format!("scopes {scopes}")),
    ];
    for part in parts.into_iter().flatten() {
        let _ = write!(text, ", {part}");
    }
    let _ = write!(text, ": {}", refusal_sentence(&event.refusal, About { device: event.device.as_ref(), ..About::default() }));
    text
}

/// Who tried, from where.
fn attempt(attempt: &Attempt) -> String {
    let mut text = match &attempt.proof {
        Some(proof) => format!("device {}", proof.device),
        None => "no device".to_owned(),
    };
    if let (Some(client), Some(ask)) = (attempt.client, &attempt.ask) {
        let _ = write!(text, " ({} in mode {}) as {}", client.id, client.mode, ask.role);
    }
    let _ = write!(text, " from {}", attempt.source.address().ip());
    if attempt.source.forwarding.is_untrusted() {
        let _ = write!(text, " ({}; gateway.trustedProxies decides)", attempt.source.forwarding);
    }
    text
}

/// A client's own text: printable characters as they are, all others escaped.
#[must_use]
pub fn quote(text: &str) -> String {
    text.chars().flat_map(|c| if is_plain(c) { vec![c] } else { c.escape_unicode().collect() }).collect()
}

/// Text as one word of a shell; none where it has characters that nobody should paste.
#[must_use]
pub fn shell_word(text: &str) -> Option<String> {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    match text {
        _ if !text.chars().all(is_plain) => None,
        _ if !text.is_empty() && text.chars().all(is_harmless) => Some(text.to_owned()),
        _ => Some(format!("'{}'", text.replace('\'', r"'\''"))),
    }
}

fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairing::Seq;

    #[test]
    fn a_close_reason_fits_its_frame_and_names_reason_and_request() {
        let need = PairingNeed {
            reason: Reason::MetadataUpgrade,
            request: RequestId([0xaa; 16]),
            missing: ScopeSet::EMPTY,
            held: ScopeSet::EMPTY,
            token_is_narrow: false,
            revoked: None,
            retry_after_ms: 0,
            rests: None,
        };
        let text = close_reason(&Refusal::PairingRequired(need), About::default());
        assert!(text.len() <= limits::CLOSE_REASON_BYTES);
        assert_eq!(text, "pairing required: metadata-upgrade, request aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa");
    }

    #[test]
    fn o01_a_clients_text_cannot_make_a_second_line() {
        assert_eq!(quote("a\n\u{1b}[2Jb\u{202e}c"), "a\\u{a}\\u{1b}[2Jb\\u{202e}c");
    }

    #[test]
    fn o01_a_record_from_anywhere_is_one_line() {
        let hostile = || "a\nb".to_owned();
        let started = GatewayStarted { version: hostile(), key: None, identity: None, settings: vec![(hostile(), hostile())] };
        let record = Record { seq: Seq(1), at: Millis(1), actor: Actor::System, event: started.into() };
        assert_eq!(event_sentence(&record), "gateway a\\u{a}b started, a\\u{a}b=a\\u{a}b");
    }

    #[test]
    fn o01_a_command_to_paste_holds_nothing_that_a_shell_would_run() {
        let device = DeviceId([7; 32]);
        let about = About { device: Some(&device), role: Some(Role::Operator), request: None };
        let command = |scopes: &[&str]| rotate_command(about, &ScopeSet::parse(scopes.iter().copied()).expect("scopes"));
        assert!(command(&["operator.read"]).ends_with(" --role operator --scope operator.read"));
        for scope in ["$(id)", "a;b", "`id`", "a&b", "-x", "a'b"] {
            assert!(command(&["operator.read", scope]).ends_with(" --role operator"), "{scope}");
        }
    }

    #[test]
    fn a_time_is_rfc_3339() {
        assert_eq!(time_text(Millis(1_795_342_471_657)), "2026-11-22T10:14:31.657Z");
    }
}
