//! What a spec offers, as a flat list of names with types, and how two such lists differ.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

const METHODS: &[&str] = &["get", "put", "post", "delete", "patch"];

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Theirs has it, ours has not.
    Added {
        /// The operation or field.
        name: String,
        /// What it is.
        kind: String,
    },
    /// Ours has it, theirs has not.
    Removed {
        /// The operation or field.
        name: String,
        /// What it was.
        kind: String,
    },
    /// Both have it, and it is something else now.
    Retyped {
        /// The operation or field.
        name: String,
        /// What it is in ours.
        from: String,
        /// What it is in theirs.
        to: String,
    },
}

/// What changed from `ours` to `theirs`, by name. Descriptions and examples are no part of it.
pub(crate) fn changes(ours: &Value, theirs: &Value) -> Vec<Change> {
    let (ours, theirs) = (surface(ours), surface(theirs));
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| match (ours.get(name), theirs.get(name)) {
            (None, Some(kind)) => Some(Change::Added { name: name.clone(), kind: kind.clone() }),
            (Some(kind), None) => Some(Change::Removed { name: name.clone(), kind: kind.clone() }),
            (Some(from), Some(to)) if from != to => {
                Some(Change::Retyped { name: name.clone(), from: from.clone(), to: to.clone() })
            }
            _ => None,
        })
        .collect()
}

fn surface(spec: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, schema) in object(spec, "/components/schemas").into_iter().flatten() {
        schema_surface(name, schema, &mut all);
    }
    for (path, item) in object(spec, "/paths").into_iter().flatten() {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let id = operation.get("operationId").and_then(Value::as_str).unwrap_or(path);
            let safety = operation.get("x-call-safety").and_then(Value::as_str).unwrap_or("safety not said");
            all.insert(format!("operation {id}"), format!("{} {path} ({safety})", method.to_uppercase()));
            let shared = item.get("parameters").and_then(Value::as_array).into_iter().flatten();
            let own = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
            for parameter in shared.chain(own) {
                parameter_surface(id, resolve(spec, parameter), &mut all);
            }
            if let Some(body) = operation.get("requestBody") {
                content_surface(&format!("{id} request"), resolve(spec, body), &mut all);
            }
            for (status, response) in object(operation, "/responses").into_iter().flatten() {
                content_surface(&format!("{id} {status}"), resolve(spec, response), &mut all);
            }
        }
    }
    all
}

fn parameter_surface(id: &str, parameter: &Value, all: &mut BTreeMap<String, String>) {
    let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or("?");
    let required = parameter.get("required") == Some(&Value::Bool(true));
    let kind = type_name(parameter.get("schema").unwrap_or(&Value::Null));
    all.insert(format!("{id} {} {}", text("in"), text("name")), with_presence(kind, required));
}

fn content_surface(name: &str, body: &Value, all: &mut BTreeMap<String, String>) {
    for (media, content) in object(body, "/content").into_iter().flatten() {
        if let Some(schema) = content.get("schema") {
            all.insert(name.to_owned(), format!("{} ({media})", type_name(schema)));
            schema_surface(name, schema, all);
        }
    }
}

/// A schema's own kind where it is a component, and each of its fields, inline objects included.
fn schema_surface(name: &str, schema: &Value, all: &mut BTreeMap<String, String>) {
    all.entry(name.to_owned()).or_insert_with(|| type_name(schema));
    let required: BTreeSet<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (field, inner) in object(schema, "/properties").into_iter().flatten() {
        let at = format!("{name}.{field}");
        all.insert(at.clone(), with_presence(type_name(inner), required.contains(field.as_str())));
        if inner.get("properties").is_some() {
            schema_surface(&at, inner, all);
        }
        if let Some(items) = inner.get("items").filter(|items| items.get("properties").is_some()) {
            schema_surface(&format!("{at}[]"), items, all);
        }
    }
    if let Some(items) = schema.get("items").filter(|items| items.get("properties").is_some()) {
        schema_surface(&format!("{name}[]"), items, all);
    }
}

fn with_presence(kind: String, required: bool) -> String {
    if required { kind } else { format!("{kind}, may be missing") }
}

/// A schema in a few words.
fn type_name(schema: &Value) -> String {
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    let nullable = if schema.get("nullable") == Some(&Value::Bool(true)) { " or null" } else { "" };
    for combined in ["allOf", "oneOf", "anyOf"] {
        if let Some(parts) = schema.get(combined).and_then(Value::as_array) {
            let names: Vec<String> = parts.iter().map(type_name).collect();
            let joint = if combined == "allOf" { " & " } else { " | " };
            return format!("{}{nullable}", names.join(joint));
        }
    }
    if let Some(target) = text("$ref") {
        return format!("{}{nullable}", target.rsplit('/').next().unwrap_or(target));
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> =
            words.iter().map(|word| word.as_str().map_or(word.to_string(), str::to_owned)).collect();
        return format!("one of {}{nullable}", words.join(" "));
    }
    let kind = match (text("type"), text("format")) {
        (Some("array"), _) => format!("list of {}", schema.get("items").map_or("anything".to_owned(), type_name)),
        (Some(kind), Some(format)) => format!("{kind} ({format})"),
        (Some(kind), None) => kind.to_owned(),
        (None, _) => "anything".to_owned(),
    };
    format!("{kind}{nullable}")
}

fn resolve<'a>(spec: &'a Value, part: &'a Value) -> &'a Value {
    let target = part.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
    target.and_then(|pointer| spec.pointer(pointer)).unwrap_or(part)
}

fn object<'a>(value: &'a Value, pointer: &str) -> Option<&'a Map<String, Value>> {
    value.pointer(pointer).and_then(Value::as_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(total: Value) -> Value {
        json!({
            "paths": {"/order": {"get": {
                "operationId": "order_get", "x-call-safety": "safe",
                "parameters": [{"name": "id", "in": "query", "required": true, "schema": {"type": "string"}}],
                "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}},
            }}},
            "components": {"schemas": {"Order": {
                "type": "object", "required": ["total"],
                "properties": {"total": total, "note": {"type": "string", "description": "a note"}},
            }}},
        })
    }

    #[test]
    fn a_spec_does_not_differ_from_itself_nor_by_words() {
        let ours = spec(json!({"$ref": "#/components/schemas/Yuan"}));
        let mut theirs = ours.clone();
        theirs["components"]["schemas"]["Order"]["properties"]["note"]["description"] = "another text".into();
        assert_eq!(changes(&ours, &theirs), []);
    }

    #[test]
    fn added_removed_and_retyped_parts_are_named() {
        let ours = spec(json!({"$ref": "#/components/schemas/Yuan"}));
        let mut theirs = spec(json!({"type": "string"}));
        theirs["components"]["schemas"]["Order"]["properties"] =
            json!({"total": {"type": "string"}, "shop": {"type": "integer", "format": "int64"}});
        theirs["paths"]["/order"]["get"]["parameters"] = json!([]);
        let name = |name: &str| name.to_owned();
        assert_eq!(
            changes(&ours, &theirs),
            [
                Change::Removed { name: name("Order.note"), kind: name("string, may be missing") },
                Change::Added { name: name("Order.shop"), kind: name("integer (int64), may be missing") },
                Change::Retyped { name: name("Order.total"), from: name("Yuan"), to: name("string") },
                Change::Removed { name: name("order_get query id"), kind: name("string") },
            ]
        );
    }
}
