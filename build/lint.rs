//! Checks a whole spec before the generator sees it, and reports every fault at once, each with its line.
//!
//! progenitor turns what it does not match into a binary float, a closed enum or a panic without a place. The rules
//! here shut each of those doors: operations and their parts in this file, schemas in `lint_schema.rs`, keys in
//! `keys.rs`, what the adapters need in `required.rs`. Start at [`check`].

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::keys::{Part, check_keys};
use super::lint_schema::{check_required_names, check_schema};
use super::required;
use super::yaml::{Document, Fault, join};

/// Components whose name stands for one of our wire types: their body is documentation, the name decides.
pub(crate) const REPLACED: &[&str] = &["Yuan", "YuanText", "Fen", "Count", "UpstreamTime", "Text"];

const METHODS: &[&str] = &["get", "put", "post", "delete", "patch"];

/// Every fault of the spec `name` (`fubei`, `trade_order`, `hydrogen`; another name has no required fields), in the
/// order of its lines. [`load`](super::yaml::load) gives the document, or the faults of its YAML.
pub(crate) fn check(name: &str, document: &Document) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !document.value.is_object() {
        return vec![document.fault("", "a spec is an object that begins with `openapi:`")];
    }
    check_keys(document, "", Part::Root, &mut faults);
    check_head(document, &mut faults);
    check_components(document, &mut faults);
    check_paths(document, &mut faults);
    check_references(document, &document.value, "", &mut faults);
    // A spec with a broken shape would only repeat itself here.
    if faults.is_empty() {
        faults = required::check(name, document);
    }
    // A field that is gone from `properties` but not from `required` is best named with the operation that needs it.
    if faults.is_empty() {
        check_required_names(document, &document.value, "", &mut faults);
    }
    faults.sort();
    faults.dedup();
    faults
}

fn check_head(document: &Document, faults: &mut Vec<Fault>) {
    let root = &document.value;
    match root.get("openapi").and_then(Value::as_str) {
        Some(version) if version.starts_with("3.0.") => {}
        _ => faults.push(document.fault("/openapi", "`openapi` must be a 3.0 version such as `\"3.0.3\"`")),
    }
    match root.get("info") {
        None => faults.push(document.fault("", "missing `info`")),
        Some(_) => check_keys(document, "/info", Part::Info, faults),
    }
    for key in ["title", "version"] {
        match root.pointer(&format!("/info/{key}")).and_then(Value::as_str) {
            None => faults.push(document.fault("/info", format!("`info` lacks the text `{key}`"))),
            // The version is sent as a header value on every call.
            Some(text) if key == "version" && !text.is_ascii() => {
                faults.push(document.fault("/info/version", "`version` must be ASCII"));
            }
            Some(_) => {}
        }
    }
    if root.get("paths").is_none() {
        faults.push(document.fault("", "missing `paths`"));
    }
}

fn check_components(document: &Document, faults: &mut Vec<Fault>) {
    if document.value.get("components").is_none() {
        return;
    }
    check_keys(document, "/components", Part::Components, faults);
    let mut type_names: BTreeMap<String, String> = BTreeMap::new();
    for name in object(document, "/components/schemas").into_iter().flat_map(Map::keys) {
        let pointer = join("/components/schemas", name);
        if !is_pascal(name) {
            faults.push(document.fault(
                &pointer,
                format!("schema name `{name}` must be PascalCase ASCII: it becomes the Rust type's name"),
            ));
        }
        if let Some(other) = type_names.insert(name.to_ascii_lowercase(), name.clone()) {
            faults.push(document.fault(&pointer, format!("schemas `{other}` and `{name}` differ by case only")));
        }
        check_schema(document, &pointer, Some(name), faults);
    }
    for name in object(document, "/components/parameters").into_iter().flat_map(Map::keys) {
        check_parameter(document, &join("/components/parameters", name), faults);
    }
    for name in object(document, "/components/requestBodies").into_iter().flat_map(Map::keys) {
        check_request_body(document, &join("/components/requestBodies", name), faults);
    }
    for name in object(document, "/components/responses").into_iter().flat_map(Map::keys) {
        check_response(document, &join("/components/responses", name), faults);
    }
}

fn check_paths(document: &Document, faults: &mut Vec<Fault>) {
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for path in object(document, "/paths").into_iter().flat_map(Map::keys) {
        let pointer = join("/paths", path);
        if !path.starts_with('/') {
            faults.push(document.fault(&pointer, format!("path `{path}` must begin with `/`")));
        }
        check_keys(document, &pointer, Part::PathItem, faults);
        let shared = parameters(document, &pointer, faults);
        for method in METHODS {
            let at = join(&pointer, method);
            if object(document, &at).is_some() {
                check_operation(document, &at, path, &shared, &mut ids, faults);
            }
        }
    }
}

fn check_operation(
    document: &Document,
    pointer: &str,
    path: &str,
    shared: &[(String, String)],
    ids: &mut BTreeMap<String, String>,
    faults: &mut Vec<Fault>,
) {
    check_keys(document, pointer, Part::Operation, faults);
    let operation = &document.value.pointer(pointer).cloned().unwrap_or_default();
    match operation.get("operationId").and_then(Value::as_str) {
        None => faults.push(document.fault(pointer, "an operation needs an `operationId`")),
        Some(id) => {
            let at = join(pointer, "operationId");
            if !is_snake(id) {
                faults.push(document.fault(&at, format!("operationId `{id}` must be snake_case ASCII")));
            }
            if let Some(other) = ids.insert(id.to_owned(), path.to_owned()) {
                faults.push(document.fault(&at, format!("operationId `{id}` is already taken by `{other}`")));
            }
        }
    }
    match operation.get("x-call-safety").and_then(Value::as_str) {
        Some("safe" | "unsafe") => {}
        Some(word) => faults.push(document.fault(
            &join(pointer, "x-call-safety"),
            format!("`x-call-safety` must be `safe` or `unsafe`, found `{word}`"),
        )),
        None => faults.push(
            document.fault(pointer, "an operation needs `x-call-safety: safe` (a read) or `unsafe` (money may move)"),
        ),
    }
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let own = parameters(document, pointer, faults);
    for (name, place) in shared.iter().chain(&own) {
        if let Some(first) = seen.insert(name.clone(), place.clone()) {
            faults.push(document.fault(
                pointer,
                format!("parameter `{name}` appears in {first} and in {place}: the generator drops one"),
            ));
        }
    }
    for wanted in path.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)) {
        if seen.get(wanted).map(String::as_str) != Some("path") {
            faults.push(document.fault(pointer, format!("path parameter `{wanted}` is not declared")));
        }
    }
    if operation.get("requestBody").is_some() {
        check_request_body(document, &join(pointer, "requestBody"), faults);
    }
    check_responses(document, pointer, operation, faults);
}

/// The success answer alone is declared: another one would be decoded instead of classified.
fn check_responses(document: &Document, pointer: &str, operation: &Value, faults: &mut Vec<Fault>) {
    let at = join(pointer, "responses");
    let Some(responses) = operation.get("responses").and_then(Value::as_object) else {
        faults.push(document.fault(pointer, "an operation needs `responses`"));
        return;
    };
    let successes = responses.keys().filter(|status| is_success(status)).count();
    if successes != 1 {
        faults.push(document.fault(&at, format!("exactly one success answer (2xx) is declared, found {successes}")));
    }
    for status in responses.keys() {
        let response = join(&at, status);
        if is_success(status) {
            check_response(document, &response, faults);
        } else if !status.starts_with("x-") {
            faults.push(document.fault(
                &response,
                format!("answer `{status}` must not be declared: every other answer arrives raw and is classified"),
            ));
        }
    }
}

fn check_response(document: &Document, pointer: &str, faults: &mut Vec<Fault>) {
    if is_reference(document, pointer) {
        return;
    }
    check_keys(document, pointer, Part::Response, faults);
    if document.value.pointer(&join(pointer, "description")).is_none() {
        faults.push(document.fault(pointer, "a response needs a `description`"));
    }
    check_content(document, pointer, &["application/json"], faults);
}

fn check_request_body(document: &Document, pointer: &str, faults: &mut Vec<Fault>) {
    if is_reference(document, pointer) {
        return;
    }
    check_keys(document, pointer, Part::RequestBody, faults);
    if document.value.pointer(&join(pointer, "required")) != Some(&Value::Bool(true)) {
        faults.push(document.fault(pointer, "a request body needs `required: true`: the generator always sends it"));
    }
    check_content(document, pointer, &["application/json", "application/x-www-form-urlencoded"], faults);
}

fn check_content(document: &Document, pointer: &str, allowed: &[&str], faults: &mut Vec<Fault>) {
    let at = join(pointer, "content");
    let Some(content) = object(document, &at) else {
        faults.push(document.fault(pointer, "missing `content`"));
        return;
    };
    if content.len() != 1 {
        faults.push(document.fault(&at, format!("exactly one media type is declared, found {}", content.len())));
    }
    for media in content.keys() {
        let media_at = join(&at, media);
        let bare = media.split(';').next().unwrap_or(media).trim();
        if !allowed.contains(&bare) {
            faults.push(
                document.fault(&media_at, format!("media type `{media}` is not read; use {}", allowed.join(" or "))),
            );
        }
        check_keys(document, &media_at, Part::MediaType, faults);
        let schema = join(&media_at, "schema");
        match document.value.pointer(&schema) {
            None => faults.push(document.fault(&media_at, "a media type needs a `schema`")),
            Some(_) => check_schema(document, &schema, None, faults),
        }
    }
}

/// Checks the parameters at `pointer` and gives their names with their places.
fn parameters(document: &Document, pointer: &str, faults: &mut Vec<Fault>) -> Vec<(String, String)> {
    let at = join(pointer, "parameters");
    let Some(list) = document.value.pointer(&at).and_then(Value::as_array) else {
        return Vec::new();
    };
    let mut named = Vec::new();
    for (index, parameter) in list.iter().enumerate() {
        let own = join(&at, &index.to_string());
        let parameter = match parameter.get("$ref").and_then(Value::as_str) {
            Some(reference) => reference.strip_prefix('#').and_then(|p| document.value.pointer(p)),
            None => {
                check_parameter(document, &own, faults);
                Some(parameter)
            }
        };
        let text = |key| parameter.and_then(|p| p.get(key)).and_then(Value::as_str);
        if let (Some(name), Some(place)) = (text("name"), text("in")) {
            named.push((name.to_owned(), place.to_owned()));
        }
    }
    named
}

fn check_parameter(document: &Document, pointer: &str, faults: &mut Vec<Fault>) {
    check_keys(document, pointer, Part::Parameter, faults);
    let get = |key: &str| document.value.pointer(&join(pointer, key));
    let text = |key: &str| get(key).and_then(Value::as_str);
    if text("name").is_none() {
        faults.push(document.fault(pointer, "a parameter needs a `name`"));
    }
    let default_style = match text("in") {
        Some("query") => "form",
        Some("path") => {
            if get("required") != Some(&Value::Bool(true)) {
                faults.push(document.fault(pointer, "a path parameter needs `required: true`"));
            }
            "simple"
        }
        Some("header") => "simple",
        Some(other) => {
            let at = join(pointer, "in");
            faults.push(document.fault(&at, format!("`in` must be query, header or path, found `{other}`")));
            return;
        }
        None => {
            faults.push(document.fault(pointer, "a parameter needs `in`: query, header or path"));
            return;
        }
    };
    if text("style").is_some_and(|style| style != default_style) {
        faults
            .push(document.fault(&join(pointer, "style"), format!("only the default style `{default_style}` is sent")));
    }
    if text("in") == Some("query") && get("explode") == Some(&Value::Bool(false)) {
        faults.push(document.fault(&join(pointer, "explode"), "`explode: false` is ignored by the generator"));
    }
    match get("schema") {
        None => faults.push(document.fault(pointer, "a parameter needs a `schema`")),
        Some(schema) => {
            if schema.get("$ref").and_then(Value::as_str) == Some("#/components/schemas/Yuan") {
                faults.push(document.fault(
                    &join(pointer, "schema"),
                    "Yuan is written as a JSON number, which a parameter is not; use YuanText",
                ));
            }
            check_schema(document, &join(pointer, "schema"), None, faults);
        }
    }
}

/// Every `$ref` leads somewhere within the spec.
fn check_references(document: &Document, value: &Value, pointer: &str, faults: &mut Vec<Fault>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                let at = join(pointer, key);
                match (key.as_str(), inner) {
                    ("example" | "examples" | "default", _) => {}
                    ("$ref", Value::String(target)) => {
                        let found = target.strip_prefix('#').and_then(|local| document.value.pointer(local));
                        if found.is_none() {
                            faults.push(document.fault(&at, format!("reference `{target}` leads nowhere")));
                        }
                    }
                    _ => check_references(document, inner, &at, faults),
                }
            }
        }
        Value::Array(rows) => {
            for (index, row) in rows.iter().enumerate() {
                check_references(document, row, &join(pointer, &index.to_string()), faults);
            }
        }
        _ => {}
    }
}

fn object<'a>(document: &'a Document, pointer: &str) -> Option<&'a Map<String, Value>> {
    document.value.pointer(pointer).and_then(Value::as_object)
}

fn is_reference(document: &Document, pointer: &str) -> bool {
    document.value.pointer(pointer).is_some_and(|part| part.get("$ref").is_some())
}

fn is_success(status: &str) -> bool {
    status.len() == 3 && status.starts_with('2')
}

fn is_snake(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_lowercase())
        && !id.ends_with('_')
        && !id.contains("__")
        && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_pascal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
}
