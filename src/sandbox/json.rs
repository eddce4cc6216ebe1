//! JSON as the upstreams write it: the same amount as `80`, `80.0`, `80.00`, `"80.00"` or `"80"`.
//!
//! Writing goes through [`Json`], whose numbers are literal text, so that no amount ever passes a float. Reading
//! goes through [`Fields`], which keeps each value's own text for the same reason.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// A JSON value to be written; an object keeps the order in which its fields were put.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Int(i64),
    /// A number exactly as it shall stand on the wire.
    Literal(String),
    Text(String),
    List(Vec<Json>),
    Object(Object),
}

/// The fields of one JSON object, in writing order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object(Vec<(&'static str, Json)>);

impl Object {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Json>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Puts the field, or leaves it out altogether (which is not the same as null).
    pub(crate) fn maybe(self, name: &'static str, value: Option<impl Into<Json>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

impl Json {
    /// The value's text, without spaces.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Literal(number) => out.push_str(number),
            Self::Text(text) => write_text(text, out),
            Self::List(items) => {
                out.push('[');
                for (nth, item) in items.iter().enumerate() {
                    if nth > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(Object(fields)) => {
                out.push('{');
                for (nth, (name, value)) in fields.iter().enumerate() {
                    if nth > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Self {
        Self::List(items)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// How an upstream writes one amount of yuan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum YuanStyle {
    /// `80`, `80.5`, `0.01`
    Shortest,
    /// `80.0`, `80.5`, `0.01`
    Float,
    /// `80.00`
    TwoPlaces,
    /// `"80.00"`
    Text,
    /// `"80"`, `"80.5"`
    ShortText,
}

/// An amount of fen in yuan, in the given style.
pub(crate) fn yuan(fen: i64, style: YuanStyle) -> Json {
    match style {
        YuanStyle::Shortest => Json::Literal(shortest(fen)),
        YuanStyle::Float => {
            let text = shortest(fen);
            Json::Literal(if text.contains('.') { text } else { format!("{text}.0") })
        }
        YuanStyle::TwoPlaces => Json::Literal(two_places(fen)),
        YuanStyle::Text => Json::Text(two_places(fen)),
        YuanStyle::ShortText => Json::Text(shortest(fen)),
    }
}

/// `8050` fen as `80.50`.
pub(crate) fn two_places(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}

fn shortest(fen: i64) -> String {
    let text = two_places(fen);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads yuan exactly; more than two decimals, signs other than `-` and exponents are refused.
pub(crate) fn fen_exact(text: &str) -> Option<i64> {
    let (negative, whole, fraction) = decimal_parts(text)?;
    if fraction.len() > 2 {
        return None;
    }
    fen_of(negative, whole, fraction)
}

/// Reads yuan as `new BigDecimal(text).multiply(100).longValue()` does: what is below one fen is silently cut off.
pub(crate) fn fen_cut_off(text: &str) -> Option<i64> {
    let (negative, whole, fraction) = decimal_parts(text)?;
    fen_of(negative, whole, fraction.get(..2).unwrap_or(fraction))
}

fn decimal_parts(text: &str) -> Option<(bool, &str, &str)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    Some((negative, whole, fraction))
}

fn fen_of(negative: bool, whole: &str, fraction: &str) -> Option<i64> {
    let fen: i64 = format!("{whole}{fraction:0<2}").parse().ok()?;
    Some(if negative { -fen } else { fen })
}

/// The fields of an incoming JSON object, each as the text that was sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(BTreeMap<String, Box<RawValue>>);

impl Fields {
    /// Reads an object; anything else, or JSON that does not parse, is `None`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// A text's content, or the literal of a number or boolean; null, lists and objects count as not given.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let raw = self.0.get(name)?.get();
        match raw.as_bytes().first()? {
            b'"' => serde_json::from_str(raw).ok(),
            b'{' | b'[' | b'n' => None,
            _ => Some(raw.to_owned()),
        }
    }

    /// A field that is not empty.
    pub(crate) fn filled(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// The value's own JSON text.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|raw| raw.get())
    }

    /// An object inside this one.
    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        Self::read(self.raw(name)?)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_amount_is_written_in_five_shapes() {
        let shapes = |fen| {
            [YuanStyle::Shortest, YuanStyle::Float, YuanStyle::TwoPlaces, YuanStyle::Text, YuanStyle::ShortText]
                .map(|style| yuan(fen, style).text())
        };
        assert_eq!(shapes(8000), ["80", "80.0", "80.00", "\"80.00\"", "\"80\""]);
        assert_eq!(shapes(8050), ["80.5", "80.5", "80.50", "\"80.50\"", "\"80.5\""]);
        assert_eq!(shapes(1), ["0.01", "0.01", "0.01", "\"0.01\"", "\"0.01\""]);
        assert_eq!(shapes(0), ["0", "0.0", "0.00", "\"0.00\"", "\"0\""]);
        assert_eq!(shapes(-150), ["-1.5", "-1.5", "-1.50", "\"-1.50\"", "\"-1.5\""]);
    }

    #[test]
    fn exact_reading_refuses_what_cut_off_reading_loses() {
        assert_eq!(fen_exact("12.5"), Some(1250));
        assert_eq!(fen_exact("12"), Some(1200));
        assert_eq!(fen_exact("12.505"), None);
        assert_eq!(fen_cut_off("12.509"), Some(1250));
        assert_eq!(fen_cut_off("-0.019"), Some(-1));
        for text in ["", ".", "1e2", "+1", "1,5", "NaN", " 1", "99999999999999999999"] {
            assert_eq!(fen_exact(text), None, "{text:?}");
            assert_eq!(fen_cut_off(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_field_is_read_from_its_own_text() {
        let fields = Fields::read(r#"{"a":10.50,"b":"10.50","c":null,"d":"","e":{"f":1}}"#).expect("valid JSON");
        assert_eq!(fields.text("a").as_deref(), Some("10.50"));
        assert_eq!(fields.text("b").as_deref(), Some("10.50"));
        assert_eq!(fields.text("c"), None);
        assert_eq!(fields.filled("d"), None);
        assert_eq!(fields.object("e").and_then(|e| e.text("f")).as_deref(), Some("1"));
        assert!(Fields::read("[1]").is_none());
    }

    #[test]
    fn text_is_escaped_and_field_order_is_kept() {
        let json = Json::from(Object::new().with("z", "a\"\\\n\u{1}奶茶").with("a", Json::List(vec![Json::Null])));
        assert_eq!(json.text(), "{\"z\":\"a\\\"\\\\\\n\\u0001奶茶\",\"a\":[null]}");
    }
}
