//! A Redis server for an example: the one of `LOCKGUARD_URL`, or its own.

use std::{
    env, fmt,
    io::{self, Read as _},
    net::TcpListener,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use tokio::{
    process::Child,
    time::{sleep, timeout},
};

use crate::{Failure, installed};

/// The first argument of a program as the keeper of its server.
pub const ROLE: &str = "keep";

const VARIABLE: &str = "LOCKGUARD_REDIS_SERVER";

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server, ended with the process that started it.
#[derive(Debug)]
pub struct Server {
    url: String,
    /// Ends the server when its standard input is closed, which happens
    /// however this process ends.
    keeper: Option<Child>,
}

impl Server {
    /// The server of `LOCKGUARD_URL`, or else one that is started.
    ///
    /// # Errors
    ///
    /// Those of [`Server::start`].
    ///
    /// # Cancel safety
    ///
    /// A server that was started is ended.
    pub async fn find_or_start() -> Result<Self, Failure> {
        match env::var("LOCKGUARD_URL") {
            Ok(url) => Ok(Self { url, keeper: None }),
            Err(_) => Self::start().await,
        }
    }

    /// Starts a server, whatever the environment says.
    ///
    /// # Errors
    ///
    /// There is no server program, and none could be installed.
    ///
    /// # Cancel safety
    ///
    /// A server that was started is ended.
    pub async fn start() -> Result<Self, Failure> {
        let program = match program() {
            Some(program) => program,
            None => installed::server("redis", VARIABLE)?,
        };
        // A free port may be taken before the server has it.
        for _ in 0..5 {
            if let Some(server) = Self::start_once(&program).await? {
                return Ok(server);
            }
        }
        Err(format!("start {}", program.display()).into())
    }

    async fn start_once(program: &PathBuf) -> Result<Option<Self>, Failure> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let keeper = tokio::process::Command::new(env::current_exe()?)
            .arg(ROLE)
            .arg(program)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Self {
            url: format!("redis://127.0.0.1:{port}"),
            keeper: Some(keeper),
        };
        let client = redis::Client::open(server.url())?;
        let answers = timeout(PATIENCE, async {
            while client.get_multiplexed_async_connection().await.is_err() {
                if server.has_ended() {
                    return false;
                }
                sleep(Duration::from_millis(10)).await;
            }
            !server.has_ended()
        });
        Ok(answers.await?.then_some(server))
    }

    /// Where the server is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends what was started.
    ///
    /// # Errors
    ///
    /// The server's keeper did not end in time.
    ///
    /// # Cancel safety
    ///
    /// The server is ended, and not waited for.
    pub async fn end(mut self) -> Result<(), Failure> {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            timeout(PATIENCE, keeper.wait()).await??;
        }
        Ok(())
    }

    fn has_ended(&mut self) -> bool {
        let ended = |keeper: &mut Child| keeper.try_wait().is_ok_and(|status| status.is_some());
        self.keeper.as_mut().is_some_and(ended)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.keeper {
            Some(_) => write!(f, "{}, a server of its own", self.url),
            None => f.write_str("the server of LOCKGUARD_URL"),
        }
    }
}

/// Keeps a server until standard input is closed, as the process that
/// [`Server::start`] has started.
///
/// # Errors
///
/// The program cannot be started or ended.
pub fn keep(arguments: &[String]) -> Result<ExitCode, Failure> {
    let [_, program, port] = arguments else {
        return Err("keep a server: its program and its port are needed".into());
    };
    let mut server = Command::new(program)
        .args(["--port", port, "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let (ended, watched) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        let _ = ended.send(());
    });
    loop {
        if server.try_wait()?.is_some() {
            return Ok(ExitCode::FAILURE);
        }
        if watched.recv_timeout(Duration::from_millis(20)).is_ok() {
            server.kill()?;
            server.wait()?;
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// The server program: the variable's, or one that is installed.
fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE) {
        return Some(PathBuf::from(named));
    }
    let path = env::var_os("PATH")?;
    ["redis-server", "valkey-server"]
        .iter()
        .flat_map(|name| env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|program| program.is_file())
}
