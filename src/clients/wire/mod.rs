//! Values as the three upstreams spell them on the wire.
//!
//! The upstreams write an amount as `"398.00"`, `100.00` or `80`, a number where a text is documented and the reverse,
//! a time in four shapes, and JSON inside a text. Each type here reads all spellings of one thing exactly, and refuses by
//! name what it cannot read exactly; nothing is rounded and nothing is guessed. The specs name these types, and the generated
//! clients use them.

mod amount;
mod json_text;
mod rows;
mod text;
mod time;
mod visit;

#[cfg(test)]
mod tests;

pub use amount::{Count, Fen, Yuan, YuanText};
#[cfg(feature = "hydrogen")]
pub(crate) use json_text::parse_part;
pub use json_text::{JsonOrText, JsonText};
pub use rows::{BadRow, Rows};
pub use text::Text;
pub use time::UpstreamTime;
