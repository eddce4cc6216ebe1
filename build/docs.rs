//! Makes the descriptions of a spec safe as rustdoc.
//!
//! `商户交易单号 [必填]` would be an unresolved link, and an indented block would become a failing doc test.

use serde_json::Value;

/// `text` with markup escaped and indentation removed.
pub(crate) fn plain(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(plain_line).collect();
    lines.join("\n").trim().to_owned()
}

fn plain_line(line: &str) -> String {
    let mut out = String::new();
    for (index, word) in line.split_whitespace().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        // A bare address would be a rustdoc warning.
        let bare = word.starts_with("http://") || word.starts_with("https://");
        if bare {
            out.push('`');
        }
        for letter in word.chars() {
            if !bare && matches!(letter, '[' | ']' | '<' | '>' | '`' | '*' | '_' | '\\' | '#' | '|' | '~') {
                out.push('\\');
            }
            out.push(letter);
        }
        if bare {
            out.push('`');
        }
    }
    out
}

/// Escapes every `description`, `summary` and `title` below `value`; examples and lists of required names stay.
pub(crate) fn plain_all(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                match inner {
                    Value::String(text) if key == "description" || key == "summary" => *text = plain(text),
                    _ if key == "example" || key == "examples" => {}
                    _ => plain_all(inner),
                }
            }
        }
        Value::Array(rows) => rows.iter_mut().for_each(plain_all),
        _ => {}
    }
}
