//! The one table of differences: where we answer otherwise than the real gateway on purpose, and where something is not built yet.
//! A row names the place and both shapes. What no row explains is open, and a row that explains nothing is an error.

use Why::{Chosen, Waiting};

use super::compare::Difference;

/// Why a difference may stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Why {
    /// By this rule of the design.
    Chosen(&'static str),
    /// Until this is built.
    Waiting(&'static str),
}

/// Differences that may stand. In a pattern `*` stands for anything; alternatives are divided by `|` but in what was said.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) why: Why,
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
    pub(crate) why: Why,
    pub(crate) recording: &'static str,
    /// The first difference that no row explains.
    pub(crate) at: &'static str,
}

const fn row(why: Why, [recordings, at, path, theirs, ours]: [&'static str; 5]) -> Row {
    Row { why, recordings, at, path, theirs, ours }
}

const fn part(why: Why, recording: &'static str, at: &'static str) -> Parting {
    Parting { why, recording, at }
}

const ANSWERS: Why =
    Chosen("9: a refusal names what is missing, the request and the command, in one sentence for both protocols");
const LISTED: Why = Chosen("9: the lists and the pushes carry the sentence and what it is made of");
const BOTH: Why =
    Chosen("15: protocols 3 and 4 are both spoken, by operators too, and a connect is answered by what its range covers");
const TRUE_ANSWERS: Why =
    Chosen("settled, who may see a request: approved, rejected, superseded, expired, removed and unknown are six answers");
const AGAIN: Why = Chosen("settled: approving again is no error, and says who did it and when");
const OWN_TOKEN: Why = Chosen("settled, a revoked role: a token's value is shown to its own device only");
const ENDS: Why =
    Chosen("settled, a revoked role: revoke, rotate and remove close live connections; close codes say which it was");
const LOCAL: Why = Chosen(
    "settled, local: direct loopback with a loopback Host, no forwarding header and no Origin; all else is remote, and 403 for nobody",
);
const BROWSERS: Why = Chosen("settled, first local pairing: every browser asks a person");
const BUDGET: Why =
    Chosen("settled, budgets: 10 failures in 60 s, then nothing is compared for 300 s, and both protocols say when to come back");
const NODE_TOKENS: Why = Chosen("6: who is paired has a token, also a node without scopes");
const PROBES: Why = Chosen("settled, probes: a probe never makes a pairing, a request or a token, and gets no scopes");
const NO_PAGE: Why = Chosen("16: HTTP is closed but for what is configured");
const STARTING: Why = Chosen("16: there is nothing beside us to wait for, so we answer as soon as we listen");
const WIDENS: Why = Chosen("11: an approval widens the token in place");
const CLIENTLESS: Why =
    Chosen("settled, scopes without a device: the rules local-cli and local-backend give them, or nothing does");
const NODES: Why = Waiting("node pairing and setup codes");
const OWN: Why = Chosen("16: agents, sessions, cron and chat stay OpenClaw's, and so do their methods, pushes and fields");
const QUIET: Why =
    Chosen("17: no push that costs by the number of those who listen; presence is collected for a second, health is asked");

pub(crate) const ROWS: &[Row] = &[
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
    row(QUIET, ["*", "* presence", "", r#""<any>""#, "-"]),
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
    // Methods.
    row(NODES, ["*", "* node.pair.*|* node.list|* node.rename|* node.event", "*", "*", "*"]),
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
        ["*", "* device.pair.approve|* device.pair.reject", "/error/message", r#""unknown requestId""#, r#""the request *"#],
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
    // Budgets.
    row(BUDGET, ["3.13/x-rate-limit", "* connect|* close", "*", "*", "*"]),
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
    row(QUIET, ["*/tick|*/x-pending-ttl|3.13/scope-upgrade-via-rotate", "* tick", "", r#"{"ts":"<time>"}"#, "-"]),
];

pub(crate) const PARTINGS: &[Parting] = &[];
