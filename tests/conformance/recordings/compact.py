"""Makes the recordings of this directory out of raw ones: python3 compact.py RAW_DIRECTORY

Every part of a frame that is made anew when a recording is played again is replaced by what it is, so that nothing is signed,
secret or dated in here, and a difference can be read:

<device N>, <key N>   the N-th key of the recording and its id; `upper`, `pem`, `base64` behind it: in that spelling
<uuid N>, <token N>   the N-th request or connection id, and device token, that the gateway gave out; the same N is the same value
<nonce>               what the gateway sent in this connection's challenge
<cursor N>            where the N-th answer to logs.tail ended
<now+N>               N ms after that challenge
<time>, <any>         a time of the gateway; a value that is not compared: bodies of health, presence and lists of OpenClaw's own
<gateway>             the port of the gateway
signature             {"form": "v2" or "v3"}, and what was signed otherwise than it was sent

A line of kind `before` is a device or a request that an earlier recording of the same run had left behind and this one speaks
of; all others that the lists of the gateway showed are left out.
"""

import base64
import hashlib
import itertools
import json
import pathlib
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
OPENCLAWS_OWN = {"health", "status", "system-presence", "models.list", "sessions.list", "cron.list", "chat.history", "config.get",
                 "gateway.identity.get", "last-heartbeat", "node.list", "cron.add", "agent", "chat.send", "config.set", "send"}
EVENTS_OF_ITS_OWN = {"health", "presence", "cron", "task", "heartbeat", "sessions.changed", "voicewake.changed", "voicewake.routing.changed"}


# What is assumed of a device of which only the id was ever shown.
STRANGER = {"platform": "linux", "clientId": "gateway-client", "clientMode": "ui", "role": "operator", "scopes": ["operator.read"]}


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def raw_key(text):
    """The 32 bytes of a public key in any of the spellings, or None."""
    if "BEGIN" in text:
        text = "".join(text.strip().splitlines()[1:-1])
    try:
        raw = base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_").rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
    except ValueError:
        return None
    return raw[-32:] if len(raw) in (32, 44) else None


def signed_text(form, params, over):
    device, client, auth = params["device"], params["client"], params.get("auth") or {}
    token = next((auth[key] for key in ("token", "deviceToken", "bootstrapToken") if key in auth), "")
    said = {"token": token, "scopes": ",".join(params.get("scopes") or []), "role": params.get("role", "operator"),
            "platform": client.get("platform", ""), "family": client.get("deviceFamily", ""), "nonce": device.get("nonce", "")} | over
    fields = [form, device["id"], client["id"], client["mode"], said["role"], said["scopes"], str(device["signedAt"]), said["token"], said["nonce"]]
    if form == "v3":
        fields += [said["platform"].strip().lower(), said["family"].strip().lower()]
    return "|".join(fields)


def is_signed(key, signature, text):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(base64.urlsafe_b64decode(signature + "=="), text.encode())
        return True
    except (InvalidSignature, ValueError):
        return False


def find_signature(params, keys, challenge):
    """How a signature was made: which form, by which key, over what."""
    device = params["device"]
    if not {"id", "publicKey", "nonce"} <= device.keys() or not isinstance(params.get("client"), dict):
        return {"form": "v3"}
    auth = params.get("auth") or {}
    overs = [{}]
    overs += [{"token": token} for token in ["", *auth.values()]]
    overs += [{"scopes": scopes} for scopes in ["", "operator.read", "operator.admin", "operator.write", "operator.read,operator.write"]]
    overs += [{"platform": platform} for platform in ["linux", "darwin", "win32", "ios", "android", ""]]
    overs += [{"nonce": nonce} for nonce in [challenge, ""]]
    for form, over, (key, name) in itertools.product(("v3", "v2"), overs, keys.items()):
        if is_signed(key, device["signature"], signed_text(form, params, over)):
            over = {k: "<nonce>" if v == challenge else v for k, v in over.items()}
            own = raw_key(device["publicKey"]) == key
            return {"form": form} | over | ({} if own else {"by": f"<key {name}>"})
    return None


class Recording:
    def __init__(self, lines, known):
        self.lines, self.known = lines, known
        self.keys, self.names, self.calls, self.ids, self.challenge, self.cursors = {}, {}, {}, {}, {}, {}

    def name(self, kind, value):
        if value not in self.names:
            count = sum(name.startswith(f"<{kind} ") for name in self.names.values()) + 1
            self.names[value] = f"<{kind} {count}>"
        return self.names[value]

    def learn_key(self, text):
        raw = raw_key(text)
        if raw is None:
            return
        if raw not in self.keys:
            self.keys[raw] = len(self.keys) + 1
        n = self.keys[raw]
        plain = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        device = hashlib.sha256(raw).hexdigest()
        self.names |= {plain: f"<key {n}>", device: f"<device {n}>", device.upper(): f"<device {n} upper>"}
        if text != plain:
            self.names[text] = f"<key {n} {'pem' if 'BEGIN' in text else 'base64'}>"

    def devices_that_connect(self):
        for line in self.lines:
            params = isinstance(line["frame"], dict) and line["frame"].get("params")
            if line.get("dir") == "c2s" and isinstance(params, dict) and isinstance(params.get("device"), dict):
                yield params["device"]

    def compact(self):
        for device in self.devices_that_connect():
            self.learn_key(device.get("publicKey", ""))
        before = sorted(self.before(), key=lambda left: left["frame"].pop("at"))
        out = before + [self.line(line) for line in self.lines]
        return [line for line in out if line is not None]

    def before(self):
        """What the recording acts on and did not bring about itself."""
        made = set(self.names)
        calls = {}
        # A device that was paired when it connects here for the first time.
        begin = next((line["frame"]["payload"]["ts"] for line in self.lines if line["kind"] == "text" and line["dir"] == "s2c"), 0)
        for device in {device.get("id"): None for device in self.devices_that_connect()}:
            if self.known.get(device, {}).get("approvedAtMs", begin) < begin:
                yield from self.left_behind(device)
        for line in self.lines:
            frame = line["frame"]
            if line["kind"] != "text" or not isinstance(frame, dict):
                continue
            if line["dir"] == "c2s":
                calls[line["conn"], frame.get("id")] = frame
            elif frame.get("type") == "event" and frame["event"] == "device.pair.requested":
                made.add(frame["payload"]["requestId"])
            elif frame.get("type") == "res" and not frame["ok"]:
                made.add(((frame["error"].get("details") or {}).get("requestId")))
            elif frame.get("type") == "res" and frame["ok"]:
                call = calls.get((line["conn"], frame["id"]), {})
                params = call.get("params") or {}
                for target in (params.get("requestId"), params.get("deviceId")):
                    if call.get("method", "").startswith("device.") and target and target not in made and target in self.known:
                        made.add(target)
                        yield from self.left_behind(target)

    def left_behind(self, target):
        entry = dict(entries(self.lines)).get(target, {})
        entry = entry if "publicKey" in entry else self.known[target]
        if "publicKey" not in entry:
            n = self.keys[entry["deviceId"]] = len(self.keys) + 1
            self.names[entry["deviceId"]] = f"<device {n}>"
            entry = STRANGER | entry | {"publicKey": f"<key {n}>"}
        else:
            self.learn_key(entry["publicKey"])
        frame = {key: entry[key] for key in ("publicKey", "displayName", "platform", "deviceFamily", "clientId", "clientMode", "role", "scopes", "remoteIp") if key in entry}
        frame["at"] = entry.get("ts", entry.get("approvedAtMs", 0))
        frame["paired"] = "requestId" not in entry
        if "requestId" in entry:
            frame["requestId"] = self.name("uuid", entry["requestId"])
        frame["publicKey"] = self.names.get(entry["publicKey"], entry["publicKey"])
        if "operatorLabel" in entry:
            frame["label"] = entry["operatorLabel"]
        for role in entry.get("roles", [entry["role"]]) if frame["paired"] else [entry["role"]]:
            scopes = entry.get("scopes", []) if role == "operator" else []
            is_rotated = any(token["role"] == role and "rotatedAtMs" in token for token in entry.get("tokens", []))
            more = {"role": role, "scopes": scopes} | ({"rotated": True} if is_rotated else {})
            yield {"t_ms": 0, "kind": "before", "frame": frame | more}

    def line(self, line):
        frame, kind, conn = line["frame"], line["kind"], line.get("conn")
        if kind == "text" and line["dir"] == "c2s":
            frame = self.said(frame, conn)
        elif kind == "text":
            frame = self.heard(frame, conn)
        elif kind == "http" and line["dir"] == "c2s":
            headers = {name.lower(): re.sub(r"(127\.0\.0\.1):(28|29)\d{3}$", r"\1:<gateway>", value) for name, value in frame["headers"].items()}
            if headers.get("host", "").endswith("<gateway>"):
                del headers["host"]
            frame = frame | {"headers": headers}
        elif kind == "http":
            keep = {name: value for name, value in frame["headers"].items() if name in ("content-type", "allow", "cache-control", "retry-after")}
            frame = {"status": frame["status"], "headers": keep} | ({"body": self.body(frame["body"])} if "body" in frame else {})
        elif kind == "close":
            # A proxy that recorded a command passed no code on.
            frame = {"code": 0 if frame["code"] in (1005, 1006) else frame["code"], "reason": self.text(re.sub(r"\(requestId: [0-9a-f-]*\)?$", "(requestId: <cut>", frame["reason"]))}
        elif kind == "note" and frame["text"].startswith("state snapshot"):
            return None
        return {key: value for key, value in line.items() if key != "frame"} | {"frame": frame}

    @staticmethod
    def body(text):
        if text.startswith("{"):
            body = json.loads(text)
            return {key: "<any>" if key in ("uptimeMs", "eventLoop") else value for key, value in body.items()} if len(text) < 400 else "<any>"
        return text if len(text) < 100 else "<any>"

    def said(self, frame, conn):
        if not isinstance(frame, dict):
            return frame
        frame = json.loads(json.dumps(frame))
        params = frame.get("params")
        self.calls[conn, frame.get("id")] = frame.get("method")
        if isinstance(frame.get("id"), str):
            frame["id"] = self.call_id(frame["id"])
        if isinstance(params, dict):
            if isinstance(params.get("device"), dict):
                self.device(params, conn)
            if params.get("cursor") in self.cursors:
                params["cursor"] = self.cursors[params["cursor"]]
            if isinstance(params.get("client"), dict) and UUID.fullmatch(str(params["client"].get("instanceId"))):
                params["client"]["instanceId"] = "an instance"
        return self.renamed(frame)

    def call_id(self, text):
        if UUID.search(text):
            return self.ids.setdefault(text, f"call {len(self.ids) + 1}")
        return text

    def device(self, params, conn):
        device = params["device"]
        nonce, at = self.challenge[conn]
        if isinstance(device.get("signature"), str) and "signedAt" in device:
            device["signature"] = find_signature(params, {key: n for key, n in self.keys.items() if isinstance(key, bytes)}, nonce) or device["signature"]
        if device.get("nonce") == nonce:
            device["nonce"] = "<nonce>"
        if isinstance(device.get("signedAt"), int) and device["signedAt"] > 10**12:
            device["signedAt"] = f"<now{device['signedAt'] - at:+}>"

    def heard(self, frame, conn):
        if frame.get("event") == "connect.challenge":
            self.challenge[conn] = (frame["payload"]["nonce"], frame["payload"]["ts"])
            return frame | {"payload": frame["payload"] | {"nonce": "<nonce>", "ts": "<time>"}}
        frame = json.loads(json.dumps(frame))
        method = self.calls.get((conn, frame.get("id")))
        if "id" in frame:
            frame["id"] = self.call_id(frame["id"])
        for key in ("seq", "stateVersion"):
            if key in frame:
                frame[key] = "<any>"
        payload = frame.get("payload")
        if frame.get("event") in EVENTS_OF_ITS_OWN or (method in OPENCLAWS_OWN and frame.get("ok")):
            frame["payload"] = "<any>"
        elif isinstance(payload, dict) and payload.get("type") == "hello-ok":
            self.hello(payload)
        elif method == "device.pair.list" and frame.get("ok"):
            for part in ("pending", "paired"):
                payload[part] = [entry for entry in payload[part] if entry.get("deviceId") in self.names]
            payload["pending"] = [entry for entry in payload["pending"] if entry["requestId"] in self.names]
        elif method == "logs.tail" and frame.get("ok"):
            self.cursors[payload["cursor"]] = f"<cursor {len(self.cursors) + 1}>"
            frame["payload"] = {key: value if key in ("truncated", "reset") else "<any>" for key, value in payload.items()}
            frame["payload"]["cursor"] = self.cursors[payload["cursor"]]
        if "error" in frame and "retryAfterMs" in frame["error"]:
            frame["error"]["retryAfterMs"] = "<any>"
        return self.renamed(self.bound(frame))

    @staticmethod
    def hello(payload):
        for key in ("features", "canvasHostUrl", "controlUiWidgetKinds", "controlUiLinkReaders", "pluginSurfaceUrls"):
            if key in payload:
                payload[key] = "<any>"
        payload["snapshot"] = {key: value if key == "authMode" else "<any>" for key, value in payload["snapshot"].items()}
        payload["server"] = {key: "<any>" for key in payload["server"]}
        if "recoveryScope" in payload.get("auth", {}):
            payload["auth"]["recoveryScope"] = "<any>"

    def bound(self, value, key=None):
        """Names what the gateway gave out here, in the order in which it did."""
        if isinstance(value, dict):
            return {k: self.bound(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self.bound(item, key) for item in value]
        if key == "connected":
            # Whoever goes is gone a moment later.
            return "<any>"
        if isinstance(value, int) and value > 10**12:
            return "<time>"
        if isinstance(value, str) and value not in self.names:
            if UUID.fullmatch(value):
                return self.name("uuid", value)
            if TOKEN.fullmatch(value) and key in ("token", "deviceToken"):
                return self.name("token", value)
        return value

    def renamed(self, value):
        if isinstance(value, dict):
            return {k: self.renamed(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.renamed(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text):
        if text in self.names:
            return self.names[text]
        for value, name in self.names.items():
            if len(value) > 20 and value in text:
                text = text.replace(value, name)
        return text


def entries(lines):
    """Every request and device that the gateway ever showed, by its id; what lists showed comes first, since it says most."""
    for line in lines:
        payload = line["frame"].get("payload") if isinstance(line["frame"], dict) else None
        if line.get("dir") != "s2c" or not isinstance(payload, dict):
            continue
        for part, key in (("pending", "requestId"), ("paired", "deviceId")):
            for entry in payload.get(part) or []:
                if isinstance(entry, dict) and "publicKey" in entry:
                    yield entry[key], entry
        device = payload.get("device")
        if isinstance(device, dict) and "publicKey" in device:
            yield payload["requestId"], device | {"requestId": payload["requestId"]}
            yield device["deviceId"], device
        elif line["frame"].get("type") == "res" and "requestId" in payload and "deviceId" in payload:
            yield payload["requestId"], payload


def main(raw):
    for release in ("3.13", "9.6"):
        recordings = {path: lines_of(path) for path in sorted((raw / release).rglob("*.jsonl"))}
        known = {}
        for key, entry in itertools.chain.from_iterable(map(entries, recordings.values())):
            seen = known.get(key, {})
            if "publicKey" not in seen or entry.get("approvedAtMs", 0) < seen.get("approvedAtMs", 0):
                known[key] = entry
        for path, lines in recordings.items():
            target = pathlib.Path(__file__).parent / path.relative_to(raw)
            target.parent.mkdir(parents=True, exist_ok=True)
            compact = Recording(lines, known).compact()
            target.write_text("".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in compact))


main(pathlib.Path(sys.argv[1]))
