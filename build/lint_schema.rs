//! The rules for schemas: what would become a float, a closed enum, a type that fails on `null`, or no code at all.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::keys::{Part, check_keys, found};
use super::lint::REPLACED;
use super::yaml::{Document, Fault, join};

const TYPES: &[&str] = &["object", "array", "string", "integer", "number", "boolean"];
const FORMATS: &[&str] = &["int32", "int64", "uint32", "uint64", "password", "byte"];

/// Checks the schema at `pointer` and everything below it; `component` is its name under `components/schemas`.
pub(crate) fn check_schema(document: &Document, pointer: &str, component: Option<&str>, faults: &mut Vec<Fault>) {
    let Some(schema) = document.value.pointer(pointer).and_then(Value::as_object) else {
        faults.push(document.fault(pointer, "a schema must be an object"));
        return;
    };
    if let Some(reference) = schema.get("$ref") {
        check_reference(document, pointer, schema, reference, faults);
        return;
    }
    check_keys(document, pointer, Part::Schema, faults);
    // The name decides what these become; their body only documents both spellings of the wire.
    if component.is_some_and(|name| REPLACED.contains(&name)) {
        return;
    }
    check_type(document, pointer, schema, faults);
    check_enum(document, pointer, schema, component, faults);
    if schema.contains_key("x-rust-type") {
        check_rust_type(document, pointer, faults);
    }
    check_object(document, pointer, schema, faults);
    check_parts(document, pointer, schema, faults);
}

fn check_reference(
    document: &Document,
    pointer: &str,
    schema: &Map<String, Value>,
    reference: &Value,
    faults: &mut Vec<Fault>,
) {
    match reference.as_str() {
        Some(target) if target.starts_with("#/components/schemas/") => {}
        _ => {
            faults.push(document.fault(
                &join(pointer, "$ref"),
                "a schema's `$ref` must lead to `#/components/schemas/...` of this file",
            ))
        }
    }
    for key in schema.keys().filter(|key| *key != "$ref" && !key.starts_with("x-")) {
        faults.push(document.fault(
            &join(pointer, key),
            format!("`{key}` beside `$ref` is ignored; write `allOf: [{{$ref: ...}}]` and `{key}`"),
        ));
    }
}

fn check_type(document: &Document, pointer: &str, schema: &Map<String, Value>, faults: &mut Vec<Fault>) {
    let at = join(pointer, "type");
    match schema.get("type").and_then(Value::as_str) {
        Some("number") => faults.push(
            document.fault(&at, "`type: number` becomes a binary float; use `$ref` to Yuan, YuanText, Fen or Count"),
        ),
        Some("array") if !schema.contains_key("items") => {
            faults.push(document.fault(pointer, "a list needs `items`"));
        }
        Some(kind) if !TYPES.contains(&kind) => {
            faults.push(document.fault(&at, format!("unknown type `{kind}`; one of {}", TYPES.join(", "))));
        }
        _ => {}
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str)
        && !FORMATS.contains(&format)
    {
        let hint = match format {
            "date-time" | "date" => "; use `$ref` to UpstreamTime",
            "float" | "double" => "; use `$ref` to Yuan, YuanText, Fen or Count",
            _ => "",
        };
        faults.push(document.fault(&join(pointer, "format"), format!("format `{format}` is not read{hint}")));
    }
}

/// A closed enum would fail a whole answer on one new word, so every enum is an open one with a name of its own.
fn check_enum(
    document: &Document,
    pointer: &str,
    schema: &Map<String, Value>,
    component: Option<&str>,
    faults: &mut Vec<Fault>,
) {
    let open = schema.get("x-open-enum") == Some(&Value::Bool(true));
    if !open {
        if schema.contains_key("enum") {
            faults.push(document.fault(
                &join(pointer, "enum"),
                "a closed enum fails on a new word; make it a component with `x-open-enum: true`",
            ));
        }
        return;
    }
    if component.is_none() {
        faults.push(document.fault(pointer, "an open enum must be a component of its own"));
    }
    let words = strings(schema.get("enum"));
    if words.is_empty() || words.contains(&None) {
        faults.push(document.fault(&join(pointer, "enum"), "an open enum lists its known words as texts"));
        return;
    }
    let names = match schema.get("x-enum-varnames") {
        Some(list) => strings(Some(list)),
        None => words.clone(),
    };
    let names_at = join(pointer, "x-enum-varnames");
    if names.len() != words.len() {
        faults.push(
            document.fault(&names_at, format!("{} words but {} names in `x-enum-varnames`", words.len(), names.len())),
        );
    }
    let described = strings(schema.get("x-enum-descriptions"));
    if schema.contains_key("x-enum-descriptions") && described.len() != words.len() {
        faults.push(document.fault(
            &join(pointer, "x-enum-descriptions"),
            format!("{} words but {} descriptions", words.len(), described.len()),
        ));
    }
    unique(document, &join(pointer, "enum"), "word", &words, faults);
    if schema.contains_key("x-enum-varnames") {
        unique(document, &names_at, "name", &names, faults);
    }
    for name in names.iter().flatten() {
        let fits = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric())
            && *name != "Other"
            && *name != "Self";
        if !fits {
            faults.push(document.fault(
                &names_at,
                format!("`{name}` cannot name a variant; give `x-enum-varnames` in PascalCase (`Other` is taken)"),
            ));
        }
    }
}

fn unique(document: &Document, pointer: &str, what: &str, list: &[Option<&str>], faults: &mut Vec<Fault>) {
    for (index, entry) in list.iter().enumerate() {
        if entry.is_some() && list[..index].contains(entry) {
            faults.push(document.fault(pointer, format!("{what} `{}` appears twice", entry.unwrap_or_default())));
        }
    }
}

fn strings(list: Option<&Value>) -> Vec<Option<&str>> {
    list.and_then(Value::as_array).map(|rows| rows.iter().map(Value::as_str).collect()).unwrap_or_default()
}

fn check_rust_type(document: &Document, pointer: &str, faults: &mut Vec<Fault>) {
    let at = join(pointer, "x-rust-type");
    check_keys(document, &at, Part::RustType, faults);
    let text = |key: &str| document.value.pointer(&join(&at, key)).and_then(Value::as_str);
    if text("crate") != Some("tillbook") {
        faults.push(document.fault(&at, "`x-rust-type` must say `crate: tillbook`: another one is ignored in silence"));
    }
    if text("version").is_none() {
        faults.push(document.fault(&at, "`x-rust-type` needs `version: \"*\"`"));
    }
    match text("path") {
        Some(path) if path.starts_with("tillbook::clients::wire::") => {}
        _ => faults.push(document.fault(&at, "`path` must be a type of `tillbook::clients::wire::`")),
    }
    let parameters = join(&at, "parameters");
    let count = document.value.pointer(&parameters).and_then(Value::as_array).map_or(0, Vec::len);
    for index in 0..count {
        check_schema(document, &join(&parameters, &index.to_string()), None, faults);
    }
}

/// Names that `required` lists and `properties` lacks, in every schema below `value`.
pub(crate) fn check_required_names(document: &Document, value: &Value, pointer: &str, faults: &mut Vec<Fault>) {
    let Value::Object(schema) = value else {
        if let Value::Array(parts) = value {
            for (index, part) in parts.iter().enumerate() {
                check_required_names(document, part, &join(pointer, &index.to_string()), faults);
            }
        }
        return;
    };
    if schema.get("type").and_then(Value::as_str) == Some("object") {
        let properties = schema.get("properties").and_then(Value::as_object);
        for name in strings(schema.get("required")).iter().flatten() {
            if !properties.is_some_and(|properties| properties.contains_key(*name)) {
                let text = format!("`required` names `{name}`, which is not a property");
                faults.push(document.fault(&join(pointer, "required"), text));
            }
        }
    }
    for (key, part) in schema {
        check_required_names(document, part, &join(pointer, key), faults);
    }
}

fn check_object(document: &Document, pointer: &str, schema: &Map<String, Value>, faults: &mut Vec<Fault>) {
    if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
        faults.push(document.fault(
            &join(pointer, "additionalProperties"),
            "`additionalProperties: false` fails the whole answer on a new field",
        ));
    }
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let required = strings(schema.get("required"));
    let mut fields: BTreeMap<String, &str> = BTreeMap::new();
    for (name, property) in properties {
        let at = join(&join(pointer, "properties"), name);
        if let Some(other) = fields.insert(field_name(name), name) {
            faults.push(document.fault(&at, format!("properties `{other}` and `{name}` become one Rust field")));
        }
        check_schema(document, &at, None, faults);
        let nullable = property.get("nullable") == Some(&Value::Bool(true));
        if required.contains(&Some(name)) {
            if nullable {
                faults.push(document.fault(
                    &at,
                    format!("`{name}` is nullable and required: a missing key would fail; take it out of `required`"),
                ));
            }
        } else if property.get("type").and_then(Value::as_str) == Some("array")
            && !nullable
            && property.get("x-rust-type").is_none()
        {
            faults.push(
                document.fault(&at, format!("list `{name}` needs `nullable: true`: `null` would fail the answer")),
            );
        }
    }
}

fn check_parts(document: &Document, pointer: &str, schema: &Map<String, Value>, faults: &mut Vec<Fault>) {
    if schema.contains_key("items") {
        check_schema(document, &join(pointer, "items"), None, faults);
    }
    if schema.get("additionalProperties").is_some_and(Value::is_object) {
        check_schema(document, &join(pointer, "additionalProperties"), None, faults);
    }
    for key in ["allOf", "oneOf"] {
        let Some(rows) = schema.get(key).and_then(Value::as_array) else {
            continue;
        };
        for (index, row) in rows.iter().enumerate() {
            let at = join(&join(pointer, key), &index.to_string());
            if key == "oneOf" && row.get("title").is_none() && row.get("$ref").is_none() {
                faults.push(document.fault(
                    &at,
                    format!(
                        "each choice of `oneOf` needs a `title` or a `$ref`, found {}: it names the variant",
                        found(row)
                    ),
                ));
            }
            check_schema(document, &at, None, faults);
        }
    }
}

/// The Rust field a property becomes, near enough to see two of them collide.
fn field_name(property: &str) -> String {
    let mut field = String::new();
    let mut after_lower = false;
    for letter in property.chars() {
        if !letter.is_alphanumeric() {
            field.push('_');
        } else if letter.is_uppercase() && after_lower {
            field.push('_');
            field.extend(letter.to_lowercase());
        } else {
            field.extend(letter.to_lowercase());
        }
        after_lower = letter.is_lowercase() || letter.is_numeric();
    }
    field
}
