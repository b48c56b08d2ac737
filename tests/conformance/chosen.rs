//! The one table of differences: where we answer otherwise than the real gateway, on purpose. A row names the place and both
//! shapes. What no row explains is open, and a row that explains nothing is an error.

use super::compare::Difference;

/// Why a difference may stand: the rule of the design.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Chosen(pub(crate) &'static str);

/// Differences that may stand. In a pattern `*` stands for anything; alternatives are divided by `|` but in what was said.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) why: Chosen,
    pub(crate) recordings: &'static str,
    /// Connection and what was said.
    pub(crate) at: &'static str,
    pub(crate) path: &'static str,
    pub(crate) theirs: &'static str,
    pub(crate) ours: &'static str,
}

impl Row {
    pub(crate) fn explains(&self, recording: &str, difference: &Difference) -> bool {
        let one_of = |patterns: &str, text: &str| patterns.split('|').any(|pattern| fits(pattern, text));
        one_of(self.recordings, recording)
            && one_of(self.at, &difference.at)
            && one_of(self.path, &difference.path)
            && fits(self.theirs, &difference.theirs)
            && fits(self.ours, &difference.ours)
    }
}

/// Whether a text fits a pattern.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, "")) => text.starts_with(head),
        Some((head, rest)) => text
            .strip_prefix(head)
            .is_some_and(|text| text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(rest, &text[at..]))),
    }
}

/// A recording in which the two go different ways from some place on: what differs from there is pinned by a snapshot.
#[derive(Debug)]
pub(crate) struct Parting {
    pub(crate) why: Chosen,
    pub(crate) recording: &'static str,
    /// The first difference that no row explains.
    pub(crate) at: &'static str,
}

const fn row(why: Chosen, [recordings, at, path, theirs, ours]: [&'static str; 5]) -> Row {
    Row { why, recordings, at, path, theirs, ours }
}

const fn part(why: Chosen, recording: &'static str, at: &'static str) -> Parting {
    Parting { why, recording, at }
}

const ANSWERS: Chosen =
    Chosen("9: a refusal names what is missing, the request and the command, in one sentence for both protocols");
const LISTED: Chosen = Chosen("9: the lists and the pushes carry the sentence and what it is made of");
const BOTH: Chosen =
    Chosen("15: protocols 3 and 4 are both spoken, by operators too, and a connect is answered by what its range covers");
const TRUE_ANSWERS: Chosen =
    Chosen("settled, who may see a request: approved, rejected, superseded, expired, removed and unknown are six answers");
const AGAIN: Chosen = Chosen("settled: approving again is no error, and says who did it and when");
const OWN_TOKEN: Chosen = Chosen("settled, a revoked role: a token's value is shown to its own device only");
const ENDS: Chosen =
    Chosen("settled, a revoked role: revoke, rotate and remove close live connections; close codes say which it was");
const LOCAL: Chosen = Chosen(
    "settled, local: direct loopback with a loopback Host, no forwarding header and no Origin; all else is remote, and 403 for nobody",
);
const BROWSERS: Chosen = Chosen("settled, first local pairing: every browser asks a person");
const BUDGET: Chosen =
    Chosen("settled, budgets: 10 failures in 60 s, then nothing is compared for 300 s, and both protocols say when to come back");
const NODE_TOKENS: Chosen = Chosen("6: who is paired has a token, also a node without scopes");
const PROBES: Chosen = Chosen("settled, probes: a probe never makes a pairing, a request or a token, and gets no scopes");
const NO_PAGE: Chosen = Chosen("16: HTTP is closed but for what is configured");
const NO_BUILD: Chosen =
    Chosen("16: our own control page has no build that a foreign one could be older than; settled, every browser asks a person");
const NO_KEY: Chosen = Chosen("2: what is no key never reaches the core, so no id can be right for it");
const SEEN: Chosen = Chosen("settled, what a connection may read about other devices: no more than it may act on");
const REMOVED: Chosen = Chosen("settled, first local pairing: once a device; one that was removed asks a person");
const UPGRADES: Chosen = Chosen("12: a first local pairing is approved by rule, a scope-upgrade never is");
const METADATA: Chosen =
    Chosen("settled, a metadata change: an absent field is not a claim, and within one platform family nothing is asked");
const REVOKED: Chosen = Chosen("settled, a revoked role: gone until a new approval, also for who knows the shared secret");
const PER_ROLE: Chosen = Chosen("10: one request a device and role; no role's token carries scopes of another's");
const NARROW: Chosen =
    Chosen("settled, a retired or narrow token: with a good signature it makes a request; 11: an approval widens it in place");
const ROTATES: Chosen =
    Chosen("11: a rotate beyond the approved baseline is an approval, for who may approve; it never makes a role");
const ACTS: Chosen = Chosen(
    "settled, who may answer what: another device, or another role, is an admin's; what one may not act on one does not hear of",
);
const IN_THE_WAY: Chosen = Chosen("settled, first local pairing: a request of its own does not stand in the way");
const IMMUTABLE: Chosen = Chosen("10: a request is immutable, one a device and role; a wider ask supersedes it");
const STARTING: Chosen = Chosen("16: there is nothing beside us to wait for, so we answer as soon as we listen");
const WIDENS: Chosen = Chosen("11: an approval widens the token in place");
const CLIENTLESS: Chosen =
    Chosen("settled, scopes without a device: the rules local-cli and local-backend give them, or nothing does");
const ACTORS: Chosen = Chosen("7: who approved what, and by which right, is asked of audit and why");
const LOGS: Chosen = Chosen("1: the log is a view of the journal, so it is another text of another length");
const ONE_SENTENCE: Chosen = Chosen("9: one sentence for both protocols");
const FAMILY: Chosen =
    Chosen("settled, a metadata change: only what a client said is a claim; 2026.9.6 gives node hosts a family of its own");
const GRANTED: Chosen = Chosen("10: what the operator saw is what gets granted, and no scope that another one implies");
const EXPIRES: Chosen = Chosen("11: nothing is dropped silently; a request that expires is told as resolved");
const QUEUED: Chosen = Chosen("9: what is sent behind connect is answered behind it, in both protocols; 2026.3.13 raced it");
const ONE_REQUEST: Chosen = Chosen(
    "10, 11: one request a device and role, told by both names, and what a node offers is a part of it, not a second step",
);
const BY_CONNECTING: Chosen =
    Chosen("10: a node pairs by connecting, with its key; there is no second table of nodes by free ids and tokens of their own");
const OWN: Chosen = Chosen("16: agents, sessions, cron and chat stay OpenClaw's, and so do their methods, pushes and fields");
const OWNER: Chosen = Chosen("8: what the owner does is told to whoever may do everything, and stays in status until seen");
const QUIET: Chosen = Chosen("17: no push of health that costs, at each connect, by the number of those who listen; it is asked");

pub(crate) const ROWS: &[Row] = &[
    // What is ours.
    row(OWNER, ["3.13/*|9.6/*", "* owner.acted", "", "-", "{*"]),
    // What is OpenClaw's own.
    row(OWN, ["9.6/*", "* connect.challenge", "/payload/capabilities", r#"["model-catalog-snapshot"]"#, "-"]),
    row(
        OWN,
        [
            "9.6/*",
            "* connect",
            "/payload/server/buildId|/payload/server/bootId|/payload/server/controlUiBuildSource",
            r#""<any>""#,
            "-",
        ],
    ),
    row(
        OWN,
        [
            "9.6/*",
            "* connect",
            "/payload/snapshot/suspension|/payload/snapshot/appliedConfigHash|/payload/snapshot/updateSchedule",
            r#""<any>""#,
            "-",
        ],
    ),
    row(
        OWN,
        [
            "9.6/*",
            "* connect",
            "/payload/policy/attachments|/payload/policy/allowedSessionVisibilities|/payload/policy/hasMultipleSessionSharingIdentities",
            "*",
            "-",
        ],
    ),
    row(OWN, ["9.6/*", "* connect", "/payload/pluginSurfaceUrls|/payload/controlUi*|/payload/auth/recovery*", "*", "-"]),
    row(OWN, ["3.13/*", "* connect", "/payload/canvasHostUrl", r#""<any>""#, "-"]),
    row(
        OWN,
        [
            "*",
            "* voicewake.changed|* voicewake.routing.changed|* cron|* task|* heartbeat|* sessions.changed",
            "",
            r#""<any>""#,
            "-",
        ],
    ),
    row(OWN, ["9.6/*", "* device.pair.*", "/recipientProfileId", r#""gateway-owner""#, "-"]),
    row(QUIET, ["*", "* health", "", r#""<any>""#, "-"]),
    // Refusals.
    row(ANSWERS, ["*", "* connect", "/error/message", r#""pairing required*"#, r#""pairing required: *"#]),
    row(ANSWERS, ["*", "* close", "/reason", r#""pairing required*"#, r#""pairing required: *"#]),
    row(
        ANSWERS,
        [
            "3.13/*",
            "* connect",
            "/error/details/deviceId|/error/details/requestedRole|/error/details/requestedScopes|/error/details/approvedRoles",
            "-",
            "*",
        ],
    ),
    row(ANSWERS, ["*", "* connect", "/error/details/approvedScopes|/error/details/missingScopes", "-", "[*]"]),
    row(ANSWERS, ["3.13/*", "* connect", "/error/details/remediationHint", "-", r#""openclaw devices approve <uuid*>""#]),
    row(ANSWERS, ["9.6/*", "* connect", "/error/details/remediationHint", "*", r#""openclaw devices approve <uuid*>""#]),
    row(ANSWERS, ["*", "* connect", "/error/retryAfterMs", "-", "*"]),
    row(ANSWERS, ["*", "* connect", "/error/details/clocks", "-", r#""the client signed at <time> *"#]),
    row(
        LISTED,
        [
            "*",
            "* device.pair.requested",
            "/payload/attempts|/payload/expiresAtMs|/payload/approvedScopes|/payload/missingScopes|/payload/reason|/payload/message|/payload/platformChange|/payload/supersedes",
            "-",
            "*",
        ],
    ),
    row(
        LISTED,
        [
            "*",
            "* device.pair.list",
            "/payload/pending/*/attempts|/payload/pending/*/expiresAtMs|/payload/pending/*/approvedScopes|/payload/pending/*/missingScopes|/payload/pending/*/reason|/payload/pending/*/message|/payload/pending/*/platformChange|/payload/pending/*/supersedes",
            "-",
            "*",
        ],
    ),
    row(
        LISTED,
        [
            "3.13/*",
            "* device.pair.*",
            "/payload/paired/*/lastSeenAtMs|/payload/paired/*/connected|/payload/device/lastSeenAtMs|/payload/device/connected",
            "-",
            "*",
        ],
    ),
    row(
        LISTED,
        ["9.6/*", "* device.pair.*", "/payload/paired/*/lastSeenReason|/payload/device/lastSeenReason", r#""connect""#, "-"],
    ),
    row(ANSWERS, ["9.6/*", "* connect", "/error/details/requestedScopes", "-", "[]"]),
    row(ANSWERS, ["9.6/role-upgrade", "* connect", "/error/details/approvedScopes", r#"["operator.read"]"#, "[]"]),
    row(
        ONE_SENTENCE,
        [
            "9.6/bootstrap-bad",
            "c1 connect|c1 close",
            "/error/message|/reason",
            r#""unauthorized: setup code invalid,*"#,
            r#""unauthorized: bootstrap token invalid *"#,
        ],
    ),
    row(ACTORS, ["9.6/*", "* device.pair.*", "/payload/paired/*/approvedVia|/payload/device/approvedVia", "*", "-"]),
    row(
        FAMILY,
        [
            "9.6/node-first-pair|9.6/role-upgrade",
            "* device.pair.*",
            "/payload/deviceFamily|/payload/*/deviceFamily",
            r#""Linux""#,
            "-",
        ],
    ),
    row(LOGS, ["*/cli-logs*|*/logs-tail", "* logs.tail", "/payload/truncated|/payload/reset|/payload/skippedBytes", "*", "*"]),
    row(
        GRANTED,
        [
            "9.6/scope-implication|9.6/scopes-matrix",
            "* device.pair.*",
            "/payload/device/tokens/0/scopes|/payload/paired/*/tokens/0/scopes",
            "[*]",
            "[*]",
        ],
    ),
    row(
        EXPIRES,
        [
            "*/x-pending-ttl",
            "admin device.pair.resolved",
            "",
            "-",
            r#"{"requestId":"<uuid 1>","deviceId":"<device 2>","decision":"rejected",*"#,
        ],
    ),
    row(QUEUED, ["3.13/two-frames-at-once", "c1 *", "", "*", "*"]),
    // Methods.
    row(
        ONE_REQUEST,
        [
            "*",
            "* device.pair.requested|* device.pair.list",
            "/payload/caps|/payload/commands|/payload/withheldCommands|/payload/pending/*/caps|/payload/pending/*/commands|/payload/pending/*/withheldCommands",
            "-",
            "[*]",
        ],
    ),
    row(ONE_REQUEST, ["*/node-first-pair|*/pair-events", "* node.pair.re*", "", "-", r#"{"requestId":*"#]),
    row(ONE_REQUEST, ["9.6/*", "* node.pair.requested", "", r#"{"requestId":*"clientId":*"#, "-"]),
    row(ONE_REQUEST, ["*/node-first-pair", "* node.pair.list", "/payload/pending|/payload/paired", "[*]", "[*]"]),
    row(BY_CONNECTING, ["3.13/node-pair-rpc", "admin node.pair.re*", "", "{*", "-"]),
    row(BY_CONNECTING, ["3.13/node-pair-rpc", "admin node.pair.list", "/payload/pending|/payload/paired", "[{*", "[]"]),
    row(
        BY_CONNECTING,
        [
            "3.13/node-pair-rpc",
            "admin node.pair.approve|admin node.pair.reject|admin node.rename",
            "",
            "{*",
            r#"{"code":"INVALID_REQUEST","message":"unknown *Id"}"#,
        ],
    ),
    row(
        BY_CONNECTING,
        [
            "*",
            "* node.pair.request|* node.pair.verify",
            "",
            "{*",
            r#"{"code":"UNAVAILABLE","message":"node.pair.* is not served: a node pairs by connecting, *"#,
        ],
    ),
    row(
        BY_CONNECTING,
        [
            "*",
            "* node.pair.request|* node.pair.verify",
            "/error/message",
            "*",
            r#""node.pair.* is not served: a node pairs by connecting, *"#,
        ],
    ),
    row(
        BY_CONNECTING,
        [
            "9.6/scopes-matrix",
            "* node.pair.request|* node.pair.verify",
            "/error/message|/error/details/missingScope|/error/details/requiredScopes/0",
            "*operator.admin*",
            "*operator.pairing*",
        ],
    ),
    row(
        BY_CONNECTING,
        [
            "9.6/scopes-matrix",
            "c4 node.pair.request|c4 node.pair.verify",
            "/error/code|/error/details/missingScope|/error/details/requiredScopes|/error/details/method",
            "*",
            "*",
        ],
    ),
    row(BOTH, ["3.13/*", "* node.pair.remove", "/error/message", "*", r#""unknown nodeId""#]),
    row(
        BOTH,
        [
            "3.13/scopes-matrix",
            "* node.pair.remove",
            "/error/message",
            r#"*operator.admin""#,
            r#""missing scope: operator.pairing""#,
        ],
    ),
    row(OWN, ["3.13/node-first-pair", "c2 node.event", "", r#"{"ok":true}"#, r#"*"unknown method: node.event"}"#]),
    row(OWN, ["9.6/node-first-pair", "c2 node.event", "/error/code", r#""UNAVAILABLE""#, r#""INVALID_REQUEST""#]),
    row(OWN, ["9.6/node-first-pair", "c2 node.event", "/error/message", "*", r#""unknown method: node.event""#]),
    row(OWN, ["9.6/node-first-pair", "c2 node.event", "/error/retryable|/error/details", "*", "-"]),
    row(OWN, ["*", "*", "", "*", r#"{"code":"UNAVAILABLE","message":"* belongs to OpenClaw itself; *"#]),
    row(OWN, ["*", "*", "/error/message", "*", r#""* belongs to OpenClaw itself; *"#]),
    row(OWN, ["*", "*", "/error/details", "-", r#"{"code":"METHOD_NOT_SERVED",*"#]),
    row(OWN, ["*", "*", "/error/details/code", "*", r#""METHOD_NOT_SERVED""#]),
    row(OWN, ["*", "*", "/error/code", r#""INVALID_REQUEST""#, r#""UNAVAILABLE""#]),
    // Protocols.
    row(BOTH, ["*/protocol-*", "* connect", "/error/details/*", "*", "*"]),
    // Requests and tokens.
    row(
        AGAIN,
        [
            "*",
            "* device.pair.approve",
            "",
            r#"{"code":"INVALID_REQUEST","message":"unknown requestId"}"#,
            r#"{"requestId":*"note":"already approved at <time> by *"#,
        ],
    ),
    row(
        TRUE_ANSWERS,
        ["*", "* device.pair.approve|* device.pair.reject", "/error/message", r#""unknown requestId""#, r#""request <uuid 1> *"#],
    ),
    row(TRUE_ANSWERS, ["9.6/*", "* device.pair.*", "/error/message", r#""device pairing * denied""#, r#""unknown *Id""#]),
    row(TRUE_ANSWERS, ["9.6/*", "* device.token.*", "/error/message", r#""device token * denied""#, r#""unknown deviceId*""#]),
    row(TRUE_ANSWERS, ["3.13/*", "* device.token.*", "/error/message", r#""unknown deviceId/role""#, r#""unknown deviceId*""#]),
    row(OWN_TOKEN, ["3.13/*", "* device.token.rotate", "/payload/token", "*", "-"]),
    row(OWN_TOKEN, ["3.13/*", "* device.token.rotate", "/payload/tokenDelivery", "-", r#""withheld-cross-device""#]),
    row(ENDS, ["3.13/*", "*", "", "*", r#"{"close":{"code":4001,*"#]),
    row(ENDS, ["3.13/*", "* close", "", "-", r#"{"code":4001,*"#]),
    row(ENDS, ["9.6/*", "* close", "/reason", r#""device removed""#, r#""token r*""#]),
    row(ENDS, ["3.13/mode-*/x-shutdown", "unauthenticated close", "/code", "1000", "1012"]),
    row(ENDS, ["3.13/mode-*/x-shutdown", "unauthenticated close", "/reason", r#""""#, r#""service restart""#]),
    row(
        NODE_TOKENS,
        [
            "3.13/*",
            "* connect",
            "/payload/auth",
            "-",
            r#"{"deviceToken":"<token*>","role":"*","scopes":[],"issuedAtMs":"<time>"}"#,
        ],
    ),
    row(NODE_TOKENS, ["3.13/*", "* device.pair.*", "/payload/device/scopes|/payload/paired/*/scopes", "-", "[]"]),
    row(WIDENS, ["*", "* device.pair.approve", "/payload/device/tokens/*/rotatedAtMs", r#""<time>""#, "-"]),
    // Who is local.
    row(
        LOCAL,
        [
            "9.6/*locality-headers|9.6/x-proxied|9.6/no-trusted-proxies/*",
            "* http upgrade",
            "",
            r#"{"status":403,*"#,
            r#""upgraded""#,
        ],
    ),
    row(LOCAL, ["*/locality-headers", "* connect", "", r#"{"hello-ok":*"#, r#"{"code":"NOT_PAIRED",*"reason":"not-paired",*"#]),
    row(LOCAL, ["3.13/trusted-proxy/x-proxied", "c1 connect", "", r#"{"code":"NOT_PAIRED",*"#, r#"{"hello-ok":*"#]),
    row(
        BROWSERS,
        [
            "*/local-by-client",
            "c23 connect|c26 connect",
            "",
            r#"{"hello-ok":*"#,
            r#"{"code":"NOT_PAIRED",*"reason":"not-paired",*"#,
        ],
    ),
    row(
        PROBES,
        [
            "*/local-by-client",
            "c16 connect",
            "/payload/auth|/payload/auth/deviceToken|/payload/auth/issuedAtMs|/payload/auth/scopes",
            "*",
            "*",
        ],
    ),
    row(PROBES, ["*/local-by-client", "c17 connect", "", r#"{"code":"NOT_PAIRED",*"#, r#"{"hello-ok":*"#]),
    row(
        BOTH,
        [
            "3.13/local-by-client",
            "c7 connect|c8 connect|c8 close|c9 connect|c9 close",
            "*",
            "*at /client/id: must be equal to constant*",
            "*",
        ],
    ),
    row(CLIENTLESS, ["3.13/missing-device", "c1 *|c2 *", "", r#"{"code":"INVALID_REQUEST","message":"missing scope: *"#, "*"]),
    row(
        CLIENTLESS,
        [
            "9.6/mode-none/x-auth-modes",
            "c12 connect",
            "",
            r#"{"hello-ok":{"method":"none","role":"operator","scopes":["operator.admin",*"#,
            r#"{"code":"NOT_PAIRED","message":"device identity required",*"#,
        ],
    ),
    row(
        LOCAL,
        ["9.6/no-trusted-proxies/missing-device", "c9 connect|c10 connect", "/payload/snapshot/*|/payload/auth/scopes", "*", "*"],
    ),
    row(
        LOCAL,
        ["9.6/no-trusted-proxies/missing-device", "c9 *|c10 *", "", "*", r#"{"code":"FORBIDDEN","message":"missing scope: *"#],
    ),
    row(LOCAL, ["9.6/no-trusted-proxies/backend-with-device", "c2 connect", "", r#"{"hello-ok":*"#, r#"{"code":"NOT_PAIRED",*"#]),
    row(BROWSERS, ["9.6/*local-by-client", "c8 connect", "", r#"{"hello-ok":*"#, r#"{"code":"NOT_PAIRED",*"#]),
    row(NO_BUILD, ["9.6/*local-by-client", "c26 connect|c26 close", "*", "*", "*"]),
    row(
        BOTH,
        [
            "9.6/protocol-3|9.6/protocol-too-old",
            "c1 connect",
            "",
            r#"{"code":"INVALID_REQUEST","message":"protocol mismatch",*"#,
            r#"{"hello-ok":*"#,
        ],
    ),
    row(
        BOTH,
        [
            "3.13/protocol-4|3.13/protocol-too-new",
            "c1 connect",
            "",
            r#"{"code":"INVALID_REQUEST","message":"protocol mismatch",*"#,
            r#"{"hello-ok":*"#,
        ],
    ),
    row(BOTH, ["3.13/protocol-range-ok", "c1 connect", "/payload/protocol", "3", "4"]),
    row(BOTH, ["3.13/protocol-range-ok", "c1 connect", "/payload/auth/method", "-", r#""token""#]),
    row(
        BOTH,
        [
            "3.13/protocol-range-ok",
            "c1 connect",
            "/payload/snapshot/configPath|/payload/snapshot/stateDir|/payload/snapshot/authMode",
            "*",
            "-",
        ],
    ),
    row(
        BOTH,
        [
            "3.13/scopes-matrix",
            "* device.pair.rename",
            "/error/message",
            r#""missing scope: operator.admin""#,
            r#""missing scope: operator.pairing""#,
        ],
    ),
    row(BOTH, ["3.13/scopes-matrix", "* device.pair.rename", "/error/message", "*", r#""unknown deviceId""#]),
    row(BOTH, ["3.13/live-scope-upgrade", "* device.*", "*", "*", "*"]),
    row(BOTH, ["3.13/local-by-client", "c8 connect|c9 connect", "/error/code|/error/details", "*", "*"]),
    row(NO_KEY, ["*/same-id-different-key", "c8 connect|c8 close", "*", r#""device*signature*""#, r#""device*id*""#]),
    row(
        NO_KEY,
        [
            "*/same-id-different-key",
            "c8 connect",
            "/error/details/code",
            r#""DEVICE_AUTH_SIGNATURE_INVALID""#,
            r#""DEVICE_AUTH_DEVICE_ID_MISMATCH""#,
        ],
    ),
    row(OWN, ["9.6/http", "http http GET /ready*", "/body/eventLoop", "*", "-"]),
    row(SEEN, ["*/scopes-matrix", "c4 device.pair.list", "/payload/paired", "[{*", "[{*"]),
    row(SEEN, ["*/pair-events", "pairing-only device.pair.*", "", "{*", "-"]),
    row(
        WIDENS,
        ["9.6/live-scope-upgrade", "c2 device.scopes.waitUpgrade", "/payload/deviceToken", r#""<token 2>""#, r#""<token 1>""#],
    ),
    row(
        REMOVED,
        ["3.13/cli-clear", "c5 connect|c6 connect", "", r#"{"hello-ok":*"#, r#"{"code":"NOT_PAIRED",*"reason":"not-paired",*"#],
    ),
    // Budgets.
    row(BUDGET, ["3.13/x-rate-limit", "* connect", "/error/retryable", "-", "true"]),
    row(
        BUDGET,
        [
            "3.13/x-rate-limit",
            "c13 connect",
            "",
            r#"{"hello-ok":*"#,
            r#"{"code":"INVALID_REQUEST","message":"unauthorized: too many *"#,
        ],
    ),
    row(
        BUDGET,
        [
            "3.13/x-rate-limit",
            "* connect|* close",
            "/error/message|/reason",
            r#""unauthorized: gateway token mismatch *"#,
            r#""unauthorized: too many *"#,
        ],
    ),
    row(BUDGET, ["3.13/x-rate-limit", "* connect", "/error/details/code", r#""AUTH_TOKEN_MISMATCH""#, r#""AUTH_RATE_LIMITED""#]),
    row(BUDGET, ["3.13/x-rate-limit", "* connect", "/error/details/authReason", r#""token_mismatch""#, r#""rate_limited""#]),
    row(
        BUDGET,
        [
            "3.13/x-rate-limit",
            "* connect",
            "/error/details/recommendedNextStep",
            r#""update_auth_credentials""#,
            r#""wait_then_retry""#,
        ],
    ),
    // Pages.
    row(NO_PAGE, ["*/http", "http http GET *", "/status", "*", "404"]),
    row(NO_PAGE, ["*/http", "http http GET *", "/headers/content-type|/headers/cache-control|/headers/allow|/body", "*", "*"]),
    row(
        STARTING,
        [
            "9.6/mode-*/x-startup",
            "* connect",
            "",
            r#"{"code":"UNAVAILABLE","message":"gateway starting; retry shortly",*"#,
            r#"{"hello-ok":*"#,
        ],
    ),
];

pub(crate) const PARTINGS: &[Parting] = &[
    part(UPGRADES, "3.13/local-cli-auto-read-then-admin", "c2 connect"),
    part(UPGRADES, "9.6/local-cli-auto-read-then-admin", "c2 connect"),
    part(METADATA, "3.13/metadata-upgrade", "c6 connect"),
    part(METADATA, "9.6/metadata-upgrade", "c6 connect"),
    part(REVOKED, "3.13/revoke-local", "c2 connect"),
    part(REVOKED, "9.6/revoke-local", "admin device.pair.resolved"),
    part(REVOKED, "3.13/revoke-reconnect", "admin device.pair.list"),
    part(REVOKED, "9.6/revoke-reconnect", "admin device.pair.list"),
    part(PER_ROLE, "3.13/role-upgrade", "admin device.pair.approve"),
    part(PER_ROLE, "9.6/role-upgrade", "admin device.pair.approve"),
    part(NARROW, "3.13/scope-upgrade-remote", "c4 connect"),
    part(NARROW, "9.6/scope-upgrade-remote", "c4 connect"),
    part(ROTATES, "3.13/scope-upgrade-via-rotate", "admin device.token.rotate"),
    part(ROTATES, "9.6/scope-upgrade-via-rotate", "admin device.token.rotate"),
    part(ACTS, "3.13/self-only-rules", "c2 device.pair.list"),
    part(ACTS, "9.6/self-only-rules", "c2 device.pair.requested"),
    part(ACTS, "3.13/self-only-rules-devicetoken", "c3 device.pair.requested"),
    part(ACTS, "9.6/self-only-rules-devicetoken", "c3 device.pair.requested"),
    part(IN_THE_WAY, "3.13/superseded-local-vs-remote", "c2 connect"),
    part(IN_THE_WAY, "9.6/superseded-local-vs-remote", "c2 connect"),
    part(IMMUTABLE, "3.13/superseded-pending", "c2 connect"),
    part(IMMUTABLE, "9.6/superseded-pending", "admin device.pair.requested"),
    part(LOCAL, "9.6/first-pair-remote-host", "admin device.pair.resolved"),
    part(LOCAL, "9.6/no-trusted-proxies/first-pair-remote-host", "admin device.pair.resolved"),
];
