//! Which keys each part of a spec may have, and of what kind their values are.
//!
//! openapiv3 drops a key it does not know without a word: a mistyped `nullabel` would change what the client reads.
//! The tables hold what our specs may use, not all of OpenAPI: what progenitor ignores, misreads or panics at is
//! named in [`REFUSED`] with the reason. Start at [`check_keys`].

use serde_json::Value;

use super::yaml::{Document, Fault, join};

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Bool,
    Object,
    Array,
    Any,
}

type Table = &'static [(&'static str, Kind)];

/// The parts of a spec that have keys of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Root,
    Info,
    Components,
    PathItem,
    Operation,
    Parameter,
    RequestBody,
    Response,
    MediaType,
    Schema,
    RustType,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Root => "the spec",
            Part::Info => "`info`",
            Part::Components => "`components`",
            Part::PathItem => "a path",
            Part::Operation => "an operation",
            Part::Parameter => "a parameter",
            Part::RequestBody => "a request body",
            Part::Response => "a response",
            Part::MediaType => "a media type",
            Part::Schema => "a schema",
            Part::RustType => "`x-rust-type`",
        }
    }

    fn table(self) -> Table {
        use Kind::{Any, Array, Bool, Object, Text};
        match self {
            Part::Root => &[
                ("openapi", Text),
                ("info", Object),
                ("servers", Array),
                ("paths", Object),
                ("components", Object),
                ("security", Array),
                ("tags", Array),
                ("externalDocs", Object),
            ],
            Part::Info => &[
                ("title", Text),
                ("description", Text),
                ("termsOfService", Text),
                ("contact", Object),
                ("license", Object),
                ("version", Text),
            ],
            Part::Components => &[
                ("schemas", Object),
                ("responses", Object),
                ("parameters", Object),
                ("requestBodies", Object),
                ("securitySchemes", Object),
            ],
            Part::PathItem => &[
                ("summary", Text),
                ("description", Text),
                ("get", Object),
                ("put", Object),
                ("post", Object),
                ("delete", Object),
                ("patch", Object),
                ("servers", Array),
                ("parameters", Array),
            ],
            Part::Operation => &[
                ("tags", Array),
                ("summary", Text),
                ("description", Text),
                ("externalDocs", Object),
                ("operationId", Text),
                ("parameters", Array),
                ("requestBody", Object),
                ("responses", Object),
                ("deprecated", Bool),
                ("security", Array),
                ("servers", Array),
                ("x-call-safety", Text),
                ("x-gateway-method", Text),
            ],
            Part::Parameter => &[
                ("name", Text),
                ("in", Text),
                ("description", Text),
                ("required", Bool),
                ("deprecated", Bool),
                ("style", Text),
                ("explode", Bool),
                ("schema", Object),
                ("example", Any),
                ("examples", Object),
            ],
            Part::RequestBody => &[("description", Text), ("content", Object), ("required", Bool)],
            Part::Response => &[("description", Text), ("headers", Object), ("content", Object)],
            Part::MediaType => &[("schema", Object), ("example", Any), ("examples", Object)],
            Part::Schema => &[
                ("title", Text),
                ("description", Text),
                ("type", Text),
                ("format", Text),
                ("nullable", Bool),
                ("enum", Array),
                ("items", Object),
                ("properties", Object),
                ("required", Array),
                ("additionalProperties", Any),
                ("allOf", Array),
                ("oneOf", Array),
                ("default", Any),
                ("example", Any),
                ("deprecated", Bool),
                ("readOnly", Bool),
                ("writeOnly", Bool),
                ("externalDocs", Object),
                ("x-open-enum", Bool),
                ("x-enum-varnames", Array),
                ("x-enum-descriptions", Array),
                ("x-rust-type", Object),
            ],
            Part::RustType => &[("crate", Text), ("version", Text), ("path", Text), ("parameters", Array)],
        }
    }
}

/// Keys that OpenAPI knows and we refuse, each with its reason.
const REFUSED: &[(Part, &str, &str)] = &[
    (Part::Schema, "anyOf", "the generated type cannot be decoded; use `oneOf` with titles"),
    (Part::Schema, "not", "the generator panics on it"),
    (Part::Schema, "discriminator", "the generator ignores it and takes the first match"),
    (Part::Schema, "minimum", "a value outside it would fail the whole answer; say it in the description"),
    (Part::Schema, "maximum", "a value outside it would fail the whole answer; say it in the description"),
    (Part::Schema, "exclusiveMinimum", "a value outside it would fail the whole answer; say it in the description"),
    (Part::Schema, "exclusiveMaximum", "a value outside it would fail the whole answer; say it in the description"),
    (Part::Schema, "multipleOf", "a value outside it would fail the whole answer; say it in the description"),
    (Part::Schema, "minLength", "a longer or shorter text would fail the whole answer; say it in the description"),
    (Part::Schema, "maxLength", "a longer or shorter text would fail the whole answer; say it in the description"),
    (Part::Schema, "pattern", "another text would fail the whole answer; say it in the description"),
    (Part::Schema, "minItems", "another count would fail the whole answer; say it in the description"),
    (Part::Schema, "maxItems", "another count would fail the whole answer; say it in the description"),
    (Part::Schema, "uniqueItems", "a repeated row would fail the whole answer; say it in the description"),
    (Part::Schema, "minProperties", "another count would fail the whole answer; say it in the description"),
    (Part::Schema, "maxProperties", "another count would fail the whole answer; say it in the description"),
    (Part::Operation, "callbacks", "the generator ignores them"),
    (Part::Components, "callbacks", "the generator ignores them"),
    (Part::Components, "links", "the generator ignores them"),
    (Part::Components, "headers", "the generator ignores them"),
    (Part::Components, "examples", "write the example where it belongs"),
    (Part::Response, "links", "the generator ignores them"),
    (Part::MediaType, "encoding", "the generator panics on it"),
    (Part::Parameter, "content", "the generator refuses it; use `schema`"),
    (Part::Parameter, "allowReserved", "the generator ignores it"),
    (Part::Parameter, "allowEmptyValue", "the generator ignores it"),
    (Part::PathItem, "$ref", "the generator refuses it; write the path out"),
    (Part::PathItem, "head", "no adapter needs it"),
    (Part::PathItem, "options", "no adapter needs it"),
    (Part::PathItem, "trace", "no adapter needs it"),
];

/// Reports each key of the object at `pointer` that `part` may not have, and each value of a wrong kind.
///
/// Keys that begin with `x-` are notes and pass, unless they look like a mistyped one of ours.
pub(crate) fn check_keys(document: &Document, pointer: &str, part: Part, faults: &mut Vec<Fault>) {
    let Some(object) = document.value.pointer(pointer).and_then(Value::as_object) else {
        faults.push(document.fault(pointer, format!("{} must be an object", part.name())));
        return;
    };
    for (key, value) in object {
        let at = join(pointer, key);
        if let Some((_, kind)) = part.table().iter().find(|(known, _)| known == key) {
            if !is(value, *kind) {
                faults.push(document.fault(&at, format!("`{key}` must be {}, found {}", wanted(*kind), found(value))));
            }
        } else if let Some((_, _, why)) = REFUSED.iter().find(|(p, k, _)| *p == part && k == key) {
            faults.push(document.fault(&at, format!("`{key}` is refused: {why}")));
        } else {
            let near = part.table().iter().map(|(known, _)| *known).find(|known| near(known, key));
            match near {
                Some(known) => faults.push(
                    document.fault(&at, format!("unknown key `{key}` in {} (did you mean `{known}`?)", part.name())),
                ),
                None if key.starts_with("x-") => {}
                None => faults.push(document.fault(&at, format!("unknown key `{key}` in {}", part.name()))),
            }
        }
    }
}

fn is(value: &Value, kind: Kind) -> bool {
    match kind {
        Kind::Text => value.is_string(),
        Kind::Bool => value.is_boolean(),
        Kind::Object => value.is_object(),
        Kind::Array => value.is_array(),
        Kind::Any => true,
    }
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a text (quote it if it looks like a number)",
        Kind::Bool => "true or false",
        Kind::Object => "an object",
        Kind::Array => "a list",
        Kind::Any => "anything",
    }
}

/// What a value is, for a message.
pub(crate) fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Whether two keys differ by case or by at most two edits.
fn near(known: &str, key: &str) -> bool {
    known.eq_ignore_ascii_case(key) || (known.len() > 4 && edits(known, key) <= 2)
}

fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
