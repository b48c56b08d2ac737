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
];

pub(crate) const PARTINGS: &[Parting] = &[];
