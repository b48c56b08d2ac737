//! Reading a policy document: JSON5 of a closed language. Whoever is refused hears on which line, at which key, and why.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use json5::{Deserializer, Position};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_path_to_error::{Segment, Track};
use sha2::{Digest as _, Sha256};

use super::super::identity::is_plain;
use super::super::ids::Digest;
use super::Policy;
use super::terms::LocalPeer;
use crate::limits;

/// A document that is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Too large.
    #[error("the policy is larger than {} bytes", limits::POLICY_BYTES)]
    TooLarge,
    /// Nested too deep.
    #[error("the policy is nested deeper than {} levels", limits::JSON5_DEPTH)]
    TooDeep,
    /// Not JSON5, not of the language, or not safe.
    #[error("{0}")]
    Malformed(Flaw),
}

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The line and the column, both from 1; none where it is about the whole.
    pub place: Option<(usize, usize)>,
    /// The key that it is about, such as `budgets.record.window`; empty where it is about the whole.
    pub key: String,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.why)
    }
}

impl PolicyError {
    /// What is wrong and where, where the document was read at all.
    #[must_use]
    pub fn flaw(&self) -> Option<&Flaw> {
        if let Self::Malformed(flaw) = self { Some(flaw) } else { None }
    }
}

/// By which a text is known that was checked, and is to be the one that is applied.
#[must_use]
pub fn policy_digest(text: &str) -> Digest {
    Digest(Sha256::digest(text).into())
}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// [`PolicyError`], which names line, key and reason.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > limits::POLICY_BYTES {
            return Err(PolicyError::TooLarge);
        }
        if json5_depth(text) > limits::JSON5_DEPTH {
            return Err(PolicyError::TooDeep);
        }
        let malformed = |flaw| Err(PolicyError::Malformed(flaw));
        if let Some((at, c)) = text.char_indices().find(|(_, c)| !is_plain(*c) && !matches!(c, '\n' | '\r' | '\t')) {
            let why = format!("the character {} makes a text look like another one", c.escape_unicode());
            return malformed(Flaw { place: Some(one_based(Position::from_offset(at, text))), key: String::new(), why });
        }
        if let Some(flaw) = key_that_stands_twice(text) {
            return malformed(flaw);
        }
        let policy: Self = match json5::from_str(text) {
            Ok(policy) => policy,
            Err(error) => return malformed(flaw(text, &error)),
        };
        match policy.unsafe_together() {
            None => Ok(policy),
            Some((key, why)) => {
                let place = place_of(text, &[Step::Key(key.to_owned())]).map(one_based);
                malformed(Flaw { place, key: key.to_owned(), why: why.to_owned() })
            }
        }
    }

    /// The first of what is safe alone and not together: the key to change, and why.
    fn unsafe_together(&self) -> Option<(&'static str, &'static str)> {
        let upgrades = self.local_upgrade.0.is_some();
        (upgrades && self.local_peer == LocalPeer::Loopback).then_some((
            "localUpgrade",
            "with localPeer \"loopback\" every user of this host, and whatever a proxy on it passes on, could be given more; \
             it goes with \"owner-uid\" only",
        ))
    }
}

/// How deep brackets nest in a JSON5 text, up to where it stops being one. What stands in strings and comments is passed over as
/// the parser does: a bracket there that closed nothing would hide the depth of those that open.
#[must_use]
pub fn json5_depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '[' | '{' => depth = depth.saturating_add(1),
            ']' | '}' => depth = depth.saturating_sub(1),
            '"' | '\'' => {
                while let Some(inner) = rest.next_if(|inner| *inner != c) {
                    if inner == '\\' {
                        rest.next();
                    }
                }
                rest.next();
            }
            '/' if rest.next_if_eq(&'/').is_some() => {
                while rest.next_if(|inner| !matches!(inner, '\n' | '\r' | '\u{2028}' | '\u{2029}')).is_some() {}
            }
            '/' if rest.next_if_eq(&'*').is_some() => {
                while rest.next().is_some_and(|inner| inner != '*' || rest.peek() != Some(&'/')) {}
                rest.next();
            }
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Why a document could not be read. The parser knows where it stood, which of a value that was read whole is behind it; the
/// path knows the value. The later of the two is the nearer.
fn flaw(text: &str, error: &json5::Error) -> Flaw {
    let mut track = Track::new();
    let mut again = Deserializer::from_str(text);
    let _ = Policy::deserialize(serde_path_to_error::Deserializer::new(&mut again, &mut track));
    let path = track.path();
    let steps: Vec<_> = path.iter().filter_map(Step::of).collect();
    let at = |position: Position| (position.line, position.column);
    let parsed = error.position();
    let said = error.to_string();
    let why = parsed.and_then(|at| said.strip_suffix(&format!(" at {at}"))).unwrap_or(&said);
    // An unknown key is named by the reason, and is itself what is wrong.
    let is_key = why.starts_with("unknown field");
    let found = place_of(text, &steps).filter(|_| !is_key);
    let place = parsed.into_iter().chain(found).max_by_key(|position| at(*position));
    let key = key_text(steps.get(..steps.len().saturating_sub(usize::from(is_key))).unwrap_or_default());
    let why = why.replacen("unknown field", "unknown key", 1).replacen("missing field", "missing key", 1);
    let cut = |text: &str| text.get(..text.floor_char_boundary(limits::POLICY_FLAW_BYTES)).unwrap_or_default().to_owned();
    Flaw { place: place.map(one_based), key: cut(&key), why: cut(&why) }
}

fn one_based(position: Position) -> (usize, usize) {
    (position.line.saturating_add(1), position.column.saturating_add(1))
}

/// One step into a document.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Step {
    fn of(segment: &Segment) -> Option<Self> {
        match segment {
            Segment::Map { key } => Some(Self::Key(key.clone())),
            Segment::Seq { index } => Some(Self::Index(*index)),
            Segment::Enum { .. } | Segment::Unknown => None,
        }
    }
}

fn key_text(steps: &[Step]) -> String {
    steps.iter().fold(String::new(), |text, step| match step {
        Step::Key(key) if text.is_empty() => key.clone(),
        Step::Key(key) => format!("{text}.{key}"),
        Step::Index(index) => format!("{text}[{index}]"),
    })
}

/// Where the value stands that these steps lead to.
fn place_of(text: &str, steps: &[Step]) -> Option<Position> {
    let stopped = Cell::new(false);
    let mut document = Deserializer::from_str(text);
    let error = Walk { to: Some(steps), stopped: &stopped }.deserialize(&mut document).err()?;
    error.position().filter(|_| stopped.get())
}

fn key_that_stands_twice(text: &str) -> Option<Flaw> {
    let stopped = Cell::new(false);
    let mut document = Deserializer::from_str(text);
    let error = Walk { to: None, stopped: &stopped }.deserialize(&mut document).err()?;
    let said = error.to_string();
    let position = error.position().filter(|_| stopped.get())?;
    let why = said.strip_suffix(&format!(" at {position}")).unwrap_or(&said);
    let why = why.get(..why.floor_char_boundary(limits::POLICY_FLAW_BYTES)).unwrap_or_default().to_owned();
    Some(Flaw { place: Some(one_based(position)), key: String::new(), why })
}

/// Goes through a document whatever it means, and stops at a value, or else at a key that its object has already: the parser
/// tells where.
#[derive(Clone, Copy)]
struct Walk<'a> {
    to: Option<&'a [Step]>,
    stopped: &'a Cell<bool>,
}

impl<'a> Walk<'a> {
    fn step(self, step: &Step) -> Self {
        let to = self.to.and_then(|to| to.split_first()).filter(|(first, _)| *first == step).map(|(_, rest)| rest);
        Self { to, ..self }
    }

    fn is_there(self) -> bool {
        self.to.is_some_and(<[_]>::is_empty)
    }

    fn stop<E: Error>(self, why: &str) -> E {
        self.stopped.set(true);
        E::custom(why)
    }

    fn pass<E: Error>(self) -> Result<(), E> {
        if self.is_there() { Err(self.stop("here")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.pass()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.pass()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.pass()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.pass()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.pass()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.pass()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.pass()?;
        let mut index = 0_usize;
        while items.next_element_seed(self.step(&Step::Index(index)))?.is_some() {
            index = index.saturating_add(1);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.pass()?;
        let mut seen = BTreeSet::new();
        while let Some(key) = members.next_key_seed(Key { seen: &seen, walk: self })? {
            members.next_value_seed(self.step(&Step::Key(key.clone())))?;
            seen.insert(key);
        }
        Ok(())
    }
}

/// A key of an object that has had these.
struct Key<'a> {
    seen: &'a BTreeSet<String>,
    walk: Walk<'a>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        if self.walk.to.is_none() && self.seen.contains(key) {
            return Err(self.walk.stop(&format!("the key `{key}` stands twice")));
        }
        Ok(key.to_owned())
    }
}
