//! One table of the configuration file: its keys taken out one by one, each fault with file, line and key.
//!
//! Values are never shown in a fault: one of them may be a secret in the wrong place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use tillbook::Money;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::secret::Secret;
use crate::cli::duration;
use crate::cli::exit::Failure;

/// The file that is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// Its path as the user wrote it.
    pub(crate) path: &'a Path,
    /// Its text.
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// A fault at a byte of the file.
    pub(crate) fn fault(&self, at: usize, what: impl AsRef<str>) -> Failure {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let path = self.path.display();
        Failure::new("config", format!("{path}:{line}: {}", what.as_ref()))
            .fact("file", path.to_string())
            .fact("line", line)
    }

    /// The directory that relative paths start from.
    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// A path of the configuration, relative to the file it stands in.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.directory().join(path)
    }
}

const WANTED_AMOUNT: &str = "must be an amount in yuan in quotes, with two decimals at most: \"500.00\"";

/// One table of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section<'a> {
    source: Source<'a>,
    /// As it is written: `accounts.shop-1`; empty at the top.
    name: &'a str,
    at: usize,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// The table that begins at byte `at`.
    pub(crate) fn new(source: Source<'a>, name: &'a str, at: usize, table: &'a DeTable<'a>) -> Section<'a> {
        Section { source, name, at, table }
    }

    /// Refuses the first key (in the file's order) that is not known, with the nearest one that is.
    ///
    /// `elsewhere` names keys that belong to other tables, with the table's description.
    pub(crate) fn only(&self, known: &[&str], elsewhere: &[(&str, &str)]) -> Result<(), Failure> {
        let unknown =
            self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())).min_by_key(|key| key.span().start);
        let Some(key) = unknown else { return Ok(()) };
        let (name, at) = (key.get_ref().as_ref(), key.span().start);
        if let Some((_, owner)) = elsewhere.iter().find(|(other, _)| *other == name) {
            return Err(self.source.fault(at, format!("unknown key `{name}` {}: it is one of {owner}", self.place())));
        }
        let nearest = nearest(name, known);
        let text = format!("unknown key `{name}` {}; the nearest known one is `{nearest}`", self.place());
        Err(self.source.fault(at, text).fact("key", name).fact("nearest", nearest))
    }

    /// Refuses a key that has another name by now.
    pub(crate) fn renamed(&self, old: &str, what: &str) -> Result<(), Failure> {
        match self.get(old) {
            None => Ok(()),
            Some((at, _)) => Err(self.wrong(at, old, what)),
        }
    }

    /// A text.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some((_, DeValue::String(text))) if !text.is_empty() => Ok(Some(text.to_string())),
            Some((at, _)) => Err(self.wrong(at, key, "must be a text in quotes that is not empty")),
        }
    }

    /// A text that must be there.
    pub(crate) fn required_text(&self, key: &str) -> Result<String, Failure> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// One of some words.
    pub(crate) fn word(&self, key: &str, known: &[&'static str]) -> Result<Option<&'static str>, Failure> {
        let Some((at, value)) = self.get(key) else { return Ok(None) };
        if let DeValue::String(text) = value
            && let Some(word) = known.iter().find(|word| **word == text.as_ref())
        {
            return Ok(Some(word));
        }
        let words: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
        Err(self.wrong(at, key, &format!("must be one of {}", words.join(", "))))
    }

    /// A whole number in a range.
    pub(crate) fn number(&self, key: &str, least: u64, most: u64) -> Result<Option<u64>, Failure> {
        let Some((at, value)) = self.get(key) else { return Ok(None) };
        if let DeValue::Integer(integer) = value
            && let Ok(number) = u64::from_str_radix(integer.as_str(), integer.radix())
            && (least..=most).contains(&number)
        {
            return Ok(Some(number));
        }
        Err(self.wrong(at, key, &format!("must be a whole number from {least} to {most}")))
    }

    /// `true` or `false`.
    pub(crate) fn truth(&self, key: &str) -> Result<Option<bool>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some((_, DeValue::Boolean(truth))) => Ok(Some(*truth)),
            Some((at, _)) => Err(self.wrong(at, key, "must be true or false")),
        }
    }

    /// A duration in quotes.
    pub(crate) fn duration(&self, key: &str) -> Result<Option<Duration>, Failure> {
        let Some((at, value)) = self.get(key) else { return Ok(None) };
        self.as_duration(at, key, value).map(Some)
    }

    /// A duration in quotes, or `"never"`, which is none.
    pub(crate) fn duration_or_never(&self, key: &str) -> Result<Option<Duration>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some((_, DeValue::String(text))) if text.as_ref() == "never" => Ok(None),
            Some((_, DeValue::String(text))) if duration::parse(text).is_ok_and(|wait| !wait.is_zero()) => {
                self.duration(key)
            }
            Some((at, _)) => Err(self.wrong(at, key, "must be \"never\" or a duration above zero in quotes: \"90d\"")),
        }
    }

    /// An amount in yuan, in quotes: as a number it would be a float.
    pub(crate) fn amount(&self, key: &str) -> Result<Option<Money>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some((at, DeValue::String(text))) => match text.parse() {
                Ok(amount) => Ok(Some(amount)),
                Err(_) => Err(self.wrong(at, key, WANTED_AMOUNT)),
            },
            Some((at, _)) => Err(self.wrong(at, key, WANTED_AMOUNT)),
        }
    }

    /// A list of durations in quotes.
    pub(crate) fn durations(&self, key: &str) -> Result<Option<Vec<Duration>>, Failure> {
        let Some((at, value)) = self.get(key) else { return Ok(None) };
        let DeValue::Array(items) = value else {
            return Err(self.wrong(at, key, "must be a list of durations such as [\"30s\", \"2m\"]"));
        };
        items
            .iter()
            .map(|item| self.as_duration(item.span().start, key, item.get_ref()))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A list of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, Failure> {
        let Some((at, value)) = self.get(key) else { return Ok(None) };
        let wrong = |at| self.wrong(at, key, "must be a list of texts in quotes");
        let DeValue::Array(items) = value else { return Err(wrong(at)) };
        let text = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            _ => Err(wrong(item.span().start)),
        };
        items.iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// A secret: a text, `{ env = ".." }` or `{ file = ".." }`.
    pub(crate) fn secret(&self, key: &str) -> Result<Option<Secret>, Failure> {
        let Some((at, value)) = self.get(key) else { return Ok(None) };
        let wrong = || self.wrong(at, key, "must be a text in quotes, { env = \"VARIABLE\" } or { file = \"PATH\" }");
        match value {
            DeValue::String(text) if !text.is_empty() => Ok(Some(Secret::Text(SecretString::from(text.as_ref())))),
            DeValue::Table(table) => {
                let mut entries = table.iter().map(|(key, value)| (key.get_ref().as_ref(), value.get_ref()));
                match (entries.next(), entries.next()) {
                    (Some(("env", DeValue::String(name))), None) if !name.is_empty() => {
                        Ok(Some(Secret::Env(name.to_string())))
                    }
                    (Some(("file", DeValue::String(path))), None) if !path.is_empty() => {
                        Ok(Some(Secret::File(self.source.resolve(path))))
                    }
                    _ => Err(wrong()),
                }
            }
            _ => Err(wrong()),
        }
    }

    /// A secret that must be there.
    pub(crate) fn required_secret(&self, key: &str) -> Result<Secret, Failure> {
        self.secret(key)?.ok_or_else(|| self.missing(key))
    }

    /// The tables below `key`, by name.
    pub(crate) fn tables(
        &self,
        key: &str,
    ) -> Result<Vec<(&'a Spanned<toml::de::DeString<'a>>, &'a DeTable<'a>)>, Failure> {
        let Some((at, value)) = self.get(key) else { return Ok(Vec::new()) };
        let wrong = |at| self.wrong(at, key, &format!("must hold tables such as [{key}.shop-1]"));
        let DeValue::Table(tables) = value else { return Err(wrong(at)) };
        let table =
            |(name, value): (&'a Spanned<toml::de::DeString<'a>>, &'a Spanned<DeValue<'a>>)| match value.get_ref() {
                DeValue::Table(table) => Ok((name, table)),
                _ => Err(wrong(value.span().start)),
            };
        tables.iter().map(table).collect()
    }

    /// A fault at `key`'s value, or at the table where the key is missing.
    pub(crate) fn fault(&self, key: &str, what: &str) -> Failure {
        let at = self.get(key).map_or(self.at, |(at, _)| at);
        self.wrong(at, key, what)
    }

    /// A key that must be there and is not.
    fn missing(&self, key: &str) -> Failure {
        self.source.fault(self.at, format!("missing key `{key}` {}", self.place())).fact("key", key)
    }

    fn wrong(&self, at: usize, key: &str, what: &str) -> Failure {
        self.source.fault(at, format!("`{key}` {}: {what}", self.place())).fact("key", key)
    }

    fn place(&self) -> String {
        if self.name.is_empty() { "at the top".to_owned() } else { format!("in [{}]", self.name) }
    }

    fn get(&self, key: &str) -> Option<(usize, &'a DeValue<'a>)> {
        self.table.get(key).map(|value| (value.span().start, value.get_ref()))
    }

    fn as_duration(&self, at: usize, key: &str, value: &DeValue<'_>) -> Result<Duration, Failure> {
        match value {
            DeValue::String(text) => duration::parse(text).map_err(|_| ()),
            _ => Err(()),
        }
        .map_err(|()| self.wrong(at, key, "must be a duration in quotes: \"200ms\", \"2s\", \"5m\", \"1h\", \"90d\""))
    }
}

/// The known word most like `word`.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> &'k str {
    known.iter().copied().min_by_key(|other| strsim::damerau_levenshtein(word, other)).unwrap_or("")
}
