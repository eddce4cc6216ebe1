//! Turns one checked spec into the text of a Rust module: the typed client, the open enums and the operation table.

use std::panic::{AssertUnwindSafe, catch_unwind};

use openapiv3::{OpenAPI, PathItem, ReferenceOr, Schema};
use progenitor::{CrateVers, GenerationSettings, Generator, HooksMode, InterfaceStyle, TypeImpl};
use quote::quote;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use syn::visit::Visit;

use super::docs;
use super::lint::REPLACED;
use super::open_enum;
use super::yaml::{Document, Fault, join};

/// The Rust code for the spec `module`, formatted.
///
/// # Errors
/// What the generator refuses, and every binary float in its code; money could hide in one.
pub(crate) fn generate(module: &str, document: &Document) -> Result<String, Vec<Fault>> {
    let mut value = document.value.clone();
    docs::plain_all(&mut value);
    let spec: OpenAPI = serde_json::from_value(value.clone())
        .map_err(|error| locate(document, &value).unwrap_or_else(|| vec![document.fault("", error.to_string())]))?;

    let schemas = value.pointer("/components/schemas").and_then(Value::as_object).cloned().unwrap_or_default();
    let enums: Map<String, Value> =
        schemas.iter().filter(|(_, s)| s.get("x-open-enum").is_some()).map(|(n, s)| (n.clone(), s.clone())).collect();
    let settings = settings(module, &schemas, &enums);

    // The generator asserts and panics on what it does not take; the lint should have refused all of it before.
    let tokens = catch_unwind(AssertUnwindSafe(|| Generator::new(&settings).generate_tokens(&spec)))
        .map_err(|panic| {
            let why = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            vec![document.fault("", format!("the generator panicked: {}", why.unwrap_or("without a text")))]
        })?
        .map_err(|error| vec![document.fault("", format!("the generator refuses the spec: {error}"))])?;

    let open = enums.iter().map(|(name, schema)| open_enum::emit(name, schema));
    let operations = operations(&value);
    let file = quote! {
        /// The words of this upstream: enums that keep a word they do not know.
        pub mod open { #(#open)* }
        #operations
        #tokens
    };
    let mut file: syn::File = syn::parse2(file)
        .map_err(|error| vec![document.fault("", format!("the generated code is not Rust: {error}"))])?;
    close_constructors(&mut file);
    let floats = Floats::of(&file);
    if floats.is_empty() {
        // The generator's usage examples are marked `ignore`, and every test run would list them as skipped.
        Ok(prettyplease::unparse(&file).replace("```ignore", "```text"))
    } else {
        Err(floats.into_iter().map(|place| document.fault("", place)).collect())
    }
}

fn settings(module: &str, schemas: &Map<String, Value>, enums: &Map<String, Value>) -> GenerationSettings {
    let mut settings = GenerationSettings::new();
    settings
        // The builder interface names each argument: an added query parameter does not shift its neighbours.
        .with_interface(InterfaceStyle::Builder)
        .with_hooks(HooksMode::Expected)
        .with_inner_type(quote! { crate::clients::call::Wire })
        .with_map_type("::std::collections::BTreeMap")
        .with_crate("tillbook", CrateVers::Any, None)
        .with_derive("PartialEq");
    let texts = || [TypeImpl::Display, TypeImpl::FromStr].into_iter();
    // A replacement for a name that is not there is ignored in silence, so only those that are.
    for name in REPLACED.iter().filter(|name| schemas.contains_key(**name)) {
        settings.with_replacement(name, format!("crate::clients::wire::{name}"), texts());
    }
    for name in enums.keys() {
        settings.with_replacement(name, format!("crate::clients::{module}::api::open::{name}"), texts());
    }
    settings
}

/// The table of operations: what may be called, and which calls can move money.
fn operations(value: &Value) -> proc_macro2::TokenStream {
    let mut rows = Vec::new();
    let paths = value.get("paths").and_then(Value::as_object).cloned().unwrap_or_default();
    for (path, item) in &paths {
        for (method, operation) in item.as_object().cloned().unwrap_or_default() {
            let text = |key: &str| operation.get(key).and_then(Value::as_str);
            let Some(id) = text("operationId") else {
                continue;
            };
            let method = method.to_ascii_uppercase();
            // The fragment only tells operations of one address apart; it is never sent.
            let path = path.split('#').next().unwrap_or(path);
            let safety = match text("x-call-safety") {
                Some("safe") => quote! { Safe },
                _ => quote! { Unsafe },
            };
            let gateway_method = match text("x-gateway-method") {
                Some(name) => quote! { Some(#name) },
                None => quote! { None },
            };
            rows.push(quote! {
                crate::clients::call::Operation {
                    id: #id,
                    method: #method,
                    path: #path,
                    safety: crate::clients::call::Safety::#safety,
                    gateway_method: #gateway_method,
                }
            });
        }
    }
    quote! {
        /// Every operation of the spec, with its safety.
        pub const OPERATIONS: &[crate::clients::call::Operation] = &[#(#rows),*];
    }
}

/// The generated constructors would bring a client that follows redirects and retries, and whose failures lie about
/// what was sent: one is removed, the other kept for the crate, whose own client is the only one that may go in.
fn close_constructors(file: &mut syn::File) {
    for item in &mut file.items {
        let syn::Item::Impl(block) = item else {
            continue;
        };
        block.items.retain(|item| !matches!(item, syn::ImplItem::Fn(function) if function.sig.ident == "new" && is_client(&block.self_ty)));
        for item in &mut block.items {
            if let syn::ImplItem::Fn(function) = item
                && function.sig.ident == "new_with_client"
            {
                function.vis = syn::parse_quote!(pub(crate));
            }
        }
    }
}

fn is_client(of: &syn::Type) -> bool {
    matches!(of, syn::Type::Path(path) if path.path.is_ident("Client"))
}

/// Collects each binary float in a field or a signature.
struct Floats {
    places: Vec<String>,
    owner: String,
}

impl Floats {
    fn of(file: &syn::File) -> Vec<String> {
        let mut floats = Floats { places: Vec::new(), owner: String::new() };
        floats.visit_file(file);
        floats.places.sort();
        floats.places.dedup();
        floats.places
    }
}

impl<'ast> Visit<'ast> for Floats {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.owner = item.ident.to_string();
        syn::visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.owner = item.ident.to_string();
        syn::visit::visit_item_enum(self, item);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.owner = format!("fn {}", signature.ident);
        syn::visit::visit_signature(self, signature);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        let owner = self.owner.clone();
        if let Some(name) = &field.ident {
            self.owner = format!("{owner}.{name}");
        }
        syn::visit::visit_field(self, field);
        self.owner = owner;
    }

    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        if segment.ident == "f32" || segment.ident == "f64" {
            self.places.push(format!(
                "the generated `{}` would be a binary float ({}); use `$ref` to Yuan, YuanText, Fen or Count",
                self.owner, segment.ident
            ));
        }
        syn::visit::visit_path_segment(self, segment);
    }
}

/// openapiv3 names no place: read each path and each schema alone to find the ones it refuses.
fn locate(document: &Document, value: &Value) -> Option<Vec<Fault>> {
    let mut faults = Vec::new();
    each::<PathItem>(document, value, "/paths", &mut faults);
    each::<ReferenceOr<Schema>>(document, value, "/components/schemas", &mut faults);
    if faults.is_empty() { None } else { Some(faults) }
}

fn each<T: DeserializeOwned>(document: &Document, value: &Value, pointer: &str, faults: &mut Vec<Fault>) {
    let parts = value.pointer(pointer).and_then(Value::as_object);
    for (name, part) in parts.into_iter().flatten() {
        if let Err(error) = serde_json::from_value::<T>(part.clone()) {
            faults.push(document.fault(&join(pointer, name), error.to_string()));
        }
    }
}
