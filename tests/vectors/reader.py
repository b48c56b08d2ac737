#!/usr/bin/env python3
"""A reader of journals, written from journal-format.md alone. Python 3.8 or newer, standard library only.

    reader.py DIRECTORY...

Prints the records of each journal as lines of JSON to standard output ("Records as JSON"), and its verdict as one line to
standard error. Exit codes: 0 sound or torn, 1 not a journal, 2 usage, 5 damaged, 7 too new; of several journals the highest.
"""

import hashlib
import ipaddress
import json
import os
import re
import struct
import sys
from datetime import datetime, timedelta, timezone

# --- limits ("Limits") -------------------------------------------------------------------------------------------------

PAYLOAD_BYTES = 1048576
BATCH_BYTES = 16777216
BATCH_RECORDS = 4096
SEGMENT_HEADER_BYTES = (20, 4096)
SCOPES = 1024
SCOPE_BYTES = 64
U64_MAX = 2**64 - 1

# --- the tables of the document ------------------------------------------------------------------------------------------

VERSION = 1
MAGIC = bytes.fromhex("894f434a4c0d0a1a")
MARKER = b"\xffBCH"
SEGMENT_HEADER = 76
BATCH_HEADER = 24
RECORD_HEADER = 18
DIGEST = 32
CHAIN_LABEL = b"openclaw-pairing journal chain v1"

CODES = {
    "Role": {1: "operator", 2: "node"},
    "Rule": {
        1: "paired", 2: "localFirstPairing", 3: "localCli", 4: "localBackend", 5: "probe", 6: "sharedSecret", 7: "metadata",
        8: "localUpgrade", 9: "trustedNodeCidrs", 10: "setupCode",
    },
    "ClientId": {
        1: "webchat-ui", 2: "openclaw-control-ui", 3: "webchat", 4: "cli", 5: "gateway-client", 6: "openclaw-macos",
        7: "openclaw-ios", 8: "openclaw-android", 9: "node-host", 10: "test", 11: "fingerprint", 12: "openclaw-probe",
        13: "openclaw-tui", 14: "openclaw-linux", 15: "openclaw-watchos", 16: "openclaw-browser-copilot", 17: "openclaw-worker",
    },
    "ClientMode": {1: "webchat", 2: "cli", 3: "ui", 4: "backend", 5: "node", 6: "probe", 7: "test", 8: "worker"},
    "Fault": {
        1: "connection ended before connect", 2: "handshake timeout", 3: "message too large", 4: "not JSON",
        5: "invalid request frame", 6: "first request must be connect", 7: "invalid connect params", 8: "protocol mismatch",
        9: "invalid role", 10: "origin missing or invalid", 11: "origin not allowed", 12: "device identity mismatch",
        13: "device signature expired", 14: "device nonce required", 15: "device nonce mismatch",
        16: "device signature invalid",
    },
    "PeerUser": {0: "not asked", 1: "owner", 2: "another user", 3: "unknown", 4: "untold"},
    "Forwarding": {0: "none", 1: "trusted proxy", 2: "untrusted forwarding header",
        3: "untrusted X-Forwarded-For header", 4: "untrusted X-Real-IP header", 5: "untrusted Forwarded header",
        6: "untrusted X-Forwarded header", 7: "untrusted Via header", 8: "untrusted Tailscale header"},
    "SignatureForm": {2: "v2", 3: "v3"},
    "AuthMode": {0: "none", 1: "token", 2: "password", 3: "trusted-proxy"},
    "SharedVerdict": {0: "missing", 1: "right", 2: "wrong", 3: "not configured", 4: "not compared"},
    "TokenVerdict": {0: "missing", 1: "live", 2: "retired", 3: "wrong", 4: "setup code"},
    "Reason": {1: "not-paired", 2: "metadata-upgrade", 3: "role-upgrade", 4: "scope-upgrade"},
    "AuthReason": {
        1: "token_missing", 2: "token_mismatch", 3: "token_missing_config", 4: "password_missing", 5: "password_mismatch",
        6: "password_missing_config", 7: "bootstrap_token_invalid", 8: "device_token_mismatch",
        9: "rate_limited", 10: "trusted_proxy_user_missing", 11: "trusted_proxy_user_not_allowed", 12: "trusted_proxy_untrusted_source",
    },
    "Ending": {1: "approved", 2: "rejected", 3: "superseded", 4: "expired", 5: "removed"},
    "CommandName": {
        1: "approve", 2: "reject", 3: "remove", 4: "rotate", 5: "revoke", 6: "rename", 7: "ask", 8: "apply a policy",
        9: "arm a rule", 10: "create a setup code", 11: "revoke a setup code", 12: "reject all of an address",
        13: "mark as seen", 14: "undo", 15: "hand a device over", 16: "import", 17: "accept a rollback",
    },
    "Act": {1: "approval", 2: "rotation", 3: "first pairing", 4: "upgrade", 5: "setup code", 6: "undo"},
    "Condition": {
        1: "identity", 2: "devices", 3: "token key", 4: "witness", 5: "clock", 6: "configuration", 7: "unclean stop",
        8: "storage",
    },
}

KNOWN_SCOPES = [
    "operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing", "operator.questions",
    "operator.sessions.read", "operator.sessions.write", "operator.talk", "operator.talk.secrets",
]

# Types beside those of the document: "uuid" and "address" are bytes 16 that are told in another spelling.
STRUCTURES = {
    "Person": [("uid", "u32"), ("pid", "u32"), ("program", "text"), ("terminal", "option text")],
    "Attempt": [
        ("connection", "uuid"), ("source", "Source"), ("fault", "option Fault"), ("protocol", "option u8"),
        ("client", "option Client"), ("ask", "option Ask"), ("proof", "option Proof"), ("credential", "option Credential"),
    ],
    "Source": [
        ("peer", "address"), ("forwarding", "Forwarding"), ("claimed", "option address"), ("host_is_loopback", "bool"),
        ("is_page", "bool"), ("user", "PeerUser"),
    ],
    "Client": [("id", "ClientId"), ("mode", "ClientMode")],
    "Ask": [("role", "Role"), ("scopes", "Scopes"), ("described", "Described")],
    "Described": [("like", "option u64"), ("here", "option Description")],
    "Description": [
        ("platform", "option text"), ("family", "option text"), ("display_name", "option text"), ("version", "option text"),
        ("model", "option text"), ("instance", "option text"), ("caps", "list text"), ("commands", "list text"),
    ],
    "Proof": [("device", "bytes 32"), ("form", "SignatureForm")],
    "Credential": [
        ("mode", "AuthMode"), ("shared", "SharedVerdict"), ("token", "TokenVerdict"), ("token_is_explicit", "bool"),
        ("bootstrap", "bool"),
    ],
    "PairingNeed": [
        ("reason", "Reason"), ("request", "uuid"), ("missing", "Scopes"), ("held", "Scopes"), ("token_is_narrow", "bool"),
        ("revoked", "option Revocation"), ("retry_after_ms", "u64"),
    ],
    "Revocation": [("at", "u64"), ("by", "Actor")],
    "Resolution": [("ending", "Ending"), ("at", "u64"), ("by", "Actor"), ("successor", "option Successor")],
    "Successor": [("request", "uuid"), ("scopes", "Scopes")],
    "Issue": [("salt", "bytes 16"), ("key", "bytes 8"), ("digest", "bytes 32")],
    "Setting": [("name", "text"), ("value", "text")],
    # With numbers: read by functions of their own.
    "Actor": [
        ("number", "u8"), ("device", "option bytes 32"), ("scopes", "option Scopes"), ("rule", "option Rule"),
        ("person", "option Person"),
    ],
    "Refusal": [
        ("number", "u8"), ("fault", "option Fault"), ("auth", "option AuthReason"), ("retry", "bool"), ("at", "option u64"),
        ("need", "option PairingNeed"), ("scopes", "option Scopes"), ("role", "option Role"),
        ("resolution", "option Resolution"),
    ],
    "RoleGrant": [("role", "Role"), ("scopes", "Scopes")],
    "Profile": [
        ("device", "bytes 32"), ("key", "bytes 32"), ("client", "Client"), ("description", "Description"),
        ("label", "option text"), ("address", "address"), ("created_at", "u64"), ("approved_at", "u64"),
    ],
    "ImportedGrant": [("role", "Role"), ("scopes", "Scopes"), ("token", "option ImportedToken")],
    "ImportedToken": [("digest", "bytes 32"), ("scopes", "Scopes"), ("created_at", "u64"), ("rotated_at", "option u64")],
}

# What a refusal has besides, from number 15 on.
MORE_OF_REFUSAL = [("rule", "option Rule"), ("words", "option text"), ("wait_ms", "option u64")]

ACTOR_PARTS = {0: set(), 1: {"device", "scopes"}, 2: {"person"}, 3: {"scopes", "rule"}, 4: {"rule"}, 5: set(), 6: {"person"}}
# Of number 4, `retry` and `at` may be there.
REFUSAL_PARTS = {
    1: {"fault"}, 2: set(), 3: set(), 4: {"auth"}, 5: {"need"}, 6: set(), 7: {"scopes"}, 8: set(), 9: set(),
    10: {"resolution"}, 11: set(), 12: {"role"}, 13: set(), 14: set(), 15: {"scopes", "words"},
    16: {"wait_ms"}, 17: set(), 18: {"words"}, 19: {"words"}, 20: {"need", "rule"}, 21: set(), 22: set(),
    23: {"words"}, 24: set(), 25: {"at", "words"},
}

KINDS = {
    1: ("JournalCreated", [("journal", "uuid"), ("policy", "text")]),
    2: (
        "GatewayStarted",
        [("version", "text"), ("key", "option bytes 8"), ("identity", "option bytes 32"), ("settings", "list Setting")],
    ),
    3: ("GatewayStopped", [("cause", "text")]),
    4: ("JournalRepaired", [("after", "u64"), ("offset", "u64"), ("bytes", "u64"), ("kept", "text")]),
    5: ("SegmentSealed", [("first", "u64"), ("bytes", "u64")]),
    6: ("ConditionFound", [("condition", "Condition"), ("detail", "text")]),
    7: ("ConditionCleared", [("condition", "Condition")]),
    8: ("WitnessPlaced", [("path", "text"), ("lost", "option text")]),
    9: ("HistoryArchived", [("through", "u64"), ("hash", "bytes 32"), ("archive", "text")]),
    10: ("PolicyChanged", [("policy", "text")]),
    11: ("OwnerActsSeen", [("through", "u64")]),
    12: ("RuleArmed", [("rule", "Rule")]),
    13: ("RollbackAccepted", [("head", "u64"), ("witnessed", "u64"), ("hash", "bytes 32"), ("keeps", "list bytes 32")]),
    14: ("ConfigurationChanged", [("key", "text"), ("before", "option text"), ("after", "option text")]),
    15: ("ActUndone", [("undoes", "u64")]),
    16: ("ConnectionAdmitted", [("attempt", "Attempt"), ("rule", "Rule"), ("scopes", "Scopes")]),
    17: ("ConnectionRefused", [("attempt", "Attempt"), ("refusal", "Refusal")]),
    18: ("ConnectionClosed", [("admission", "u64"), ("code", "u16")]),
    19: (
        "CommandRefused",
        [
            ("command", "CommandName"), ("request", "option uuid"), ("device", "option bytes 32"), ("role", "option Role"),
            ("scopes", "option Scopes"), ("refusal", "Refusal"),
        ],
    ),
    20: (
        "AttemptsSuppressed",
        [
            ("like", "option u64"), ("address", "option address"), ("device", "option bytes 32"), ("request", "option uuid"),
            ("refusal", "u8"), ("count", "u64"), ("first", "u64"), ("last", "u64"),
        ],
    ),
    32: (
        "PairingRequested",
        [
            ("request", "uuid"), ("reason", "Reason"), ("device", "bytes 32"), ("key", "bytes 32"), ("ask", "Ask"),
            ("client", "Client"), ("form", "SignatureForm"), ("address", "address"), ("supersedes", "option uuid"),
        ],
    ),
    33: (
        "PairingApproved",
        [("device", "bytes 32"), ("role", "Role"), ("scopes", "Scopes"), ("act", "Act"), ("request", "option uuid")],
    ),
    34: ("PairingRejected", [("request", "uuid"), ("device", "bytes 32")]),
    35: ("PairingExpired", [("request", "uuid"), ("device", "bytes 32"), ("due", "u64")]),
    36: ("GrantWithdrawn", [("device", "bytes 32"), ("role", "Role"), ("scopes", "Scopes")]),
    48: (
        "DeviceMetadataChanged",
        [("device", "bytes 32"), ("platform", "option text"), ("platform_before", "option text")],
    ),
    49: ("DeviceRemoved", [("device", "bytes 32")]),
    50: ("DeviceRenamed", [("device", "bytes 32"), ("label", "text"), ("label_before", "option text")]),
    51: ("DeviceRestored", [("profile", "Profile"), ("grants", "list RoleGrant")]),
    52: ("DeviceImported", [("source", "bytes 32"), ("profile", "Profile"), ("grants", "list ImportedGrant")]),
    53: ("DeviceSucceeded", [("device", "bytes 32"), ("by", "bytes 32"), ("request", "uuid")]),
    64: ("TokenIssued", [("device", "bytes 32"), ("role", "Role"), ("scopes", "Scopes"), ("issue", "Issue")]),
    65: (
        "TokenRotated",
        [
            ("device", "bytes 32"), ("role", "Role"), ("scopes_before", "Scopes"), ("scopes", "Scopes"), ("issue", "Issue"),
        ],
    ),
    66: ("TokenRevoked", [("device", "bytes 32"), ("role", "Role")]),
    67: ("TokenKeyReplaced", [("key", "bytes 8"), ("before", "option bytes 8")]),
    80: (
        "SetupCodeCreated",
        [
            ("code", "uuid"), ("digest", "bytes 32"), ("grants", "list RoleGrant"), ("expires", "u64"),
            ("label", "option text"),
        ],
    ),
    81: ("SetupCodeSpent", [("code", "uuid"), ("device", "bytes 32")]),
    82: ("SetupCodeRevoked", [("code", "uuid")]),
}

UNTOLD = {
    ("GatewayStarted", "key"), ("SetupCodeCreated", "digest"), ("TokenIssued", "issue"),
    ("TokenKeyReplaced", "before"), ("TokenKeyReplaced", "key"), ("TokenRotated", "issue"),
}

# --- checksums and the chain ---------------------------------------------------------------------------------------------


def crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# --- verdicts ------------------------------------------------------------------------------------------------------------


class Damaged(Exception):
    def __init__(self, why, offset=None, seq=None, segment=None):
        super().__init__(why)
        self.why, self.offset, self.seq, self.segment = why, offset, seq, segment


class TooNew(Exception):
    pass


# --- payloads ------------------------------------------------------------------------------------------------------------


class Payload:
    """Takes values from the front of a payload."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise Damaged("the payload ends inside a field")
        taken = self.data[self.at : self.at + count]
        self.at += count
        return taken

    def integer(self, width):
        return int.from_bytes(self.take(width), "little")

    def flag(self):
        tag = self.integer(1)
        if tag > 1:
            raise Damaged("a flag that is neither 00 nor 01")
        return tag == 1

    def value(self, kind):
        if kind.startswith("option "):
            return self.value(kind[7:]) if self.flag() else None
        if kind.startswith("list "):
            # No item is shorter than a byte, so a count beyond the payload ends in it.
            return [self.value(kind[5:]) for _ in range(self.integer(8))]
        if kind.startswith("bytes "):
            return self.take(int(kind[6:])).hex()
        if kind in CODES:
            code = self.integer(1)
            if code not in CODES[kind]:
                raise TooNew(f"{kind} {code}")
            return CODES[kind][code]
        if kind == "Scopes":
            return self.scopes()
        if kind in STRUCTURES:
            value = self.structure(STRUCTURES[kind])
            if kind == "Refusal" and value["number"] >= 15:
                value.update(self.structure(MORE_OF_REFUSAL))
            if kind == "Actor":
                check_actor(value)
            elif kind == "Refusal":
                check_refusal(value)
            return value
        return getattr(self, kind)()

    def structure(self, fields):
        values = ((name, self.value(kind)) for name, kind in fields)
        return {name: value for name, value in values if value is not None}

    def u8(self):
        return self.integer(1)

    def u16(self):
        return self.integer(2)

    def u32(self):
        return self.integer(4)

    def u64(self):
        return self.integer(8)

    def bool(self):
        return self.flag()

    def text(self):
        try:
            return self.take(self.integer(8)).decode("utf-8")
        except UnicodeDecodeError:
            raise Damaged("a text that is not UTF-8") from None

    def uuid(self):
        digits = self.take(16).hex()
        return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])

    def address(self):
        address = ipaddress.IPv6Address(self.take(16))
        return str(address.ipv4_mapped or address)

    def scopes(self):
        bits, others = self.integer(2), self.value("option list text")
        if bits >> len(KNOWN_SCOPES):
            raise TooNew("a bit without a scope")
        known = [scope for bit, scope in enumerate(KNOWN_SCOPES) if bits >> bit & 1]
        if others is None:
            return known
        if len(others) > SCOPES or not all(is_scope(text) for text in others):
            raise TooNew("a text that is no scope, or too many")
        if not others or others != sorted(set(others)):
            raise Damaged("scopes that are not in order, or none")
        return known + others


def is_scope(text):
    return 1 <= len(text) <= SCOPE_BYTES and re.fullmatch(r"[!-~]+", text) and not set(text) & set(",|") and text not in KNOWN_SCOPES


def check_actor(actor):
    if ACTOR_PARTS.get(actor["number"]) != set(actor) - {"number"}:
        raise TooNew("an actor of another kind")


def check_refusal(refusal):
    number = refusal["number"]
    needed = REFUSAL_PARTS.get(number)
    there = {name for name, value in refusal.items() if name != "number" and value is not False}
    if needed is None or not needed <= there:
        raise TooNew("a refusal of another kind")
    if there - needed - ({"retry", "at"} if number == 4 else set()):
        raise Damaged("a part that belongs to another refusal")


def record_json(seq, kind, time, payload):
    if kind not in KINDS:
        raise TooNew(f"kind {kind}")
    name, fields = KINDS[kind]
    rest = Payload(payload)
    # What it says is too new is only so where its bytes can be taken at all.
    actor, told = rest.value("Actor"), rest.structure(fields)
    if rest.at != len(payload):
        raise Damaged("bytes are left over after the payload")
    told = {field: value for field, value in told.items() if (name, field) not in UNTOLD}
    for grant in told.get("grants", []):
        grant.get("token", {}).pop("digest", None)
    return {"seq": seq, "atMs": time, "at": time_text(time), "kind": kind, "event": name, "actor": actor, "fields": told}


def time_text(time):
    if time > 253402207200000:
        return f"{time} ms after 1970"
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=time)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{time % 1000:03}Z"


ESCAPED = re.compile("[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def line(value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


# --- a journal -----------------------------------------------------------------------------------------------------------


class Segment:
    def __init__(self, name, data):
        self.name, self.data = name, data

    def read_header(self, first):
        data = self.data
        if data[:8] != MAGIC[: len(data[:8])]:
            raise Damaged("no magic", 0, first)
        if len(data) < SEGMENT_HEADER_BYTES[0]:
            raise Damaged("the header is cut", 0, first)
        version, length = struct.unpack_from("<II", data, 8)
        if not SEGMENT_HEADER_BYTES[0] <= length <= SEGMENT_HEADER_BYTES[1] or length > len(data):
            raise Damaged("an impossible length of the header", 0, first)
        if crc32c(data[: length - 4]) != int.from_bytes(data[length - 4 : length], "little"):
            raise Damaged("the checksum of the header", 0, first)
        if version != VERSION:
            raise TooNew(f"version {version}")
        if length != SEGMENT_HEADER:
            raise Damaged("an impossible length of the header", 0, first)
        self.journal, found, self.chain = struct.unpack_from("<16sQ32s", data, 16)
        if found != first:
            raise Damaged("named for another seq", 0, first)
        if first == 1 and self.chain != sha256(CHAIN_LABEL, self.journal):
            raise Damaged("the start of the chain", 0, first)

    def batch_header(self, at):
        """The fields of a batch header: none where there is none."""
        header = self.data[at : at + BATCH_HEADER]
        if len(header) < BATCH_HEADER or header[:4] != MARKER:
            return None
        body, count, first, checksum = struct.unpack("<IIQI", header[4:])
        return (body, count, first) if crc32c(header[:20]) == checksum else None

    def was_begun_behind(self, offset, seq):
        at = self.data.find(MARKER, offset + 1)
        while at != -1:
            header = self.batch_header(at)
            if header and is_possible(*header) and header[2] >= seq:
                return True
            at = self.data.find(MARKER, at + 1)
        return False


def is_possible(body, count, first):
    sized = RECORD_HEADER * count <= body and body + BATCH_HEADER + DIGEST <= BATCH_BYTES
    return 1 <= count <= BATCH_RECORDS and sized and first >= 1 and first + count <= U64_MAX


def read_batch(offset, body, count, seq, time, is_told):
    """The records of a batch. Where they are only looked at for which one was hit, payloads are not."""
    at, told = 0, []
    for _ in range(count):
        place = offset + BATCH_HEADER + at
        if len(body) - at < RECORD_HEADER:
            raise Damaged("a record is cut", place, seq)
        length, kind, when, checksum = struct.unpack_from("<IHQI", body, at)
        payload = body[at + RECORD_HEADER : at + RECORD_HEADER + length]
        if length > PAYLOAD_BYTES or len(payload) < length:
            raise Damaged("an impossible length of a record", place, seq)
        if crc32c(body[at : at + 14] + payload) != checksum:
            raise Damaged("the checksum of a record", place, seq)
        if is_told:
            if when < time:
                raise Damaged("a time before the one in front", place, seq)
            try:
                told.append(record_json(seq, kind, when, payload))
            except Damaged as damaged:
                raise Damaged(damaged.why, place, seq) from None
        at, seq, time = at + RECORD_HEADER + length, seq + 1, when
    if at != len(body):
        raise Damaged("bytes are left over after the last record", offset + BATCH_HEADER + at, seq)
    return told, time


class Reader:
    """What is kept from batch to batch, through all segments."""

    def __init__(self):
        self.journal, self.seq, self.head, self.time = None, 1, None, 0
        # Where the last segment's sound part ends, and whether that is behind its seal.
        self.name, self.offset, self.is_sealed = None, 0, False
        # The first record that is there, and the last one that need not be.
        self.begins, self.archived = 1, 0

    def read_journal(self, directory, names):
        """Prints the records; returns the offset of a torn end, if there is one."""
        torn = None
        for name in names:
            first = int(name[:20])
            self.check_order(name, first)
            self.name = name
            with open(os.path.join(directory, name), "rb") as file:
                segment = Segment(name, file.read())
            segment.read_header(first)
            if self.journal not in (None, segment.journal):
                raise Damaged("of another journal", 0, first)
            if self.head not in (None, segment.chain):
                raise Damaged("it does not continue the hash chain", 0, first)
            self.journal, self.head = segment.journal, segment.chain
            torn = self.read_segment(segment, is_last=name == names[-1])
        if self.begins > self.archived + 1:
            raise Damaged(f"seq 1 to {self.begins - 1} are missing", 0, 1, f"{1:020}.segment")
        return torn

    def check_order(self, name, first):
        if self.name is None:
            # Whether it may be the first is known at the end.
            self.begins = self.seq = first
        if first > self.seq:
            missing = f"{self.seq:020}.segment"
            raise Damaged(f"seq {self.seq} to {first - 1} are missing", 0, self.seq, missing)
        if first < self.seq:
            raise Damaged("it begins before the one in front ends", 0, first, name)
        if self.name and not self.is_sealed:
            raise Damaged("not sealed, and another one behind it", self.offset, self.seq)

    def read_segment(self, segment, is_last):
        data, self.offset, self.is_sealed = segment.data, SEGMENT_HEADER, False
        while data[self.offset :].strip(b"\0"):
            if self.is_sealed:
                raise Damaged("something behind the seal", self.offset, self.seq)
            damage = self.read_next(segment)
            if damage:
                if not is_last or segment.was_begun_behind(self.offset, self.seq):
                    raise damage
                return self.offset
        return None

    def read_next(self, segment):
        """Takes the batch at the offset; returns why the place is unreadable, if it is."""
        data, offset, seq = segment.data, self.offset, self.seq
        header = segment.batch_header(offset)
        if header is None:
            return Damaged("no batch begins where one should", offset, seq)
        length, count, first = header
        if not is_possible(*header) or first != seq:
            raise Damaged("an impossible batch header", offset, seq)
        body_at = offset + BATCH_HEADER
        body, digest = data[body_at : body_at + length], data[body_at + length : body_at + length + DIGEST]
        if len(digest) < DIGEST:
            return Damaged("the file ends inside the batch", offset, seq)
        if sha256(self.head, data[offset:body_at], body) != digest:
            try:
                read_batch(offset, body, count, seq, self.time, is_told=False)
            except Damaged as hit:
                return hit
            return Damaged("the batch does not continue the hash chain", offset, seq)
        told, self.time = read_batch(offset, body, count, seq, self.time, is_told=True)
        seals = [record["fields"] for record in told if record["event"] == "SegmentSealed"]
        if seals and (count != 1 or seals[0] != {"first": int(segment.name[:20]), "bytes": offset}):
            raise Damaged("a seal that is not true", offset, seq)
        # A batch is taken whole or not at all.
        for record in told:
            if record["event"] == "HistoryArchived":
                self.archived = max(self.archived, record["fields"]["through"])
            sys.stdout.write(line(record) + "\n")
        self.offset, self.seq, self.head, self.is_sealed = body_at + length + DIGEST, seq + count, digest, bool(seals)
        return None


def judge(directory):
    """Prints the records, and returns the exit code and the verdict."""
    names = sorted(name for name in os.listdir(directory) if re.fullmatch(r"[0-9]{20}\.segment", name))
    if not names:
        return 1, f"not a journal: {directory}"
    reader = Reader()
    try:
        torn = reader.read_journal(directory, names)
    except Damaged as damaged:
        name = damaged.segment or reader.name
        return 5, f"damaged: segment {name}, offset {damaged.offset}, seq {damaged.seq}: {damaged.why}"
    except TooNew as found:
        return 7, f"too new: segment {reader.name}: {found}"
    verdict = "sound" if torn is None else f"torn: segment {reader.name}, offset {torn}"
    return 0, f"{verdict}: seq {reader.seq - 1}, head {reader.head.hex()}"


def main(directories):
    if not directories:
        print(__doc__, file=sys.stderr)
        return 2
    worst = 0
    for directory in directories:
        code, verdict = judge(directory)
        print(verdict, file=sys.stderr)
        worst = max(worst, code)
    return worst


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    sys.stderr.reconfigure(encoding="utf-8", newline="\n")
    sys.exit(main(sys.argv[1:]))
