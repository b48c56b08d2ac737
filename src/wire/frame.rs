//! Frames: requests in, responses and events out. Every object we read is closed: an unknown or repeated key is an error.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::limits;

/// A request as it came: params stay raw until the method is known.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    #[serde(rename = "type")]
    _type: Req,
    /// Chosen by the client, echoed in the response; need not be unique.
    pub id: Text,
    /// The method.
    pub method: Text,
    /// Its params, if any.
    #[serde(default)]
    pub params: Option<Box<RawValue>>,
    /// Where a trace goes on (protocol 4); nothing is traced here.
    #[serde(default)]
    pub traceparent: Option<Short<128>>,
    /// Whose OpenClaw profile it is meant for (protocol 4); there are none here.
    #[serde(default, rename = "expectedProfileId")]
    pub expected_profile_id: Option<String>,
}

#[derive(Debug, Deserialize)]
enum Req {
    #[serde(rename = "req")]
    Req,
}

/// A string that is not empty.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Text(pub String);

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() { Err("must NOT have fewer than 1 characters") } else { Ok(Self(text)) }
    }
}

/// A string of at most `MOST` characters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Short<const MOST: usize>(pub String);

impl<const MOST: usize> TryFrom<String> for Short<MOST> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.chars().count() > MOST {
            return Err(format!("must NOT have more than {MOST} characters"));
        }
        Ok(Self(text))
    }
}

/// A message that is no request.
#[derive(Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Not JSON.
    NotJson,
    /// JSON, but not a request frame.
    NotARequest {
        /// The id to answer to: the frame's own, or `invalid`.
        id: String,
        /// What does not fit.
        why: String,
    },
}

/// Reads a message. Text and binary are the same (OpenClaw 2026.3.13).
///
/// # Errors
/// [`Malformed`].
pub fn parse_call(message: &[u8]) -> Result<Call, Malformed> {
    let Ok(text) = std::str::from_utf8(message) else { return Err(Malformed::NotJson) };
    let why = match read::<Call>(text) {
        // Params are still raw, and raw values are of any depth.
        Ok(_) if depth(text) > limits::JSON_DEPTH => format!("nested deeper than {} levels", limits::JSON_DEPTH),
        Ok(call) => return Ok(call),
        Err(_) if serde_json::from_str::<IgnoredAny>(text).is_err() => return Err(Malformed::NotJson),
        Err(why) => why,
    };
    #[derive(Deserialize)]
    struct Lenient {
        id: String,
    }
    let id = read::<Lenient>(text).ok().map(|lenient| lenient.id).filter(|id| !id.is_empty());
    Err(Malformed::NotARequest { id: id.unwrap_or_else(|| "invalid".to_owned()), why })
}

/// How deep the arrays and objects of a JSON text nest.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth = depth.saturating_add(1),
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Reads params of a method; absent ones are `{}` (OpenClaw 2026.3.13).
///
/// # Errors
/// What does not fit, and where.
pub fn parse_params<T: DeserializeOwned>(params: Option<&RawValue>) -> Result<T, String> {
    read(params.map_or("{}", RawValue::get))
}

/// Reads closed JSON; the error names the place first, as `at /client/id: …` or, for the whole, `at root: …`.
fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let value = object(serde_path_to_error::Deserializer::new(&mut json, &mut track)).map_err(|error| {
        let path: String = track.path().iter().fold(String::new(), |path, segment| {
            use serde_path_to_error::Segment;
            match segment {
                Segment::Seq { index } => format!("{path}/{index}"),
                Segment::Map { key } => format!("{path}/{key}"),
                Segment::Enum { variant } => format!("{path}/{variant}"),
                Segment::Unknown => path,
            }
        });
        complaint(&path, &error.to_string())
    })?;
    json.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Reads an object from an object only: a derived reader would also take an array, as the values of the fields in order.
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Members<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<M: MapAccess<'de>>(self, members: M) -> Result<T, M::Error> {
            T::deserialize(MapAccessDeserializer::new(members))
        }
    }

    deserializer.deserialize_map(Members(PhantomData))
}

/// An object that need not be there, but is one where it is.
pub(super) fn optional_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    object(deserializer).map(Some)
}

/// The parser's words in the form that OpenClaw's clients know: a missing key without a place at the root, an unexpected one
/// without the list of those expected.
fn complaint(path: &str, why: &str) -> String {
    let why = why.split(" at line ").next().unwrap_or(why);
    let quoted = why.split('`').nth(1);
    match (why, quoted) {
        (why, Some(field)) if why.starts_with("missing field") => {
            let parent = path.rsplit_once('/').filter(|(_, last)| *last == field).map_or(path, |(parent, _)| parent);
            let place = if parent.is_empty() { String::new() } else { format!("at {parent}: ") };
            format!("{place}must have required property '{field}'")
        }
        (why, Some(field)) if why.starts_with("unknown field") => {
            let parent = path.rsplit_once('/').filter(|(_, last)| *last == field).map_or(path, |(parent, _)| parent);
            let place = if parent.is_empty() { "root" } else { parent };
            format!("at {place}: unexpected property '{field}'")
        }
        (why, _) => {
            let place = if path.is_empty() { String::new() } else { format!("at {path}: ") };
            let expected = why.rsplit_once("expected ").map(|(_, expected)| expected);
            match expected {
                Some(kind) if why.starts_with("invalid type") => format!("{place}must be {}", schema_type(kind)),
                _ if why.starts_with("unknown variant") => format!("{place}must be equal to constant"),
                _ => format!("{place}{why}"),
            }
        }
    }
}

fn schema_type(kind: &str) -> &str {
    match kind {
        "a string" => "string",
        "a sequence" => "array",
        "a map" => "object",
        "a boolean" => "boolean",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => "integer",
        other => other,
    }
}

/// An error of a response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireError {
    /// One of the protocol's codes.
    pub code: String,
    /// For a person.
    pub message: String,
    /// For a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Whether trying again may help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// After how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl WireError {
    /// An `INVALID_REQUEST` with nothing but a message.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { code: "INVALID_REQUEST".to_owned(), message: message.into(), details: None, retryable: None, retry_after_ms: None }
    }
}

/// A response frame, as text.
#[must_use]
pub fn response(id: &str, result: &Result<Value, WireError>) -> String {
    match result {
        Ok(payload) => serde_json::json!({ "type": "res", "id": id, "ok": true, "payload": payload }).to_string(),
        Err(error) => serde_json::json!({ "type": "res", "id": id, "ok": false, "error": error }).to_string(),
    }
}

/// An event before it has its number: the same for everybody who hears it.
#[derive(Debug)]
pub struct Push {
    name: &'static str,
    payload: String,
    versions: Option<(u64, u64)>,
}

impl Push {
    /// An event with its payload.
    #[must_use]
    pub fn new(name: &'static str, payload: &Value) -> Self {
        Self { name, payload: payload.to_string(), versions: None }
    }

    /// The same with the counters of presence and health, so that a client knows what it missed.
    #[must_use]
    pub fn at(self, versions: (u64, u64)) -> Self {
        Self { versions: Some(versions), ..self }
    }

    /// Its frame, as text; one that is meant for one client only has no number.
    #[must_use]
    pub fn frame(&self, number: Option<u64>) -> String {
        let Self { name, payload, versions } = self;
        let number = number.map(|number| format!(r#","seq":{number}"#)).unwrap_or_default();
        let versions =
            versions.map(|(presence, health)| format!(r#","stateVersion":{{"presence":{presence},"health":{health}}}"#));
        format!(r#"{{"type":"event","event":"{name}","payload":{payload}{number}{}}}"#, versions.unwrap_or_default())
    }
}

/// A request frame, as text.
#[must_use]
pub fn request(id: &str, method: &str, params: Option<&Value>) -> String {
    let mut frame = serde_json::json!({ "type": "req", "id": id, "method": method });
    if let (Some(params), Some(frame)) = (params, frame.as_object_mut()) {
        frame.insert("params".to_owned(), params.clone());
    }
    frame.to_string()
}

/// What a gateway sends, as a client reads it.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Inbound {
    /// The answer to a request.
    Res {
        /// The request's id.
        id: String,
        /// Whether it was granted.
        ok: bool,
        /// What it gave.
        #[serde(default)]
        payload: Value,
        /// Why not.
        #[serde(default)]
        error: Option<WireError>,
    },
    /// Something happened.
    Event {
        /// What.
        event: String,
        /// Its facts.
        #[serde(default)]
        payload: Value,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        match parse_call(text.as_bytes()) {
            Err(Malformed::NotARequest { why, .. }) => why,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_frame_is_closed_and_its_complaints_are_those_clients_know() {
        assert!(parse_call(br#"{"type":"req","id":"1","method":"health"}"#).is_ok());
        assert_eq!(why(r#"{"type":"req","method":"health"}"#), "must have required property 'id'");
        assert_eq!(why(r#"{"type":"req","id":"1","method":"health","zzz":1}"#), "at root: unexpected property 'zzz'");
        assert_eq!(why(r#"{"type":"req","id":"1","method":""}"#), "at /method: must NOT have fewer than 1 characters");
        assert_eq!(why(r#"{"type":"event","id":"1","method":"x"}"#), "at /type: must be equal to constant");
        assert_eq!(why("null"), "must be object");
        assert_eq!(parse_call(b"{nope").err(), Some(Malformed::NotJson));
    }

    #[test]
    fn x26_a_repeated_key_is_an_error() {
        assert!(why(r#"{"type":"req","id":"1","method":"a","method":"b"}"#).contains("duplicate field"));
    }

    #[test]
    fn x26_an_array_is_not_an_object() {
        assert_eq!(why(r#"["req","1","health",{}]"#), "must be object");
        let raw = RawValue::from_string(r#"["a"]"#.to_owned()).expect("JSON");
        assert_eq!(parse_params::<super::super::devices::RequestParams>(Some(&raw)).err().as_deref(), Some("must be object"));
        let Err(Malformed::NotARequest { id, .. }) = parse_call(br#"["7"]"#) else { panic!("no request") };
        assert_eq!(id, "invalid");
    }

    #[test]
    fn the_id_is_answered_to_even_where_the_frame_is_wrong() {
        let Err(Malformed::NotARequest { id, .. }) = parse_call(br#"{"type":"req","id":"7","method":"a","b":1}"#) else {
            panic!("an unknown key is an error");
        };
        assert_eq!(id, "7");
    }

    #[test]
    fn n05_depth_is_bounded_and_brackets_in_a_text_are_no_depth() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let frame = |params: &str| format!(r#"{{"type":"req","id":"1","method":"a","params":{params}}}"#);
        assert!(parse_call(frame(&nested(limits::JSON_DEPTH - 1)).as_bytes()).is_ok());
        assert_eq!(why(&frame(&nested(limits::JSON_DEPTH))), "nested deeper than 128 levels");
        assert_eq!(why(&frame(&nested(100_000))), "nested deeper than 128 levels");
        assert!(parse_call(frame(&format!(r#"["\"{}"]"#, "[".repeat(1_000))).as_bytes()).is_ok());
    }
}
