//! The socket file in a ledger's directory: found by any process, answered by its owner alone, open to its user alone.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

pub(super) type Stream = UnixStream;

/// The socket's name in the ledger's directory.
const NAME: &str = "SOCKET";

/// What every system's socket address holds, in bytes: 104 with the zero at its end on macOS, 108 on Linux.
const LONGEST: usize = 103;

/// The owner's end. The file goes when this is dropped.
pub(super) struct Listener {
    listener: UnixListener,
    file: PathBuf,
    /// Tells the file from one that another owner made in its place.
    inode: u64,
    user: u32,
}

impl Listener {
    /// Makes the socket in place of any file of its name. Only for the ledger's owner, after nobody greeted there.
    pub(super) fn bind(directory: &Path) -> io::Result<Listener> {
        let file = directory.join(NAME);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let address = Address::of(directory)?;
        let listener = UnixListener::bind(&address.path)?;
        // Between the two lines others may connect; whose process it is decides, at every accept.
        fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        let inode = fs::metadata(&file)?.ino();
        // The user of one's own process, as the system tells it of a peer.
        let user = UnixStream::pair()?.0.peer_cred()?.uid();
        Ok(Listener { listener, file, inode, user })
    }

    /// The next client; one of another user is turned away.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == self.user || peer.uid() == 0 => return Ok(stream),
                Ok(peer) => tracing::warn!(user = peer.uid(), "another user's process was turned away"),
                // It is gone already.
                Err(_) => {}
            }
        }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.file).is_ok_and(|file| file.ino() == self.inode) {
            // One that stays is taken for a killed owner's.
            let _ = fs::remove_file(&self.file);
        }
    }
}

/// Connects to whoever listens; `None` when nobody does.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] when too many others wait to be let in; a socket of another user; no way to it.
pub(super) async fn connect(directory: &Path) -> io::Result<Option<Stream>> {
    let address = match Address::of(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        address => address?,
    };
    match UnixStream::connect(&address.path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A path to the socket that fits into a socket's address.
struct Address {
    path: PathBuf,
    /// What a short path leads through, while it is used.
    _directory: Option<File>,
}

impl Address {
    fn of(directory: &Path) -> io::Result<Address> {
        let path = directory.join(NAME);
        if path.as_os_str().len() <= LONGEST {
            return Ok(Address { path, _directory: None });
        }
        let directory = File::open(directory)?;
        let through = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        if !through.exists() {
            let why = format!("its path is longer than the {LONGEST} bytes that a socket's may have");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(Address { path: through.join(NAME), _directory: Some(directory) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_of_any_length_has_its_socket_and_only_its_user_may_use_it() {
        let root = tempfile::tempdir().expect("a directory");
        for directory in [root.path().to_owned(), root.path().join("d".repeat(120)).join("e".repeat(120))] {
            fs::create_dir_all(&directory).expect("made");
            assert!(connect(&directory).await.expect("looked").is_none());
            let listener = Listener::bind(&directory).expect("binds");
            let mode = fs::metadata(directory.join(NAME)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert!(connect(&directory).await.expect("looked").is_some());
            listener.accept().await.expect("let in");
            drop(listener);
            assert!(!directory.join(NAME).exists());
        }
    }

    #[tokio::test]
    async fn what_a_killed_owner_left_is_replaced_and_what_another_owner_made_is_left_alone() {
        let root = tempfile::tempdir().expect("a directory");
        let stale = std::os::unix::net::UnixListener::bind(root.path().join(NAME)).expect("binds");
        drop(stale);
        assert!(root.path().join(NAME).exists());
        assert!(connect(root.path()).await.expect("looked").is_none(), "nobody listens there");
        let first = Listener::bind(root.path()).expect("binds");
        let second = Listener::bind(root.path()).expect("binds");
        drop(first);
        assert!(connect(root.path()).await.expect("looked").is_some());
        drop(second);
        assert!(connect(root.path()).await.expect("looked").is_none());
    }
}
