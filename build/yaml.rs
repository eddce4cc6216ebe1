//! Reads a spec (YAML, and so JSON) into a JSON value that still knows where every part of it stood.
//!
//! openapiv3 reports faults without a usable place, and of two equal keys it takes one in silence; here a key that
//! appears twice, an alias or a tag is a fault with its line. Start at [`load`].

use std::collections::BTreeMap;
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_json::{Map, Number, Value};

/// Something wrong with a spec, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    /// Line of the spec, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
    /// JSON pointer of the part that is wrong; empty when the text is not YAML at all.
    pub(crate) pointer: String,
    /// What is wrong, in one line.
    pub(crate) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        if self.pointer.is_empty() { Ok(()) } else { write!(f, " (at {})", self.pointer) }
    }
}

/// A spec and the place of each of its parts.
#[derive(Debug)]
pub(crate) struct Document {
    /// The spec as JSON.
    pub(crate) value: Value,
    places: BTreeMap<String, (usize, usize)>,
}

impl Document {
    /// A fault at `pointer`; where the part itself is missing, the place of the nearest part around it.
    pub(crate) fn fault(&self, pointer: &str, message: impl Into<String>) -> Fault {
        let (line, column) = self.place(pointer);
        Fault { line, column, pointer: pointer.to_owned(), message: message.into() }
    }

    fn place(&self, pointer: &str) -> (usize, usize) {
        let mut at = pointer;
        loop {
            if let Some(place) = self.places.get(at) {
                return *place;
            }
            match at.rfind('/') {
                Some(cut) => at = &at[..cut],
                None => return (1, 1),
            }
        }
    }
}

/// `pointer` extended by one key, escaped as RFC 6901 asks.
pub(crate) fn join(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Reads one YAML document.
///
/// # Errors
/// Every duplicate key, alias and tag; or the one place where the text stops being YAML.
pub(crate) fn load(text: &str) -> Result<Document, Vec<Fault>> {
    let mut reader = Reader { parser: Parser::new_from_str(text), places: BTreeMap::new(), faults: Vec::new() };
    match reader.document() {
        Ok(value) if reader.faults.is_empty() => Ok(Document { value, places: reader.places }),
        Ok(_) => Err(reader.faults),
        Err(stop) => {
            let place = stop.marker();
            reader.faults.push(Fault {
                line: place.line(),
                column: place.col() + 1,
                pointer: String::new(),
                message: format!("not YAML: {}", stop.info()),
            });
            Err(reader.faults)
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    places: BTreeMap<String, (usize, usize)>,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), ScanError> {
        match self.parser.next_event() {
            Some(event) => event,
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Value, ScanError> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                Event::StreamEnd | Event::DocumentEnd => return Ok(Value::Null),
                other => {
                    self.places.insert(String::new(), place(&span));
                    let value = self.value(other, &span, "")?;
                    self.end()?;
                    return Ok(value);
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), ScanError> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(_) => {
                    self.fault(&span, "", "a second document: one file is one spec");
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    fn value(&mut self, event: Event<'a>, span: &Span, pointer: &str) -> Result<Value, ScanError> {
        if let Event::Scalar(_, _, anchor, tag) | Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) =
            &event
            && (*anchor != 0 || tag.is_some())
        {
            self.fault(span, pointer, "anchors and tags are not read; write the part out or use `$ref`");
        }
        match event {
            Event::Scalar(text, style, ..) => Ok(scalar(&text, style)),
            Event::SequenceStart(..) => {
                let mut rows = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        return Ok(Value::Array(rows));
                    }
                    let row = join(pointer, &rows.len().to_string());
                    self.places.insert(row.clone(), place(&span));
                    rows.push(self.value(event, &span, &row)?);
                }
            }
            Event::MappingStart(..) => self.mapping(pointer),
            Event::Alias(_) => {
                self.fault(span, pointer, "aliases (`*name`) are not read; write the part out or use `$ref`");
                Ok(Value::Null)
            }
            _ => Ok(Value::Null),
        }
    }

    fn mapping(&mut self, pointer: &str) -> Result<Value, ScanError> {
        let mut fields = Map::new();
        let mut first_lines: BTreeMap<String, usize> = BTreeMap::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Object(fields)),
                Event::Scalar(text, ..) => text.into_owned(),
                other => {
                    self.fault(&span, pointer, "a key must be a plain word");
                    self.value(other, &span, pointer)?;
                    let (event, span) = self.next()?;
                    self.value(event, &span, pointer)?;
                    continue;
                }
            };
            let at = join(pointer, &key);
            if let Some(line) = first_lines.get(&key) {
                self.fault(&span, &at, format!("duplicate key `{key}` (first on line {line})"));
            } else {
                first_lines.insert(key.clone(), span.start.line());
                self.places.insert(at.clone(), place(&span));
            }
            let (event, value_span) = self.next()?;
            let value = self.value(event, &value_span, &at)?;
            fields.insert(key, value);
        }
    }

    fn fault(&mut self, span: &Span, pointer: &str, message: impl Into<String>) {
        let (line, column) = place(span);
        self.faults.push(Fault { line, column, pointer: pointer.to_owned(), message: message.into() });
    }
}

fn place(span: &Span) -> (usize, usize) {
    (span.start.line(), span.start.col() + 1)
}

/// A plain word is null, a boolean or a number where JSON would read it so (YAML's other spellings stay text).
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        number => match serde_json::from_str::<Number>(number) {
            Ok(number) => Value::Number(number),
            Err(_) => Value::String(text.to_owned()),
        },
    }
}
