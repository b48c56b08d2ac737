//! What happened. An event is a fact in the past tense and carries only facts, the question as well as the answer, and never
//! a secret. Its struct is what stands in the journal: **a released struct is frozen**; another shape is another event with
//! the next free kind number (journal-format.md, "Kinds"), old ones stay readable for ever.

use serde::{Deserialize, Serialize};

use super::coded::coded;
use super::command::Refusal;
use super::identity::SignatureForm;
use super::ids::{ConnectionId, DeviceId, Digest, JournalId, KeyId, Millis, PublicKey, RequestId, Salt, Seq, SetupCodeId};
use super::scopes::{Role, ScopeSet};

/// An event with its place, its time and who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the journal.
    pub seq: Seq,
    /// When; never before the record in front of it.
    pub at: Millis,
    /// Who did it.
    pub actor: Actor,
    /// What happened.
    pub event: Event,
}

/// A point of history, as people name one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A record.
    Seq(Seq),
    /// A time.
    Time(Millis),
}

impl Record {
    /// Whether it happened at this point or before it.
    #[must_use]
    pub fn is_until(&self, end: Moment) -> bool {
        match end {
            Moment::Seq(seq) => self.seq <= seq,
            Moment::Time(at) => self.at <= at,
        }
    }

    /// Whether it happened at this point or behind it.
    #[must_use]
    pub fn is_since(&self, begin: Moment) -> bool {
        match begin {
            Moment::Seq(seq) => self.seq >= seq,
            Moment::Time(at) => self.at >= at,
        }
    }

    /// The person, where it is an act of this host's owner that somebody should have seen. What one act brings with it is told
    /// with that.
    #[must_use]
    pub const fn owner_act(&self) -> Option<&Person> {
        match (&self.actor, &self.event) {
            (_, Event::OwnerActsSeen(_) | Event::TokenIssued(_) | Event::SetupCodeSpent(_) | Event::ActUndone(_)) => None,
            (Actor::Owner(person), _) => Some(person),
            _ => None,
        }
    }
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $kind:literal),+ $(,)?) => {
        /// Everything that can happen, each with its permanent kind number.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Event { $($(#[$doc])* $name($name)),+ }

        impl Event {
            /// Its kind number in the journal.
            #[must_use]
            pub const fn kind(&self) -> u16 {
                match self { $(Self::$name(_) => $kind),+ }
            }

            /// Its name.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name)),+ }
            }
        }

        $(impl From<$name> for Event {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        })+

        /// Every kind number with its event's name; journal-format.md lists the same.
        pub const KINDS: &[(u16, &str)] = &[$(($kind, stringify!($name))),+];
    };
}

// Only ever add: with the next number of its group, never one that was used before.
events! {
    /// The journal begins.
    JournalCreated = 1,
    /// A gateway started on it.
    GatewayStarted = 2,
    /// A gateway stopped in order.
    GatewayStopped = 3,
    /// A torn end was put aside.
    JournalRepaired = 4,
    /// A file of the journal ends; the next record stands in another.
    SegmentSealed = 5,
    /// Something was found not as it should be.
    ConditionFound = 6,
    /// It is as it should be again.
    ConditionCleared = 7,
    /// The head of the journal is remembered outside of it from here on.
    WitnessPlaced = 8,
    /// The oldest segments are kept elsewhere from here on.
    HistoryArchived = 9,
    /// Another policy is in force.
    PolicyChanged = 10,
    /// Somebody saw what the owner did.
    OwnerActsSeen = 11,
    /// A local rule that rested works again.
    RuleArmed = 12,
    /// A journal that ends before what was seen of it was accepted.
    RollbackAccepted = 13,
    /// A setting is another than at the last start.
    ConfigurationChanged = 14,
    /// An earlier act is taken back, by the records behind this one.
    ActUndone = 15,
    /// A connection was let in.
    ConnectionAdmitted = 16,
    /// A connection was turned away.
    ConnectionRefused = 17,
    /// An admitted connection ended.
    ConnectionClosed = 18,
    /// A command was turned away.
    CommandRefused = 19,
    /// Many were turned away and not written down one by one.
    AttemptsSuppressed = 20,
    /// A device asked for something that it does not hold.
    PairingRequested = 32,
    /// Something was granted to a device.
    PairingApproved = 33,
    /// A request was turned down.
    PairingRejected = 34,
    /// A request ran out of time.
    PairingExpired = 35,
    /// Something that was granted was taken back.
    GrantWithdrawn = 36,
    /// A device's pinned platform or family changed.
    DeviceMetadataChanged = 48,
    /// A device and all that it held was removed.
    DeviceRemoved = 49,
    /// A device got a name from an operator.
    DeviceRenamed = 50,
    /// A removed device is paired again, without its tokens.
    DeviceRestored = 51,
    /// A device was taken over from a real OpenClaw.
    DeviceImported = 52,
    /// A device's place was given to another key.
    DeviceSucceeded = 53,
    /// A role of a device got its first token.
    TokenIssued = 64,
    /// A role's token was replaced.
    TokenRotated = 65,
    /// A role was revoked and its token retired.
    TokenRevoked = 66,
    /// Tokens are derived with another key from here on.
    TokenKeyReplaced = 67,
    /// A code was made that pairs a device without a request.
    SetupCodeCreated = 80,
    /// A device was paired by it.
    SetupCodeSpent = 81,
    /// It was taken back.
    SetupCodeRevoked = 82,
}

impl Event {
    /// The device that it is about, where it is about one; of a refused command the one that it named.
    #[must_use]
    pub fn device(&self) -> Option<DeviceId> {
        let proved = |attempt: &Attempt| attempt.proof.map(|proof| proof.device);
        match self {
            Self::ConnectionAdmitted(event) => proved(&event.attempt),
            Self::ConnectionRefused(event) => proved(&event.attempt),
            Self::CommandRefused(event) => event.device,
            Self::PairingRequested(event) => Some(event.device),
            Self::PairingApproved(event) => Some(event.device),
            Self::PairingRejected(event) => Some(event.device),
            Self::PairingExpired(event) => Some(event.device),
            Self::DeviceMetadataChanged(event) => Some(event.device),
            Self::DeviceRemoved(event) => Some(event.device),
            Self::DeviceRenamed(event) => Some(event.device),
            Self::GrantWithdrawn(event) => Some(event.device),
            Self::DeviceRestored(event) => Some(event.profile.device),
            Self::DeviceImported(event) => Some(event.profile.device),
            // Of the old one the registry knows who has its place.
            Self::DeviceSucceeded(event) => Some(event.by),
            Self::TokenIssued(event) => Some(event.device),
            Self::TokenRotated(event) => Some(event.device),
            Self::TokenRevoked(event) => Some(event.device),
            Self::AttemptsSuppressed(event) => event.device,
            Self::SetupCodeSpent(event) => Some(event.device),
            // It names its connection by a seq, so whose it was is not in it.
            Self::ConnectionClosed(_) => None,
            Self::JournalCreated(_)
            | Self::GatewayStarted(_)
            | Self::GatewayStopped(_)
            | Self::JournalRepaired(_)
            | Self::SegmentSealed(_)
            | Self::ConditionFound(_)
            | Self::ConditionCleared(_)
            | Self::WitnessPlaced(_)
            | Self::HistoryArchived(_)
            | Self::PolicyChanged(_)
            | Self::OwnerActsSeen(_)
            | Self::RuleArmed(_)
            | Self::RollbackAccepted(_)
            | Self::ConfigurationChanged(_)
            | Self::ActUndone(_)
            | Self::TokenKeyReplaced(_)
            | Self::SetupCodeCreated(_)
            | Self::SetupCodeRevoked(_) => None,
        }
    }

    /// The request that it makes, ends or names.
    #[must_use]
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::CommandRefused(event) => event.request,
            Self::PairingRequested(event) => Some(event.request),
            Self::PairingApproved(event) => event.request,
            Self::PairingRejected(event) => Some(event.request),
            Self::PairingExpired(event) => Some(event.request),
            Self::DeviceSucceeded(event) => Some(event.request),
            Self::AttemptsSuppressed(event) => event.request,
            _ => None,
        }
    }
}

// --- actors ---------------------------------------------------------------------------------------------------

/// Who did something. Its power follows from what it is; the record that gave that power is its *warrant*.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "ActorImage", try_from = "ActorImage")]
pub enum Actor {
    /// Whoever is on the socket; the attempt says who.
    Peer,
    /// A paired device, with the scopes of the connection on which it spoke.
    Device {
        /// The device.
        device: DeviceId,
        /// The connection's scopes.
        scopes: ScopeSet,
    },
    /// A user of this machine who may write the journal directory.
    Owner(Person),
    /// A connection by the shared secret, without a paired device, and the rule that gave its scopes.
    SharedSecret {
        /// The rule.
        rule: Rule,
        /// The connection's scopes.
        scopes: ScopeSet,
    },
    /// A rule of the policy.
    Rule(Rule),
    /// The gateway itself: expiry, start, repair.
    System,
}

impl Actor {
    /// Whether it is this device.
    #[must_use]
    pub fn is_device(&self, id: &DeviceId) -> bool {
        matches!(self, Self::Device { device, .. } if device == id)
    }
}

/// An operating-system user, as the kernel names them, and the program that spoke for them, as it names itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// User id.
    pub uid: u32,
    /// Process id.
    pub pid: u32,
    /// File name of the program.
    pub program: String,
    /// Its terminal, where it has one.
    pub terminal: Option<String>,
    /// Whether it runs below a shell that OpenClaw's agent started; in a record the actor's number says so.
    #[serde(skip)]
    pub from_exec: bool,
}

#[derive(Serialize, Deserialize)]
struct ActorImage(u8, Option<DeviceId>, Option<ScopeSet>, Option<Rule>, Option<Person>);

impl From<Actor> for ActorImage {
    fn from(actor: Actor) -> Self {
        match actor {
            Actor::Peer => Self(0, None, None, None, None),
            Actor::Device { device, scopes } => Self(1, Some(device), Some(scopes), None, None),
            Actor::Owner(person) if person.from_exec => Self(6, None, None, None, Some(person)),
            Actor::Owner(person) => Self(2, None, None, None, Some(person)),
            Actor::SharedSecret { rule, scopes } => Self(3, None, Some(scopes), Some(rule), None),
            Actor::Rule(rule) => Self(4, None, None, Some(rule), None),
            Actor::System => Self(5, None, None, None, None),
        }
    }
}

impl TryFrom<ActorImage> for Actor {
    type Error = Incoherent;

    fn try_from(image: ActorImage) -> Result<Self, Incoherent> {
        match image {
            ActorImage(0, None, None, None, None) => Ok(Self::Peer),
            ActorImage(1, Some(device), Some(scopes), None, None) => Ok(Self::Device { device, scopes }),
            ActorImage(2, None, None, None, Some(person)) => Ok(Self::Owner(person)),
            ActorImage(3, None, Some(scopes), Some(rule), None) => Ok(Self::SharedSecret { rule, scopes }),
            ActorImage(4, None, None, Some(rule), None) => Ok(Self::Rule(rule)),
            ActorImage(5, None, None, None, None) => Ok(Self::System),
            ActorImage(6, None, None, None, Some(person)) => Ok(Self::Owner(Person { from_exec: true, ..person })),
            _ => Err(Incoherent("actor")),
        }
    }
}

/// Parts that decode one by one but say nothing together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parts of this {0} do not belong together")]
pub struct Incoherent(pub &'static str);

// --- the parts of an attempt ------------------------------------------------------------------------------------

coded!(
    /// Which rule admitted or granted. The names of policy rules are their keys in the policy.
    Rule {
        /// The device holds what it asks for.
        Paired = 1 => "paired",
        /// A first local pairing with the right shared secret.
        LocalFirstPairing = 2 => "localFirstPairing",
        /// OpenClaw's CLI on its own host, without a device.
        LocalCli = 3 => "localCli",
        /// A backend helper on its own host, without a device or with one never seen.
        LocalBackend = 4 => "localBackend",
        /// A probe: admitted with no scopes, pairs nothing.
        Probe = 5 => "probe",
        /// The shared secret without a device: admitted with no scopes.
        SharedSecret = 6 => "sharedSecret",
        /// Another version of the same platform family.
        Metadata = 7 => "metadata",
        /// More scopes for a paired local device.
        LocalUpgrade = 8 => "localUpgrade",
        /// A first pairing of a node from a network that is trusted with it.
        TrustedNodeCidrs = 9 => "trustedNodeCidrs",
        /// A setup code.
        SetupCode = 10 => "setupCode",
    }
);

impl Rule {
    /// Whether it is a local rule that pairs devices or gives them more, so that it can rest.
    #[must_use]
    pub const fn can_rest(self) -> bool {
        matches!(self, Self::LocalFirstPairing | Self::LocalUpgrade)
    }
}

coded!(
    /// `client.id` of a connect (OpenClaw 2026.3.13 and 2026.9.6).
    ClientId {
        /// webchat-ui
        WebchatUi = 1 => "webchat-ui",
        /// The Control UI.
        ControlUi = 2 => "openclaw-control-ui",
        /// webchat
        Webchat = 3 => "webchat",
        /// The CLI.
        Cli = 4 => "cli",
        /// Backend helpers.
        GatewayClient = 5 => "gateway-client",
        /// macOS app
        Macos = 6 => "openclaw-macos",
        /// iOS app
        Ios = 7 => "openclaw-ios",
        /// Android app
        Android = 8 => "openclaw-android",
        /// node host
        NodeHost = 9 => "node-host",
        /// test
        Test = 10 => "test",
        /// fingerprint
        Fingerprint = 11 => "fingerprint",
        /// probe
        Probe = 12 => "openclaw-probe",
        /// Terminal UI (2026.9.6).
        Tui = 13 => "openclaw-tui",
        /// Linux app (2026.9.6).
        Linux = 14 => "openclaw-linux",
        /// watchOS app (2026.9.6).
        Watchos = 15 => "openclaw-watchos",
        /// Browser copilot (2026.9.6).
        BrowserCopilot = 16 => "openclaw-browser-copilot",
        /// Worker (2026.9.6).
        Worker = 17 => "openclaw-worker",
    }
);

coded!(
    /// `client.mode` of a connect (OpenClaw 2026.3.13 and 2026.9.6).
    ClientMode {
        /// webchat
        Webchat = 1 => "webchat",
        /// cli
        Cli = 2 => "cli",
        /// ui
        Ui = 3 => "ui",
        /// backend
        Backend = 4 => "backend",
        /// node
        Node = 5 => "node",
        /// A look at the gateway that must change nothing.
        Probe = 6 => "probe",
        /// test
        Test = 7 => "test",
        /// worker (2026.9.6)
        Worker = 8 => "worker",
    }
);

/// Which client says it connects: a claim, also in a signed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Client {
    /// `client.id`.
    pub id: ClientId,
    /// `client.mode`.
    pub mode: ClientMode,
}

coded!(
    /// What was wrong with a connect before any rule was asked, in the order in which it is looked for.
    Fault {
        /// Closed, or cut off, before a connect came.
        Gone = 1 => "connection ended before connect",
        /// No connect within the deadline.
        Timeout = 2 => "handshake timeout",
        /// A message over the limit.
        TooLarge = 3 => "message too large",
        /// Not JSON.
        NotJson = 4 => "not JSON",
        /// Not a request frame.
        InvalidFrame = 5 => "invalid request frame",
        /// Another method first.
        NotConnect = 6 => "first request must be connect",
        /// The params do not fit.
        InvalidParams = 7 => "invalid connect params",
        /// No protocol version in common.
        Protocol = 8 => "protocol mismatch",
        /// Neither operator nor node.
        InvalidRole = 9 => "invalid role",
        /// A browser client without Origin.
        OriginMissing = 10 => "origin missing or invalid",
        /// A page of another origin.
        OriginForbidden = 11 => "origin not allowed",
        /// The id is not the hash of the key.
        DeviceIdMismatch = 12 => "device identity mismatch",
        /// Signed too long ago, or in the future.
        SignatureExpired = 13 => "device signature expired",
        /// A blank nonce.
        NonceMissing = 14 => "device nonce required",
        /// The nonce of another socket.
        NonceMismatch = 15 => "device nonce mismatch",
        /// The signature does not verify.
        SignatureInvalid = 16 => "device signature invalid",
    }
);

coded!(
    /// What the kernel says of the process at the other end of a loopback socket.
    PeerUser {
        /// Not asked: the peer is not on this machine, or nothing depended on it.
        NotAsked = 0 => "not asked",
        /// The owner of the state directory.
        Owner = 1 => "owner",
        /// Somebody else, root included.
        Other = 2 => "another user",
        /// The kernel should tell and did not.
        Unknown = 3 => "unknown",
        /// This system has no way to tell.
        Untold = 4 => "untold",
    }
);

coded!(
    /// Whether a header says that somebody passed the request on.
    Forwarding {
        /// No such header.
        None = 0 => "none",
        /// By a proxy that the settings trust.
        Trusted = 1 => "trusted proxy",
        /// By anybody else: what it claims is only a claim.
        Untrusted = 2 => "untrusted forwarding header",
        /// The same, by `X-Forwarded-For`.
        ForwardedFor = 3 => "untrusted X-Forwarded-For header",
        /// The same, by `X-Real-IP`.
        RealIp = 4 => "untrusted X-Real-IP header",
        /// The same, by `Forwarded`.
        Forwarded = 5 => "untrusted Forwarded header",
        /// The same, by another header that begins with `X-Forwarded-`.
        ForwardedOther = 6 => "untrusted X-Forwarded header",
        /// The same, by `Via`.
        Via = 7 => "untrusted Via header",
        /// The same, by a header of Tailscale's proxy.
        Tailscale = 8 => "untrusted Tailscale header",
    }
);

impl Forwarding {
    /// Whether somebody passed it on whose word does not count.
    #[must_use]
    pub const fn is_untrusted(self) -> bool {
        !matches!(self, Self::None | Self::Trusted)
    }
}

/// An address in one canonical form: IPv6, IPv4 as mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u128", from = "u128")]
pub struct Address(pub std::net::Ipv6Addr);

impl Address {
    /// As people write it.
    #[must_use]
    pub fn ip(self) -> std::net::IpAddr {
        std::net::IpAddr::V6(self.0).to_canonical()
    }

    /// The address, but of IPv6 only the 64 bits that one host's owner cannot choose.
    #[must_use]
    pub fn network(self) -> Self {
        match self.ip() {
            std::net::IpAddr::V6(v6) if !v6.is_loopback() => Self((u128::from(v6) >> 64 << 64).into()),
            _ => self,
        }
    }

    /// Its first bits of the 128, where IPv4 has its own behind the 96 of its prefix; zeros behind them.
    #[must_use]
    pub fn prefix(self, bits: u8) -> Self {
        let mask = u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(bits))).unwrap_or(0);
        Self((std::net::Ipv6Addr::to_bits(self.0) & mask).into())
    }

    /// Whether it is this machine.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        self.ip().is_loopback()
    }
}

impl From<std::net::IpAddr> for Address {
    fn from(ip: std::net::IpAddr) -> Self {
        match ip {
            std::net::IpAddr::V4(v4) => Self(v4.to_ipv6_mapped()),
            std::net::IpAddr::V6(v6) => Self(v6),
        }
    }
}

/// The octets, first to last, as one little-endian number: the same bytes in a record, read at once.
impl From<Address> for u128 {
    fn from(address: Address) -> Self {
        Self::from_le_bytes(address.0.octets())
    }
}

impl From<u128> for Address {
    fn from(octets: u128) -> Self {
        Self(octets.to_le_bytes().into())
    }
}

/// Where a connection came from, as far as we can tell and as far as it claims.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// The socket's other end.
    pub peer: Address,
    /// Whether a header says that the request was passed on.
    pub forwarding: Forwarding,
    /// The address that such a header names; to be believed only from a trusted proxy.
    pub claimed: Option<Address>,
    /// Whether the Host header names loopback.
    pub host_is_loopback: bool,
    /// Whether a browser's page asked (an Origin header is there).
    pub is_page: bool,
    /// What the kernel says of the peer.
    pub user: PeerUser,
}

impl Source {
    /// The address that counts: the one a trusted proxy names, else the socket's.
    #[must_use]
    pub fn address(&self) -> Address {
        match (self.forwarding, self.claimed) {
            (Forwarding::Trusted, Some(claimed)) => claimed,
            _ => self.peer,
        }
    }
}

/// Free text of a client about itself. Strings are cut at [`crate::limits::TEXT_BYTES`]; an absent one is not a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Description {
    /// `client.platform`.
    pub platform: Option<String>,
    /// `client.deviceFamily`.
    pub family: Option<String>,
    /// `client.displayName`.
    pub display_name: Option<String>,
    /// `client.version`.
    pub version: Option<String>,
    /// `client.modelIdentifier`.
    pub model: Option<String>,
    /// `client.instanceId`.
    pub instance: Option<String>,
    /// `caps`.
    pub caps: Vec<String>,
    /// `commands`.
    pub commands: Vec<String>,
}

/// A description, or the record that already holds the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Described {
    /// The record that says it.
    pub like: Option<Seq>,
    /// It.
    pub here: Option<Box<Description>>,
}

/// What a connection asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ask {
    /// The role.
    pub role: Role,
    /// The scopes.
    pub scopes: ScopeSet,
    /// What it says of itself, capabilities and commands included.
    pub described: Described,
}

/// A device that proved its key on this socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Proof {
    /// The device.
    pub device: DeviceId,
    /// Which text it signed.
    pub form: SignatureForm,
}

coded!(
    /// The gateway's auth mode.
    AuthMode {
        /// No shared secret.
        None = 0 => "none",
        /// A shared token.
        Token = 1 => "token",
        /// A password.
        Password = 2 => "password",
        /// A proxy that names its user.
        TrustedProxy = 3 => "trusted-proxy",
    }
);

coded!(
    /// What became of the shared secret that was presented; in mode trusted-proxy, of the user that a proxy named.
    SharedVerdict {
        /// None was presented.
        Missing = 0 => "missing",
        /// Right, or not needed in mode none.
        Right = 1 => "right",
        /// Wrong.
        Wrong = 2 => "wrong",
        /// The gateway has none to compare with; in mode trusted-proxy, the peer is no trusted proxy.
        NotConfigured = 3 => "not configured",
        /// Neither this nor a device token was compared: too many failed before.
        Spent = 4 => "not compared",
    }
);

coded!(
    /// What became of the device token that was presented.
    TokenVerdict {
        /// None was presented.
        Missing = 0 => "missing",
        /// The live token of this device and role.
        Live = 1 => "live",
        /// A token that this device and role held before.
        Retired = 2 => "retired",
        /// Any other text.
        Wrong = 3 => "wrong",
        /// None was looked at, since a setup code was presented that is good for this device and all that it asks.
        SetupCode = 4 => "setup code",
    }
);

/// Verdicts on what was presented; never what was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Credential {
    /// The mode then.
    pub mode: AuthMode,
    /// On the shared secret.
    pub shared: SharedVerdict,
    /// On the device token.
    pub token: TokenVerdict,
    /// Whether the device token came in a field of its own, not in place of the shared one.
    pub token_is_explicit: bool,
    /// Whether a setup code was presented.
    pub bootstrap: bool,
}

/// One try to connect, with every input of its decision that the fold does not know.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The socket.
    pub connection: ConnectionId,
    /// Where from.
    pub source: Source,
    /// What was wrong before any rule was asked.
    pub fault: Option<Fault>,
    /// The protocol version agreed on.
    pub protocol: Option<u8>,
    /// Which client.
    pub client: Option<Client>,
    /// What it asks for; absent where no well-formed connect came.
    pub ask: Option<Ask>,
    /// The device that proved itself.
    pub proof: Option<Proof>,
    /// The verdicts on its credentials.
    pub credential: Option<Credential>,
}

coded!(
    /// Why a device needs a person, the first that applies.
    Reason {
        /// Never paired, or removed.
        NotPaired = 1 => "not-paired",
        /// Another platform or family than the pinned one.
        MetadataUpgrade = 2 => "metadata-upgrade",
        /// A role it does not hold.
        RoleUpgrade = 3 => "role-upgrade",
        /// Scopes it does not hold.
        ScopeUpgrade = 4 => "scope-upgrade",
    }
);

/// What the journal knows of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Issue {
    /// What it was derived with.
    pub salt: Salt,
    /// The key.
    pub key: KeyId,
    /// SHA-256 of its text.
    pub digest: Digest,
}

// --- the events ---------------------------------------------------------------------------------------------------

/// The journal begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalCreated {
    /// Its id.
    pub journal: JournalId,
    /// The first policy, whole.
    pub policy: String,
}

/// A gateway started.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GatewayStarted {
    /// Our version.
    pub version: String,
    /// The key that tokens are derived with, where it can be read.
    pub key: Option<KeyId>,
    /// The device id of `identity/device.json`, where there is one.
    pub identity: Option<DeviceId>,
    /// Settings that matter to admission, by name; of a secret only that it is set, and a mark that tells it from another.
    pub settings: Vec<(String, String)>,
}

impl GatewayStarted {
    /// The setting that is a mark of the shared secret. Marks of two token keys differ whatever the secrets are.
    pub const SECRET: &str = "secret";
    /// How many acts of the owner nobody said to have seen: it stands with the settings, and says nothing of who gets in.
    pub const UNSEEN: &str = "ownerActsUnseen";

    /// The value of a setting, empty where it is not set; none where nothing is recorded of it.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// A gateway stopped in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayStopped {
    /// Why, in a word: the signal's name.
    pub cause: String,
}

/// A torn end was put aside when the journal was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalRepaired {
    /// The last sound record before it.
    pub after: Seq,
    /// Where in the segment it began.
    pub offset: u64,
    /// How many bytes were put aside, up to the last one that is not zero.
    pub bytes: u64,
    /// The file that holds them now, beside the segment.
    pub kept: String,
}

/// A segment of the journal ends with this record, which is alone in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentSealed {
    /// The first record of the segment.
    pub first: Seq,
    /// Bytes of the segment before the batch of this record.
    pub bytes: u64,
}

coded!(
    /// What may be found not as it should be. Each is in force at most once.
    Condition {
        /// `identity/device.json` is gone, or another device than before.
        Identity = 1 => "identity",
        /// `devices/` is gone.
        Devices = 2 => "devices",
        /// The key that tokens are derived with is gone, new, or cannot be used.
        Key = 3 => "token key",
        /// The witness of the journal's head.
        Witness = 4 => "witness",
        /// The wall clock went back.
        Clock = 5 => "clock",
        /// `openclaw.json` is gone.
        Configuration = 6 => "configuration",
        /// The last gateway did not stop in order.
        UncleanStop = 7 => "unclean stop",
        /// The disk.
        Storage = 8 => "storage",
    }
);

/// Something was found not as it should be, or otherwise than it was found before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionFound {
    /// What.
    pub condition: Condition,
    /// How it was found, at most [`crate::limits::TEXT_BYTES`] long: what its name is to be followed by. Never a secret.
    pub detail: String,
}

/// A condition that was found is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionCleared {
    /// Which.
    pub condition: Condition,
}

/// From here on a file outside the journal's directory remembers its head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessPlaced {
    /// The file's path.
    pub path: String,
    /// The file that did so before and was not there, or was not what was written: what was lost until then, nobody noticed.
    pub lost: Option<String>,
}

/// The segments up to this record may be missing from here on: they are kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryArchived {
    /// The last record of the last of these segments.
    pub through: Seq,
    /// The digest of the batch that ends with it, which is the segment's seal.
    pub hash: Digest,
    /// The directory that they are moved to.
    pub archive: String,
}

/// Another policy is in force from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChanged {
    /// It, whole.
    pub policy: String,
}

/// Somebody saw what the owner did, so that it need not be told any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerActsSeen {
    /// The last record that was seen.
    pub through: Seq,
}

/// A local rule that rested, since a person took away what it had let in, works again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleArmed {
    /// The rule.
    pub rule: Rule,
}

/// The journal ends before what was seen of it, and its owner goes on from there. What was taken away in the records that are
/// gone would come back, so every role of every device is revoked but of those that the owner named, and no setup code is good
/// any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackAccepted {
    /// The last record that is left.
    pub head: Seq,
    /// The last record that was seen; what came after that, nobody knows.
    pub witnessed: Seq,
    /// The digest of the batch that ended with it.
    pub hash: Digest,
    /// The devices that keep what they hold, by id, each once.
    pub keeps: Vec<DeviceId>,
}

/// A setting that matters to admission is another than it was at the last start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationChanged {
    /// Its name, as [`GatewayStarted::settings`] has it.
    pub key: String,
    /// What it was; of a secret only whether there was one.
    pub before: Option<String>,
    /// What it is; of a secret only whether there is one.
    pub after: Option<String>,
}

/// An earlier act is taken back. Its inverse is the records right behind this one by the same actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActUndone {
    /// The record of that act.
    pub undoes: Seq,
}

/// A connection was let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionAdmitted {
    /// The attempt.
    pub attempt: Attempt,
    /// The rule that let it in.
    pub rule: Rule,
    /// The scopes it may use.
    pub scopes: ScopeSet,
}

/// A connection was turned away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRefused {
    /// The attempt.
    pub attempt: Attempt,
    /// The answer it got.
    pub refusal: Refusal,
}

/// An admitted connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionClosed {
    /// Its admission.
    pub admission: Seq,
    /// The close code, ours or the peer's; 1006 where there was none.
    pub code: u16,
}

coded!(
    /// Which command a refusal answers.
    CommandName {
        /// Approve a request.
        Approve = 1 => "approve",
        /// Reject a request.
        Reject = 2 => "reject",
        /// Remove a device.
        Remove = 3 => "remove",
        /// Rotate a token.
        Rotate = 4 => "rotate",
        /// Revoke a role.
        Revoke = 5 => "revoke",
        /// Name a device.
        Rename = 6 => "rename",
        /// Ask for more scopes.
        Ask = 7 => "ask",
        /// Put another policy in force.
        ApplyPolicy = 8 => "apply a policy",
        /// Let a local rule work again that rests.
        ArmRule = 9 => "arm a rule",
        /// Make a setup code.
        CreateSetupCode = 10 => "create a setup code",
        /// Take a setup code back.
        RevokeSetupCode = 11 => "revoke a setup code",
        /// Reject all requests of an address.
        RejectFrom = 12 => "reject all of an address",
        /// Say that the owner's acts were seen.
        MarkSeen = 13 => "mark as seen",
        /// Take an earlier act back.
        Undo = 14 => "undo",
        /// Give a device's place to another key.
        Succeed = 15 => "hand a device over",
        /// Take devices over from a real OpenClaw.
        Import = 16 => "import",
        /// Accept a journal that ends before what was seen of it.
        AcceptRollback = 17 => "accept a rollback",
    }
);

/// A command was turned away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRefused {
    /// The command.
    pub command: CommandName,
    /// The request it named.
    pub request: Option<RequestId>,
    /// The device it named.
    pub device: Option<DeviceId>,
    /// The role it named.
    pub role: Option<Role>,
    /// The scopes it named.
    pub scopes: Option<ScopeSet>,
    /// The answer it got.
    pub refusal: Refusal,
}

/// Attempts and commands that were turned away and not written down one by one, since their budget was spent. What such
/// records count adds up: each tells of those after the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptsSuppressed {
    /// A record of one that was turned away: device, ask and answer of all these were the same.
    pub like: Option<Seq>,
    /// Where there is none: the address, of IPv6 its network of 64 bits; absent where too many were counted to tell.
    pub address: Option<Address>,
    /// The device that proved itself.
    pub device: Option<DeviceId>,
    /// The pending request that the answer named.
    pub request: Option<RequestId>,
    /// The number of the answer (journal-format.md, "Refusal").
    pub refusal: u8,
    /// How many, at least 1.
    pub count: u64,
    /// When the first of them came.
    pub first: Millis,
    /// When the last of them came.
    pub last: Millis,
}

/// A device asked for something that it does not hold. A request never changes: another ask is another request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingRequested {
    /// Its id.
    pub request: RequestId,
    /// Why a person is needed.
    pub reason: Reason,
    /// The device.
    pub device: DeviceId,
    /// The device's key.
    pub key: PublicKey,
    /// The whole ask: role, scopes of this and of the superseded request, description.
    pub ask: Ask,
    /// Which client.
    pub client: Client,
    /// Which text it signed; only v3 vouches for platform and family.
    pub form: SignatureForm,
    /// The address that counts.
    pub address: Address,
    /// The request that this one replaces.
    pub supersedes: Option<RequestId>,
}

coded!(
    /// Through which act something was granted.
    Act {
        /// A request was approved.
        Approval = 1 => "approval",
        /// A token was rotated beyond what was approved.
        Rotation = 2 => "rotation",
        /// A rule approved a first pairing.
        FirstPairing = 3 => "first pairing",
        /// A rule approved more scopes.
        Upgrade = 4 => "upgrade",
        /// A setup code was presented.
        SetupCode = 5 => "setup code",
        /// What took it away was undone.
        Undo = 6 => "undo",
    }
);

/// Something was granted to a device: approved scopes gain `scopes`, and so does the live token of the role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingApproved {
    /// The device.
    pub device: DeviceId,
    /// The role.
    pub role: Role,
    /// What it did not hold before.
    pub scopes: ScopeSet,
    /// Through which act.
    pub act: Act,
    /// The pending request that this settles, whose description the device has from now on.
    pub request: Option<RequestId>,
}

/// A request was turned down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingRejected {
    /// The request.
    pub request: RequestId,
    /// Its device.
    pub device: DeviceId,
}

/// A request ran out of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingExpired {
    /// The request.
    pub request: RequestId,
    /// Its device.
    pub device: DeviceId,
    /// When it did; the record may come later.
    pub due: Millis,
}

/// Scopes that were approved are held no more: neither by approval nor by the role's token. The role stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantWithdrawn {
    /// The device.
    pub device: DeviceId,
    /// The role.
    pub role: Role,
    /// The scopes.
    pub scopes: ScopeSet,
}

/// A device's pinned platform or family changed within what the policy lets pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceMetadataChanged {
    /// The device.
    pub device: DeviceId,
    /// The platform from now on.
    pub platform: Option<String>,
    /// The platform before.
    pub platform_before: Option<String>,
}

/// A device and all that it held was removed. It is never let in again without a new act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRemoved {
    /// The device.
    pub device: DeviceId,
}

/// An operator gave a device a name, by which people know it and nothing selects it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRenamed {
    /// The device.
    pub device: DeviceId,
    /// Its name from now on, at most [`crate::limits::LABEL_CHARS`] characters; empty where it has none any more.
    pub label: String,
    /// Its name before.
    pub label_before: Option<String>,
}

/// Who a paired device is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The device.
    pub device: DeviceId,
    /// Its key.
    pub key: PublicKey,
    /// The client it said it is.
    pub client: Client,
    /// What it said of itself; platform and family are pinned.
    pub description: Description,
    /// The name that an operator gave it.
    pub label: Option<String>,
    /// Where it asked from; unspecified (`::`) where that is not known.
    pub address: Address,
    /// When it was first approved.
    pub created_at: Millis,
    /// When it was last approved.
    pub approved_at: Millis,
}

/// A device that had been removed, or succeeded, is paired again. Its tokens stay dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRestored {
    /// Who it is.
    pub profile: Profile,
    /// What it holds: roles by number, each once.
    pub grants: Vec<RoleGrant>,
}

/// A device was taken over from what a real OpenClaw kept, by the owner and by nobody's approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceImported {
    /// SHA-256 of what it was read from.
    pub source: Digest,
    /// Who it is.
    pub profile: Profile,
    /// What it holds: roles by number, each once.
    pub grants: Vec<ImportedGrant>,
}

/// A role of an imported device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedGrant {
    /// The role.
    pub role: Role,
    /// What was approved.
    pub scopes: ScopeSet,
    /// Its token, where it had one.
    pub token: Option<ImportedToken>,
}

/// A token that was not made here: it can be recognised and not made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedToken {
    /// SHA-256 of its text.
    pub digest: Digest,
    /// What it carries, within what was approved.
    pub scopes: ScopeSet,
    /// When the role got its first token.
    pub created_at: Millis,
    /// When it was rotated, if ever.
    pub rotated_at: Option<Millis>,
}

/// The place of a device, its name and all that was approved for it and not revoked, was given to another key. The old one, its
/// tokens and its requests end here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSucceeded {
    /// The device that was.
    pub device: DeviceId,
    /// The device that has its place.
    pub by: DeviceId,
    /// The request in which that proved its key, settled by this.
    pub request: RequestId,
}

/// A role of a device got a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenIssued {
    /// The device.
    pub device: DeviceId,
    /// The role.
    pub role: Role,
    /// What the token carries.
    pub scopes: ScopeSet,
    /// What is known of it.
    pub issue: Issue,
}

/// A role's token was replaced; the old one is retired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRotated {
    /// The device.
    pub device: DeviceId,
    /// The role.
    pub role: Role,
    /// What the old one carried.
    pub scopes_before: ScopeSet,
    /// What the new one carries.
    pub scopes: ScopeSet,
    /// What is known of the new one.
    pub issue: Issue,
}

/// A role was revoked: nothing of it is held any more, its token is retired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRevoked {
    /// The device.
    pub device: DeviceId,
    /// The role.
    pub role: Role,
}

/// Tokens are derived with another key from here on. Those that were derived before stay good by their digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKeyReplaced {
    /// The key.
    pub key: KeyId,
    /// The key before, where one is known.
    pub before: Option<KeyId>,
}

/// A code was made that pairs one device without a request: whoever presents it first. It is on record by its digest only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupCodeCreated {
    /// Its id, by which people name it.
    pub code: SetupCodeId,
    /// SHA-256 of its text.
    pub digest: Digest,
    /// What it gives: roles by number, each once, and their scopes.
    pub grants: Vec<RoleGrant>,
    /// When it is good no longer.
    pub expires: Millis,
    /// What it is for, in its maker's words.
    pub label: Option<String>,
}

/// A role, and what is approved for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RoleGrant {
    /// The role.
    pub role: Role,
    /// All that it may carry.
    pub scopes: ScopeSet,
}

/// A setup code was spent; the approvals are records behind this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupCodeSpent {
    /// The code.
    pub code: SetupCodeId,
    /// The device that presented it.
    pub device: DeviceId,
}

/// A setup code was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupCodeRevoked {
    /// The code.
    pub code: SetupCodeId,
}
