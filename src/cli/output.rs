//! Where printing happens: data to stdout, all the rest to stderr.
//!
//! A reader that has gone away (`tillbook orders | head`) is no failure: what could not be printed is dropped, and
//! the command's own exit code stands.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use super::exit::Failure;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Tables for people.
    Text,
    /// One JSON document.
    Json,
}

/// Whether anybody reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// As far as is known.
    There,
    /// The other end of the pipe is closed.
    Gone,
}

/// The two streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    /// Prints in that format.
    pub(crate) fn new(format: Format) -> Output {
        Output { format }
    }

    /// Whether one JSON document is wanted.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Whether a person watches stderr: the place for progress.
    pub(crate) fn shows_progress(self) -> bool {
        io::stderr().is_terminal()
    }

    /// Prints the document or the text, whichever is wanted. Both are made by the caller from the same values.
    pub(crate) fn result(self, document: &Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.document(document),
            Format::Text => self.text(&text()),
        }
    }

    /// Prints one JSON document on stdout.
    pub(crate) fn document(self, document: &Value) -> Result<(), Failure> {
        self.text(&format!("{document:#}"))
    }

    /// Prints data on stdout, with one line end after it.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let text = text.trim_end_matches('\n');
        let line = if text.is_empty() { String::new() } else { format!("{text}\n") };
        forgive(stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()))
    }

    /// Prints bytes on stdout as they are.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        forgive(stdout.write_all(bytes).and_then(|()| stdout.flush()))
    }

    /// Prints one line of a stream at once. An answer of [`Reader::Gone`] means that nobody reads on.
    pub(crate) fn line(self, text: &str) -> Result<Reader, Failure> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(format!("{text}\n").as_bytes()).and_then(|()| stdout.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
            written => forgive(written).map(|()| Reader::There),
        }
    }

    /// Whether somebody can still read stdout, without writing anything. Where the system does not tell, the next
    /// line does.
    pub(crate) fn reader(self) -> Reader {
        #[cfg(unix)]
        {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let stdout = io::stdout();
            let mut asked = [PollFd::new(&stdout, PollFlags::empty())];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            if poll(&mut asked, Some(&now)).is_ok()
                && asked[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
            {
                return Reader::Gone;
            }
        }
        Reader::There
    }

    /// Says something on stderr. A stderr that is gone cannot be told about.
    pub(crate) fn note(self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
    }

    /// Prints a failure once: on stderr, and in JSON on stdout.
    pub(crate) fn failure(self, failure: &Failure) {
        self.note(failure.to_string());
        if self.is_json() && !failure.is_in_document() {
            // A failure to print a failure has no place left to go.
            let _ = self.document(&serde_json::json!({ "error": failure.error_json() }));
        }
    }
}

/// Turns a reader that has gone away into success.
fn forgive(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new("io", format!("writing the result failed: {error}"))),
        Ok(()) => Ok(()),
    }
}
