//! A PostgreSQL of this example's own, gone when the example is.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant},
};

use lockguard_examples::{Failure, installed};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tokio_postgres::NoTls;

use crate::keeper::{Keeper, until_the_end};

/// The first argument of this program as the keeper of its database; then come
/// the directory of the programs and the port.
pub(crate) const ROLE: &str = "keep-database";

const VARIABLE: &str = "LOCKGUARD_POSTGRES";

const USER: &str = "teller";

/// How long a new database may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a server may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// How often the keeper looks whether the server still runs.
const INTERVAL: Duration = Duration::from_millis(20);

/// A server with an empty database, ended with the process that started it.
pub(crate) struct Database {
    url: String,
    /// Ends the server and removes its files.
    keeper: Keeper,
}

impl Database {
    /// Starts a server that nobody else knows the password of.
    pub(crate) async fn start() -> Result<Self, Failure> {
        let programs = installed::server("postgres", VARIABLE)?;
        if !programs.join("initdb").is_file() {
            let programs = programs.display();
            return Err(format!("find initdb in {programs}, which {VARIABLE} names").into());
        }
        // A free port may be taken before the server has it.
        for _ in 0..3 {
            if let Some(database) = Self::start_once(&programs).await? {
                return Ok(database);
            }
        }
        Err(format!("start the PostgreSQL of {}", programs.display()).into())
    }

    async fn start_once(programs: &Path) -> Result<Option<Self>, Failure> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let password = format!("{:032x}", rand::random::<u128>());
        let port_argument = port.to_string();
        let mut keeper = Keeper::start([
            OsStr::new(ROLE),
            programs.as_os_str(),
            OsStr::new(&port_argument),
        ])?;
        keeper.tell(&password).await?;
        let mut database = Self {
            url: format!("postgresql://{USER}:{password}@127.0.0.1:{port}/postgres"),
            keeper,
        };
        let answers = timeout(PATIENCE, async {
            while tokio_postgres::connect(&database.url, NoTls).await.is_err() {
                if database.keeper.has_ended() {
                    return false;
                }
                sleep(Duration::from_millis(20)).await;
            }
            !database.keeper.has_ended()
        });
        Ok(answers.await?.then_some(database))
    }

    /// Where the database is, with its password.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends the server, and waits until its files are gone.
    pub(crate) async fn end(self) -> Result<(), Failure> {
        self.keeper.end().await
    }
}

/// Keeps a server until standard input is closed, as the process that
/// [`Database::start`] has started.
pub(crate) fn keep(arguments: &[String]) -> Result<ExitCode, Failure> {
    let [_, programs, port] = arguments else {
        return Err("keep a database: the programs and a port are needed".into());
    };
    let mut password = String::new();
    io::stdin().read_line(&mut password)?;
    let cluster = Cluster::make(Path::new(programs), &password)?;
    let server = cluster.serve(port)?;
    if !end_with_standard_input(server)? {
        let said = fs::read_to_string(cluster.log())?;
        return Err(format!("serve a database: the server ended:\n{said}").into());
    }
    cluster.directory.close()?;
    Ok(ExitCode::SUCCESS)
}

/// The files of a server, in a temporary directory.
struct Cluster {
    programs: PathBuf,
    directory: TempDir,
    owner: Option<Owner>,
}

impl Cluster {
    fn make(programs: &Path, password: &str) -> Result<Self, Failure> {
        let cluster = Self {
            programs: programs.to_owned(),
            directory: tempfile::Builder::new().prefix("lockguard-").tempdir()?,
            owner: Owner::instead_of_root()?,
        };
        let password_file = cluster.directory.path().join("password");
        fs::write(&password_file, password)?;
        cluster.own(cluster.directory.path())?;
        cluster.own(&password_file)?;
        let made = cluster
            .command("initdb")
            .args(["--username", USER, "--auth", "scram-sha-256"])
            .arg("--pwfile")
            .arg(&password_file)
            .args(["--encoding", "UTF8", "--no-locale", "--no-sync"])
            .stderr(Stdio::piped())
            .output()
            .map_err(|error| format!("run initdb of {}: {error}", programs.display()))?;
        if made.status.success() {
            return Ok(cluster);
        }
        let said = String::from_utf8_lossy(&made.stderr);
        Err(format!("make a database: {}; initdb said:\n{said}", made.status).into())
    }

    /// Serves it on loopback alone; it will be thrown away, so nothing is synced.
    fn serve(&self, port: &str) -> io::Result<Child> {
        let mut server = self.command("postgres");
        server.args(["-p", port]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
        ] {
            server.args(["-c", setting]);
        }
        server.stderr(File::create(self.log())?).spawn()
    }

    /// What the server says goes here.
    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// One of its programs, as the owner of its files.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .arg("-D")
            .arg(self.directory.path().join("data"))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some(Owner { user, group }) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    fn own(&self, path: &Path) -> io::Result<()> {
        match self.owner {
            Some(Owner { user, group }) => chown(path, Some(user), Some(group)),
            None => Ok(()),
        }
    }
}

/// Another user than this one.
#[derive(Clone, Copy)]
struct Owner {
    user: u32,
    group: u32,
}

impl Owner {
    /// PostgreSQL refuses to run as root; then it is somebody who owns nothing.
    fn instead_of_root() -> Result<Option<Self>, Failure> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let nobody = users.lines().find_map(|line| line.strip_prefix("nobody:"));
        let mut numbers = nobody.into_iter().flat_map(|line| line.split(':')).skip(1);
        match (numbers.next(), numbers.next()) {
            (Some(user), Some(group)) => Ok(Some(Self {
                user: user.parse()?,
                group: group.parse()?,
            })),
            _ => Err("find the user `nobody`: PostgreSQL refuses to run as root".into()),
        }
    }
}

/// Ends the server when there is nobody left whom it serves; whether it still
/// ran then.
fn end_with_standard_input(mut server: Child) -> Result<bool, Failure> {
    let (close, closed) = channel();
    thread::spawn(move || close.send(until_the_end()));
    while closed.recv_timeout(INTERVAL).is_err() {
        if server.try_wait()?.is_some() {
            return Ok(false);
        }
    }
    // At once, without a checkpoint: its files are removed anyway.
    let pid = Pid::from_raw(i32::try_from(server.id())?).ok_or("end a server: it has no id")?;
    kill_process(pid, Signal::QUIT)?;
    let told = Instant::now();
    while server.try_wait()?.is_none() {
        if told.elapsed() > GRACE {
            server.kill()?;
        }
        thread::sleep(INTERVAL);
    }
    Ok(true)
}
