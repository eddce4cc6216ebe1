//! An upstream's answer about one order, as it came.

use std::fmt;

use bytes::Bytes;

/// The bytes in which an upstream answered about one order, or the row of its list.
///
/// They may carry the payer's data, which nothing else here does: they are never part of an event, an export or a
/// log, `Debug` tells their size alone, and they cannot be serialized by mistake.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(Bytes);

impl Body {
    /// A larger one is not kept.
    pub const LIMIT_BYTES: usize = 64 * 1024;

    /// The bytes as they came; they are shared, not copied.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Body {
        Body(bytes.into())
    }

    /// The bytes. Whoever prints them prints the payer's data.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes there are.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_back_its_bytes_and_its_debug_tells_their_size_alone() {
        let body = Body::new("{\"openid\":\"oX\"}".to_owned());
        assert_eq!((format!("{body:?}").as_str(), body.size_bytes()), ("Body(15 bytes)", 15));
        assert_eq!(body.expose(), b"{\"openid\":\"oX\"}");
        assert_eq!(Body::LIMIT_BYTES, 65_536);
    }
}
