//! What the hand-written adapters need of each spec.
//!
//! A consumer may build against an edited copy of a spec (`TILLBOOK_SPECS_DIR`). Without this table a field that was
//! removed, renamed or retyped there would surface as compile errors inside a dependency; with it, as one message that
//! names spec, line, operation and field. Whoever makes an adapter read a new field adds it to its table
//! (`required_table.rs`, `required_trade_order.rs`, `required_hydrogen.rs`). Start at [`check`].

use std::collections::BTreeMap;

use serde_json::Value;

use super::required_table::{TABLE, Table};
use super::yaml::{Document, Fault, join};
use super::{required_hydrogen, required_trade_order};

/// One operation an adapter calls.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Its spec, as the file is named.
    pub(crate) spec: &'static str,
    /// Its `operationId`.
    pub(crate) id: &'static str,
    /// Its `x-call-safety`: an operation that moves money must not become callable by anyone.
    pub(crate) safety: &'static str,
    /// Its `x-gateway-method`, where the upstream has one.
    pub(crate) gateway_method: Option<&'static str>,
    /// What the adapter reads and writes.
    pub(crate) fields: &'static [Field],
}

/// One field: where it is, its path from there, and its type.
///
/// The path steps through references, lists and `x-rust-type` parameters by itself (`data.list.order_sn`,
/// `biz_content.refund_money`); an empty path is the whole body. The type is a component's name, `Rows<Component>`, `[item]`, or `string`, `integer`,
/// `boolean`, with the format in brackets; a `?` at the end says that the field may be absent or null.
#[derive(Debug)]
pub(crate) enum Field {
    /// A query, path or header parameter.
    Parameter(&'static str, &'static str),
    /// A field of the request body.
    Request(&'static str, &'static str),
    /// A field of the success answer.
    Answer(&'static str, &'static str),
}

/// Words of open enums that an adapter matches by the variant's name: (spec, component, variants).
pub(crate) type Variants = (&'static str, &'static str, &'static [&'static str]);

/// One table per adapter.
const TABLES: [&Table; 3] = [&TABLE, &required_trade_order::TABLE, &required_hydrogen::TABLE];

/// Every required part that the spec `name` lacks; one fault per place, however many operations share it.
pub(crate) fn check(name: &str, document: &Document) -> Vec<Fault> {
    let mut problems = Problems::default();
    let operations = TABLES.iter().flat_map(|table| table.operations);
    for operation in operations.filter(|operation| operation.spec == name) {
        check_operation(document, operation, &mut problems);
    }
    let mut faults = problems.into_faults(document);
    for (spec, component, variants) in TABLES.iter().flat_map(|table| table.variants) {
        if *spec == name {
            check_variants(document, component, variants, &mut faults);
        }
    }
    faults
}

/// Problems by place, name of the field and text, with what they touch: operations that reach one field on different
/// paths share its message.
#[derive(Default)]
struct Problems(BTreeMap<(String, String, String), Touched>);

#[derive(Default)]
struct Touched {
    operations: Vec<&'static str>,
    paths: Vec<String>,
}

/// Where a problem's text names the paths it touches.
const PATHS: &str = "{paths}";

impl Problems {
    fn add(&mut self, pointer: &str, problem: String, operation: &'static str) {
        self.add_at(pointer, "", problem, operation);
    }

    fn add_at(&mut self, pointer: &str, path: &str, problem: String, operation: &'static str) {
        let name = path.rsplit('.').next().unwrap_or(path).to_owned();
        let touched = self.0.entry((pointer.to_owned(), name, problem)).or_default();
        if !touched.operations.contains(&operation) {
            touched.operations.push(operation);
        }
        let path = format!("`{path}`");
        if !touched.paths.contains(&path) {
            touched.paths.push(path);
        }
    }

    fn into_faults(self, document: &Document) -> Vec<Fault> {
        self.0
            .into_iter()
            .map(|((pointer, _, problem), touched)| {
                let problem = problem.replace(PATHS, &touched.paths.join(", "));
                let names: Vec<String> = touched.operations.iter().map(|id| format!("`{id}`")).collect();
                let word = if names.len() == 1 { "operation" } else { "operations" };
                document.fault(&pointer, format!("{word} {}: {problem}", names.join(", ")))
            })
            .collect()
    }
}

fn check_operation(document: &Document, need: &'static Operation, problems: &mut Problems) {
    let Some(pointer) = find(document, need.id) else {
        problems.add("/paths", "missing, and the adapter calls it".to_owned(), need.id);
        return;
    };
    let text = |key: &str| document.value.pointer(&join(&pointer, key)).and_then(Value::as_str);
    for (key, wanted) in [("x-call-safety", Some(need.safety)), ("x-gateway-method", need.gateway_method)] {
        let Some(wanted) = wanted else { continue };
        match text(key) {
            Some(found) if found == wanted => {}
            Some(found) => problems.add(
                &join(&pointer, key),
                format!("`{key}` is `{found}`, but the adapter needs `{wanted}`"),
                need.id,
            ),
            None => problems.add(&pointer, format!("`{key}` is missing, the adapter needs `{wanted}`"), need.id),
        }
    }
    for field in need.fields {
        check_field(document, &pointer, field, need.id, problems);
    }
}

fn find(document: &Document, id: &str) -> Option<String> {
    let paths = document.value.get("paths")?.as_object()?;
    for (path, item) in paths {
        for (method, operation) in item.as_object()? {
            if operation.get("operationId").and_then(Value::as_str) == Some(id) {
                return Some(join(&join("/paths", path), method));
            }
        }
    }
    None
}

fn check_field(document: &Document, operation: &str, field: &Field, id: &'static str, problems: &mut Problems) {
    match field {
        Field::Parameter(name, wanted) => match parameter(document, operation, name) {
            Some((at, found)) => compare(&at, name, "parameter", &found, wanted, id, problems),
            None => {
                let at = join(operation, "parameters");
                problems.add(&at, format!("parameter `{name}` is missing, the adapter sends it as {wanted}"), id);
            }
        },
        Field::Request(path, wanted) => {
            let start = resolve(document, join(operation, "requestBody")).and_then(|body| schema_of(document, &body));
            check_path(document, operation, start, path, ("of the request", wanted), id, problems);
        }
        Field::Answer(path, wanted) => {
            let responses = join(operation, "responses");
            let start = document
                .value
                .pointer(&responses)
                .and_then(Value::as_object)
                .and_then(|answers| answers.keys().find(|status| status.starts_with('2')))
                .and_then(|status| resolve(document, join(&responses, status)))
                .and_then(|answer| schema_of(document, &answer));
            check_path(document, operation, start, path, ("of the answer", wanted), id, problems);
        }
    }
}

fn check_path(
    document: &Document,
    operation: &str,
    start: Option<String>,
    path: &str,
    (side, wanted): (&str, &str),
    id: &'static str,
    problems: &mut Problems,
) {
    let Some(mut schema) = start else {
        problems.add(operation, format!("no schema {side}, the adapter needs `{path}`"), id);
        return;
    };
    if path.is_empty() {
        compare(
            &schema,
            "",
            &format!("the whole {}", side.trim_start_matches("of the ")),
            &describe(document, &schema),
            wanted,
            id,
            problems,
        );
        return;
    }
    let mut found = String::new();
    for (index, step) in path.split('.').enumerate() {
        let Some(owner) = owner_of(document, schema.clone()) else {
            problems.add(&schema, format!("field `{path}` {side} cannot be reached at `{step}`"), id);
            return;
        };
        let at = join(&join(&owner, "properties"), step);
        if document.value.pointer(&at).is_none() {
            // Blame the step that is missing, once, and not each field below it.
            let missing: Vec<&str> = path.split('.').take(index + 1).collect();
            let wanted = if missing.len() == path.split('.').count() { format!(" as {wanted}") } else { String::new() };
            let missing = missing.join(".");
            problems.add_at(
                &join(&owner, "properties"),
                &missing,
                format!("field {PATHS} {side} is missing, the adapter needs it{wanted}"),
                id,
            );
            return;
        }
        found = format!("{}{}", describe(document, &at), if optional(document, &owner, step) { "?" } else { "" });
        schema = at;
    }
    compare(&schema, path, &format!("field {side}"), &found, wanted, id, problems);
}

fn compare(
    pointer: &str,
    path: &str,
    what: &str,
    found: &str,
    wanted: &str,
    id: &'static str,
    problems: &mut Problems,
) {
    if found != wanted {
        let hint = if found.trim_end_matches('?') == wanted.trim_end_matches('?') {
            " (a `?` means: may be absent or null)"
        } else {
            ""
        };
        let name = if path.is_empty() { String::new() } else { format!(" {PATHS}") };
        problems.add_at(pointer, path, format!("{what}{name} is {found}, but the adapter needs {wanted}{hint}"), id);
    }
}

fn parameter(document: &Document, operation: &str, name: &str) -> Option<(String, String)> {
    let item = &operation[..operation.rfind('/')?];
    for owner in [operation, item] {
        let list = join(owner, "parameters");
        let count = document.value.pointer(&list).and_then(Value::as_array).map_or(0, Vec::len);
        for index in 0..count {
            let Some(at) = resolve(document, join(&list, &index.to_string())) else {
                continue;
            };
            let parameter = document.value.pointer(&at)?;
            if parameter.get("name").and_then(Value::as_str) == Some(name) {
                let mark = if parameter.get("required") == Some(&Value::Bool(true)) { "" } else { "?" };
                let found = describe(document, &join(&at, "schema"));
                return Some((at, format!("{found}{mark}")));
            }
        }
    }
    None
}

/// Follows `$ref` from `pointer` to the part itself.
fn resolve(document: &Document, mut pointer: String) -> Option<String> {
    // Bounded, so that a reference to itself ends.
    for _ in 0..16 {
        let part = document.value.pointer(&pointer)?;
        match part.get("$ref").and_then(Value::as_str) {
            Some(target) => target.strip_prefix('#')?.clone_into(&mut pointer),
            None => return Some(pointer),
        }
    }
    None
}

/// The schema of the one media type of a body or response.
fn schema_of(document: &Document, pointer: &str) -> Option<String> {
    let content = join(pointer, "content");
    let media = document.value.pointer(&content)?.as_object()?.keys().next()?;
    Some(join(&join(&content, media), "schema"))
}

/// The object schema whose properties stand behind `pointer`: through references, one-part `allOf`, lists and the
/// parameter of an `x-rust-type`.
fn owner_of(document: &Document, mut pointer: String) -> Option<String> {
    for _ in 0..16 {
        pointer = resolve(document, pointer)?;
        let schema = document.value.pointer(&pointer)?;
        if schema.pointer("/x-rust-type/parameters/0").is_some() {
            pointer.push_str("/x-rust-type/parameters/0");
        } else if schema.get("properties").is_some() {
            return Some(pointer);
        } else if schema.pointer("/allOf/0").is_some() {
            pointer.push_str("/allOf/0");
        } else if schema.get("items").is_some() {
            pointer.push_str("/items");
        } else {
            return None;
        }
    }
    None
}

fn optional(document: &Document, owner: &str, property: &str) -> bool {
    let required = document.value.pointer(&join(owner, "required")).and_then(Value::as_array);
    !required.is_some_and(|names| names.iter().any(|name| name == property))
}

/// The type of a schema in the words of the table.
fn describe(document: &Document, pointer: &str) -> String {
    let Some(schema) = document.value.pointer(pointer) else {
        return "nothing".to_owned();
    };
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return target.rsplit('/').next().unwrap_or(target).to_owned();
    }
    if let Some(path) = schema.pointer("/x-rust-type/path").and_then(Value::as_str) {
        let name = path.rsplit(':').next().unwrap_or(path);
        let count = schema.pointer("/x-rust-type/parameters").and_then(Value::as_array).map_or(0, Vec::len);
        let inner: Vec<String> =
            (0..count).map(|index| describe(document, &format!("{pointer}/x-rust-type/parameters/{index}"))).collect();
        return if inner.is_empty() { name.to_owned() } else { format!("{name}<{}>", inner.join(", ")) };
    }
    if schema.pointer("/allOf/0").is_some() && schema.pointer("/allOf/1").is_none() {
        return describe(document, &format!("{pointer}/allOf/0"));
    }
    if schema.get("oneOf").is_some() {
        return "oneOf".to_owned();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => format!("[{}]", describe(document, &join(pointer, "items"))),
        Some(kind) => match schema.get("format").and_then(Value::as_str) {
            Some(format) => format!("{kind}({format})"),
            None => kind.to_owned(),
        },
        None => "any".to_owned(),
    }
}

fn check_variants(document: &Document, component: &str, variants: &[&str], faults: &mut Vec<Fault>) {
    let at = join("/components/schemas", component);
    let Some(schema) = document.value.pointer(&at) else {
        faults.push(
            document.fault("/components/schemas", format!("open enum `{component}` is missing, the adapter reads it")),
        );
        return;
    };
    let names = schema.get("x-enum-varnames").or_else(|| schema.get("enum")).and_then(Value::as_array);
    for variant in variants {
        if !names.is_some_and(|names| names.iter().any(|name| name == variant)) {
            faults.push(
                document.fault(
                    &at,
                    format!("open enum `{component}` lacks the variant `{variant}`, which the adapter reads"),
                ),
            );
        }
    }
}
