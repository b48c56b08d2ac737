//! Reads the values of a payload as they lie there ("Payloads"): fixed-width little-endian integers, flags and tags that are 0
//! or 1, counts before texts and lists. It reads what bincode writes with the options of the codec, and does it several times
//! as fast as bincode itself: a start folds every record there is.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

/// A payload from some place on.
pub(super) struct Payload<'de> {
    pub(super) rest: &'de [u8],
}

/// Why a value cannot be read. One byte, because every value may have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misread {
    /// It ends too early, or a flag, a tag, a count or a text is none.
    #[error("not the form of a payload")]
    Form,
    /// Another spelling of a value than the one.
    #[error("not in canonical form")]
    Spelling,
    /// In order, but there is no such value.
    #[error("a value that is not known")]
    Value,
}

impl de::Error for Misread {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Value
    }

    fn invalid_value(_: Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::Spelling
    }
}

impl<'de> Payload<'de> {
    #[inline]
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Misread> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Misread::Form)?;
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline]
    fn flag(&mut self) -> Result<bool, Misread> {
        match self.bytes()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Misread::Form),
        }
    }

    /// A count of things that take a byte each at least, so that what is there bounds it.
    #[inline]
    fn count(&mut self) -> Result<usize, Misread> {
        let count = usize::try_from(u64::from_le_bytes(self.bytes()?)).map_err(|_| Misread::Form)?;
        if count <= self.rest.len() { Ok(count) } else { Err(Misread::Form) }
    }

    #[inline]
    fn text(&mut self) -> Result<&'de str, Misread> {
        let count = self.count()?;
        let (text, rest) = self.rest.split_at_checked(count).ok_or(Misread::Form)?;
        self.rest = rest;
        str::from_utf8(text).map_err(|_| Misread::Form)
    }
}

macro_rules! numbers {
    ($($read:ident $visit:ident $number:ident),+) => { $(
        #[inline]
        fn $read<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
            visitor.$visit($number::from_le_bytes(self.bytes()?))
        }
    )+ };
}

impl<'de> Deserializer<'de> for &mut Payload<'de> {
    type Error = Misread;

    numbers!(
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128
    );

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        visitor.visit_bool(self.flag()?)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        visitor.visit_borrowed_str(self.text()?)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        if self.flag()? { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misread> {
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        let left = self.count()?;
        visitor.visit_seq(Parts { payload: self, left })
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Misread> {
        visitor.visit_seq(Parts { payload: self, left })
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, left: usize, visitor: V) -> Result<V::Value, Misread> {
        self.deserialize_tuple(left, visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misread> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    /// No bytes say what they are.
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Misread> {
        Err(Misread::Form)
    }

    // What no event has.
    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 f32 f64 char bytes byte_buf unit unit_struct map enum identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The parts of a list or of a structure, which lie one behind the other.
struct Parts<'a, 'de> {
    payload: &'a mut Payload<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Parts<'_, 'de> {
    type Error = Misread;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misread> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.payload).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}
