//! A PostgreSQL server of the run's own: made in a temporary directory, reached by a socket in it, ended with the run.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The server refuses to run as root: then it runs as nobody.
const NOBODY: u32 = 65_534;

pub struct Server {
    directory: TempDir,
    programs: PathBuf,
    running: Option<Child>,
}

/// Where `initdb` and `postgres` are: where the variable says, where Debian puts them, or on the path.
fn programs() -> Option<PathBuf> {
    let named = std::env::var_os("TILLBOOK_POSTGRES").map(PathBuf::from);
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut installed: Vec<PathBuf> = installed.flatten().map(|entry| entry.path().join("bin")).collect();
    installed.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = named.into_iter().chain(installed.into_iter().rev()).chain(std::env::split_paths(&path));
    places.find(|place| place.join("initdb").is_file() && place.join("postgres").is_file())
}

impl Server {
    /// A server with some settings. Its files are in the system's temporary directory (`TMPDIR`).
    pub fn start(settings: &[&str]) -> Server {
        let programs =
            programs().expect("a PostgreSQL server: apt-get install postgresql, or TILLBOOK_POSTGRES=DIR/bin");
        let directory = tempfile::tempdir().expect("a temporary directory");
        if is_root() {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).expect("given away");
        }
        let mut server = Server { directory, programs, running: None };
        let made = server
            .command("initdb")
            .args(["--username=tillbook", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"])
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut command = server.command("postgres");
        command.arg("-k").arg(server.directory.path()).args(["-c", "listen_addresses="]);
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        server.running = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the server starts"));
        let since = Instant::now();
        while UnixStream::connect(server.directory.path().join(".s.PGSQL.5432")).is_err() {
            assert!(since.elapsed() < Duration::from_secs(60), "the server does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// A program of the server's, told where its data lie.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.arg("-D").arg(self.directory.path().join("data")).current_dir("/").stdin(Stdio::null());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// The first of its processes.
    pub fn process(&self) -> u32 {
        self.running.as_ref().map_or(0, Child::id)
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        let host = self.directory.path().to_str().expect("a plain path").replace('/', "%2F");
        format!("postgres://tillbook@{host}/{database}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // At once and with all its processes.
        let _ = self.command("pg_ctl").args(["stop", "-m", "immediate"]).stdout(Stdio::null()).status();
        if let Some(mut running) = self.running.take() {
            let _ = running.wait();
        }
    }
}

fn is_root() -> bool {
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|of| of.uid() == 0)
}
