//! Emits the open enums: components with `x-open-enum: true`.
//!
//! The generator's own enums are closed, so that one new word of an upstream would fail a whole page. Ours keep an
//! unknown word as `Other(text)`, and read a number where words are documented (trade_order sends `"status": 1`).

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;

use super::docs::plain;

/// The Rust code of the open enum `name`. The lint has already checked the schema.
pub(crate) fn emit(name: &str, schema: &Value) -> TokenStream {
    let words = texts(schema.get("enum"));
    let variant_names = match schema.get("x-enum-varnames") {
        Some(names) => texts(Some(names)),
        None => words.clone(),
    };
    let described = texts(schema.get("x-enum-descriptions"));
    let variants: Vec<_> = variant_names.iter().map(|variant| format_ident!("{variant}")).collect();
    let docs: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(index, word)| match described.get(index) {
            Some(text) => format!("{}: {}", shown(word), plain(text)),
            None => format!("{}.", shown(word)),
        })
        .collect();
    let ident = format_ident!("{name}");
    let about = match schema.get("description").and_then(Value::as_str) {
        // Escaped already, with the whole spec.
        Some(text) => text.to_owned(),
        None => format!("The words of `{name}`."),
    };
    quote! {
        #[doc = #about]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum #ident {
            #( #[doc = #docs] #variants, )*
            /// A word the spec does not know, as received; never treated as paid or refunded.
            Other(::std::string::String),
        }
        impl #ident {
            /// Every word the spec knows.
            pub const KNOWN: &'static [&'static str] = &[#(#words),*];

            /// The word as the upstream writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    #( Self::#variants => #words, )*
                    Self::Other(word) => word,
                }
            }

            /// Whether the spec knows the word.
            pub fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }
        impl ::std::convert::From<&str> for #ident {
            fn from(word: &str) -> Self {
                match word {
                    #( #words => Self::#variants, )*
                    other => Self::Other(other.to_owned()),
                }
            }
        }
        impl ::std::str::FromStr for #ident {
            type Err = ::std::convert::Infallible;
            fn from_str(word: &str) -> ::std::result::Result<Self, Self::Err> {
                Ok(Self::from(word))
            }
        }
        impl ::std::fmt::Display for #ident {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl ::serde::Serialize for #ident {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> ::serde::Deserialize<'de> for #ident {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> ::std::result::Result<Self, D::Error> {
                let word = <crate::clients::wire::Text as ::serde::Deserialize>::deserialize(deserializer)?;
                Ok(Self::from(word.as_str()))
            }
        }
    }
}

fn shown(word: &str) -> String {
    if word.is_empty() { "The empty text".to_owned() } else { format!("`{word}`") }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let rows = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter_map(|row| row.as_str().map(str::to_owned)).collect()
}
