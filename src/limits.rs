//! Every bound in one table, each with its reason. A number that answers "how large can it get" stands here and nowhere else.

use std::time::Duration;

// --- the wire -----------------------------------------------------------------------------------------------

/// The default port (OpenClaw 2026.3.13 and 2026.9.6).
pub const PORT_DEFAULT: u16 = 18789;
/// Bytes of one message before `connect` has succeeded, inclusive (OpenClaw 2026.3.13).
pub const PREAUTH_MESSAGE_BYTES: usize = 65_536;
/// Bytes of one message after `connect`; announced as `policy.maxPayload` (OpenClaw 2026.3.13).
pub const MESSAGE_BYTES: usize = 26_214_400;
/// Nesting of one message: what serde_json allows where it builds values, and far beyond any method's params.
pub const JSON_DEPTH: usize = 128;
/// Announced as `policy.maxBufferedBytes` (OpenClaw 2026.3.13): what a slow reader may have queued at most.
pub const BUFFERED_BYTES: usize = 52_428_800;
/// Messages a slow reader may have queued before its connection is closed; bounds the count where each is small.
pub const BUFFERED_MESSAGES: usize = 4_096;
/// Announced as `policy.tickIntervalMs`; clients give up after two silent intervals (OpenClaw 2026.3.13).
pub const TICK: Duration = Duration::from_secs(30);
/// Pings, one each [`TICK`], that nothing may come back for before a peer counts as gone: its network may be away for a minute.
pub const MISSED_PINGS: u32 = 3;
/// A socket that has not finished `connect` by then is closed with 1000 (OpenClaw 2026.3.13).
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(3);
/// How long the HTTP head may take to arrive.
pub const HTTP_HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of an HTTP head.
pub const HTTP_HEAD_BYTES: usize = 16 * 1024;
/// Read buffer of one socket: the library's 128 KiB costs 133 kB an idle connection, this costs 4.6 kB.
pub const READ_BUFFER_BYTES: usize = 2 * 1024;
/// A close reason: RFC 6455 allows 123 bytes.
pub const CLOSE_REASON_BYTES: usize = 123;
/// What OpenClaw 2026.3.13 cuts its close reasons at.
pub const CLOSE_REASON_UPSTREAM_BYTES: usize = 120;
/// How far a client's clock may be off, either way (OpenClaw 2026.3.13).
pub const SIGNED_AT_SKEW_MS: u64 = 120_000;
/// Scopes in one `device.scopes.requestUpgrade` (OpenClaw 2026.9.6).
pub const UPGRADE_SCOPES: usize = 8;
/// Calls of one connection that wait for a person at once: a client waits for one request, or for two that replace each other.
pub const WAITING_CALLS: usize = 4;
/// How long changes of presence are collected before they are told: a crowd that comes at once is told of once.
pub const PRESENCE_PAUSE: Duration = Duration::from_secs(1);
/// Entries of presence that one client is shown, the newest: each change tells all of them again.
pub const PRESENCE_ENTRIES: usize = 128;
/// Consecutive `unauthorized role` answers before a socket is closed (OpenClaw 2026.3.13).
pub const UNAUTHORIZED_CALLS: u32 = 10;
/// How long a closing peer may take to answer our close frame.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// What a peer that is being closed may still be sending: read and dropped, so that it hears why.
pub const DRAINED_BYTES: u64 = 1024 * 1024;
/// How long all connections together may take to end when the gateway stops.
pub const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);
/// How long a listener rests after it could not accept, for example without descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Descriptors that sockets of strangers leave free: for the owner channel, for the files of the journal and for copies.
pub const RESERVED_DESCRIPTORS: u64 = 16;
/// Sockets open at once.
pub const CONNECTIONS: usize = 12_000;

// --- budgets: what the policy may say, and what counts where it says nothing ---------------------------------------

/// A figure that the policy may set.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<T> {
    /// The least that it may be.
    pub least: T,
    /// What it is where the policy does not say.
    pub default: T,
    /// The most that it may be.
    pub most: T,
}

const fn bounds<T: Copy>(least: T, default: T, most: T) -> Bounds<T> {
    Bounds { least, default, most }
}

/// Attempts of one address written in full within the window: somebody who tries a few times is told of each.
pub const RECORD_PER_ADDRESS: Bounds<u32> = bounds(1, 60, 1_000_000);
/// Connections, which count twice for their ends, and commands of one paired device within the window: two connections a second are
/// more than the agents of a busy host make, and some fifty megabytes a day.
pub const RECORD_PER_DEVICE: Bounds<u32> = bounds(20, 2_400, 100_000_000);
/// Attempts of all addresses together within the window: some fifty megabytes on a day that is all storm.
pub const RECORD_TOTAL: Bounds<u32> = bounds(10, 1_200, 100_000_000);
/// That window, in milliseconds.
pub const RECORD_WINDOW_MS: Bounds<u64> = bounds(10_000, 600_000, 86_400_000);
/// Bytes that make an act count once more: a stranger's longest description, as 128 commands of 128 bytes are, counts as some.
pub const RECORD_UNIT_BYTES: usize = 2_048;
/// How often more that was suppressed is written down while it grows.
pub const SUPPRESSED_MS: u64 = 60_000;
/// How often it is looked which of them are due: together with [`SUPPRESSED_MS`] well within the shortest [`REQUEST_TTL_MS`], which
/// counts from the last attempt.
pub const SUPPRESSED_LOOK_MS: u64 = 1_000;
/// Different attempts whose repeats are counted one by one; those beyond are counted by address, and then together.
pub const SUPPRESSED: usize = 1_024;
/// Wrong credentials within the window after which nothing is compared (OpenClaw 2026.3.13 and 2026.9.6).
pub const FAILURE_PER_ADDRESS: Bounds<u32> = bounds(1, 10, 1_000);
/// Wrong credentials of all addresses together: a secret of 24 random bytes outlives them for ever, a password not for long.
pub const FAILURE_TOTAL: Bounds<u32> = bounds(10, 1_000, 1_000_000);
/// That window, in milliseconds, from the first of them.
pub const FAILURE_WINDOW_MS: Bounds<u64> = bounds(1_000, 60_000, 3_600_000);
/// Milliseconds for which nothing is compared then.
pub const FAILURE_REST_MS: u64 = 300_000;
/// Requests of one address that wait; devices ever paired have their slots beside them.
pub const PENDING_PER_ADDRESS: Bounds<u32> = bounds(1, 32, 4_096);
/// Requests of all addresses that wait.
pub const PENDING_TOTAL: Bounds<u32> = bounds(1, 1_024, 4_096);
/// Requests of one address that wait from which on a person is told how to reject them all.
pub const PENDING_CROWD: usize = 8;
/// Sockets of one address that have not said who they are (OpenClaw 2026.9.6).
pub const SOCKET_PER_ADDRESS: Bounds<u32> = bounds(1, 32, 12_000);
/// Sockets of all addresses that have not said who they are: fewer than [`CONNECTIONS`], so that those who have keep theirs.
pub const SOCKET_TOTAL: Bounds<u32> = bounds(1, 8_192, 12_000);
/// Milliseconds for which a pairing request waits, from the last attempt. At least two minutes, since repeats are written
/// down once a minute only.
pub const REQUEST_TTL_MS: Bounds<u64> = bounds(120_000, 300_000, 86_400_000);
/// Addresses counted one by one; those beyond are counted together, so that many addresses cost no memory.
pub const COUNTED: usize = 4_096;

// --- what a client may say ----------------------------------------------------------------------------------

/// Bytes kept of any free string a client sends.
pub const TEXT_BYTES: usize = 128;
/// Scopes in one ask.
pub const SCOPES: usize = 32;
/// Scopes in one set on record: what many approved asks come to. A set that could be made and not be read again would stop
/// the journal.
pub const SCOPES_HELD: usize = 1_024;
/// Bytes of one scope.
pub const SCOPE_BYTES: usize = 64;
/// Characters of the name that an operator gives a device (OpenClaw 2026.9.6).
pub const LABEL_CHARS: usize = 64;
/// Capabilities, and commands, in one ask.
pub const CAPABILITIES: usize = 128;

// --- pairing ------------------------------------------------------------------------------------------------

/// Resolved requests remembered of one device that was ever paired.
pub const RESOLVED_PER_DEVICE: usize = 16;
/// Resolved requests remembered of all other devices together.
pub const RESOLVED_OTHERS: usize = 4_096;
/// Retired tokens remembered per device and role, so that their bearer gets a true answer.
pub const RETIRED_TOKENS: usize = 4;
/// Characters of a device token that was made elsewhere: 192 bits of base64url, 128 of hexadecimal.
pub const FOREIGN_TOKEN_CHARS: usize = 32;
/// Different ones among them: of 32 random hexadecimal ones fewer are a chance in ten million.
pub const FOREIGN_TOKEN_DIFFERENT: usize = 8;
/// Acts of the owner that nobody said to have seen: of the last so many more is known than their number.
pub const UNSEEN_ACTS: usize = 32;
/// Of these as many as a status shows.
pub const UNSEEN_ACTS_SHOWN: usize = 3;
/// Processes, from the one that asks upwards, that are looked at for a shell of OpenClaw's agent: nobody at a terminal is as deep.
pub const ANCESTORS: usize = 256;
/// Bytes of a process's environment that are looked through: more than Linux lets one have.
pub const ENVIRONMENT_BYTES: u64 = 8 * 1024 * 1024;
/// Setup codes that are known at once, spent ones included until their time is over.
pub const SETUP_CODES: usize = 64;
/// Milliseconds for which a setup code is good: at least, where nothing is said, and at most (OpenClaw 2026.9.6: ten minutes).
pub const SETUP_CODE_MS: (u64, u64, u64) = (60_000, 600_000, 86_400_000);
/// Random bytes of a setup code's token: 22 characters, as many as a join code of OpenClaw 2026.9.6 has.
pub const SETUP_CODE_BYTES: usize = 16;
/// Milliseconds for which the code is good that opens the Control UI: a browser on this host needs seconds.
pub const OWNER_CODE_MS: u64 = 120_000;
/// How often is looked whether that code was spent.
pub const OWNER_CODE_INTERVAL: Duration = Duration::from_millis(250);
/// Bytes of a policy that may still be applied on a full disk, where it is stricter.
pub const RESERVE_POLICY_BYTES: usize = 8 * 1024;
/// Bytes of a policy document.
pub const POLICY_BYTES: usize = 64 * 1024;
/// Bytes of what is said to be wrong with one: the reason is recorded, and it quotes what somebody wrote.
pub const POLICY_FLAW_BYTES: usize = 512;
/// Items of one list in it: more than any of them is of use for, and few enough to be compared with each other.
pub const POLICY_ITEMS: usize = 1_024;
/// Bits of a network of trusted nodes, at least, of IPv4 and of IPv6. No network that one person runs is wider: `10.0.0.0/8` is the
/// widest private one, and a /32 is what a provider is given for all its customers. What is wider takes in strangers.
pub const TRUSTED_NETWORK_BITS: (u32, u32) = (8, 32);
/// Bytes of one line on the owner channel: a policy with every second byte escaped, and its frame.
pub const OWNER_LINE_BYTES: usize = 256 * 1024;
/// Nesting of a JSON5 document; the parser has no bound of its own and would overflow the stack.
pub const JSON5_DEPTH: usize = 32;
/// Bytes of `openclaw.json` and `pairing/settings.json5`.
pub const SETTINGS_BYTES: u64 = 1024 * 1024;
/// First retry hint of a refused device, and the longest; it doubles with each attempt of the same request.
pub const RETRY_AFTER_MS: (u64, u64) = (1_000, 60_000);

/// Records that `device.pair.why` looks back over for those of one device: some tens of megabytes, read in less than a second.
pub const WHY_RECORDS: u64 = 65_536;

/// Bytes of a journal that `doctor` reads whole: a second or two; of a longer one it reads the end.
pub const DOCTOR_BYTES: u64 = 512 * 1024 * 1024;
/// Bytes that a disk should have left: four segments, which is a day that is all storm.
pub const DISK_LEFT_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of a lock file of OpenClaw's that are looked at.
pub const FOREIGN_LOCK_BYTES: u64 = 64 * 1024;
/// Devices that one finding of `doctor` names; the command behind it names all.
pub const TOLD_AT_ONCE: usize = 8;
/// Milliseconds within which a device that was never let in may be one that an upheaval hit: whoever comes later is new.
pub const UPHEAVAL_MS: u64 = 3_600_000;

/// Records that one `audit.events` looks through: a tenth of a second, so that whoever asks sees how far it is.
pub const AUDIT_RECORDS: usize = 262_144;
/// Differences that a policy tried over a running gateway remembers, and devices that it tells apart: some megabytes, however long
/// history is.
pub const SIMULATED: usize = 4_096;
/// Of these differences as many as one answer tells, the newest.
pub const SIMULATED_TOLD: usize = 200;
/// Acts, from the one that gave a scope upwards, that a warrant tells: devices that approve one another go on for ever, and a message
/// nests at most [`JSON_DEPTH`] deep.
pub const WARRANTS: usize = 32;

// --- what a real OpenClaw kept ------------------------------------------------------------------------------

/// Devices taken over from one place: more than any of them has, and a batch each some hundred.
pub const IMPORTED_DEVICES: usize = 65_536;
/// Of these as many as one command takes over: each is a record of some hundred bytes, or of tens of thousands.
pub const IMPORTED_AT_ONCE: usize = 256;
/// And so many bytes of their text, with room on the owner channel's line for what stands around them.
pub const IMPORTED_BYTES: usize = OWNER_LINE_BYTES / 2;
/// Bytes of its database, which holds more than devices, and of the log beside it.
pub const DATABASE_BYTES: u64 = 1024 * 1024 * 1024;
/// Bytes of one row of it: what SQLite itself would give a gigabyte.
pub const DATABASE_ROW_BYTES: i32 = 1024 * 1024;
/// Bytes of it copied at once.
pub const DATABASE_STEP_BYTES: usize = 64 * 1024;
/// How often it is copied until nobody wrote it meanwhile.
pub const DATABASE_TRIES: usize = 3;

// --- the authority ------------------------------------------------------------------------------------------

/// Commands waiting for the writer; when full, callers wait.
pub const COMMAND_QUEUE: usize = 1_024;
/// Commands decided and synced as one batch.
pub const BATCH_COMMANDS: usize = 256;
/// Requests ended by one sweep; the next one takes the rest.
pub const EXPIRED_AT_ONCE: usize = 256;
/// Devices removed, or roles revoked, by one act; the next one takes the rest.
pub const REMOVED_AT_ONCE: usize = 256;
/// How often requests past their time are looked for.
pub const EXPIRY_SWEEP: Duration = Duration::from_secs(1);
/// How often the files beside the journal are looked for.
pub const CONDITION_INTERVAL: Duration = Duration::from_secs(2);
/// How far the wall clock may be behind the last record before that is worth a record: NTP steps by less.
pub const CLOCK_BEHIND_MS: u64 = 1_000;
/// Bytes of a copy that is looked at for what somebody else wrote: that of 100,000 devices.
pub const COPY_BYTES: u64 = 128 * 1024 * 1024;
/// How often `devices/paired.json` may be rewritten.
pub const COPY_INTERVAL: Duration = Duration::from_secs(5);

// --- the journal (journal-format.md, Limits) ----------------------------------------------------------------

/// Bytes of one record's payload.
pub const RECORD_BYTES: usize = 1024 * 1024;
/// Bytes of one batch, all its frames included.
pub const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Records of one batch.
pub const BATCH_RECORDS: u32 = 4_096;
/// Bytes of a segment from which on it is sealed; the batch that takes it there still belongs to it.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of zeros written and synced ahead of the records at once: an append into them changes no length, so its sync writes
/// less.
pub const SEGMENT_STEP_BYTES: u64 = 1024 * 1024;
/// Bytes of these zeros that only what takes power away may use, so that a full disk does not prevent it: some hundred revocations.
pub const SEGMENT_RESERVE_BYTES: u64 = 64 * 1024;
/// Checkpoints kept: the last, and the one before it, should the last be damaged.
pub const CHECKPOINTS: usize = 2;
/// Records after which an orderly end saves a checkpoint: reading fewer again takes no time.
pub const CHECKPOINT_RECORDS: u64 = 4_096;
/// Milliseconds of a day, in which retention counts.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Records read at once where all of them are folded.
pub const READ_RECORDS: usize = 4_096;
/// Bytes of a saved registry: 100,000 devices with all that is remembered of each are a tenth of it, and it must fit into
/// memory beside the registry that is made of it.
pub const CHECKPOINT_BYTES: usize = 1024 * 1024 * 1024;

/// After how long a command shows how far it is.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of a file with a signed head: some hundred, and as many signatures of others as somebody may have added.
pub const HEAD_BYTES: u64 = 64 * 1024;

// --- logs (OpenClaw 2026.3.13, logs.tail) -------------------------------------------------------------------

/// Lines of one `logs.tail` answer: the default and the most.
pub const LOG_LINES: (usize, usize) = (500, 5_000);
/// Bytes of one `logs.tail` answer: the default and the most.
pub const LOG_BYTES: (usize, usize) = (250_000, 1_000_000);
