//! Servers do as they are told, and never outlive a test.

use std::{
    collections::HashSet,
    env,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use lockguard_tests::{Server, Servers, eventually_blocking};
use rustix::process::{Pid, test_kill_process};

const SOON: Duration = Duration::from_secs(10);

/// Tells the child process of a test what it is.
const CHILD: &str = "LOCKGUARD_HARNESS_CHILD";

#[test]
fn a_server_answers_and_has_nothing_on_disk() {
    let server = Server::start();
    assert!(server.is_running());
    assert!(server.set_nx_px("k", "v", SOON));
    assert!(!server.set_nx_px("k", "w", SOON));
    assert_eq!(server.get("k").as_deref(), Some("v"));
    assert!(server.pttl("k").is_some_and(|left| left <= SOON));
    assert_eq!(server.keys(), ["k"]);
    assert!(server.del("k"));
    assert_eq!(server.pttl("k"), None);
    server.restart();
    assert_eq!(server.keys(), [""; 0]);
}

#[test]
fn arguments_reach_the_server() {
    let server = Server::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let policy: Vec<String> = server.cli(&["CONFIG", "GET", "maxmemory-policy"]);
    assert_eq!(policy, ["maxmemory-policy", "allkeys-lru"]);
}

#[test]
fn commands_and_clients_are_counted() {
    let server = Server::start();
    assert_eq!(server.command_count("get"), 0);
    server.get("k");
    server.get("k");
    assert_eq!(server.command_count("get"), 2);
    let mut client = TcpStream::connect(server.address()).unwrap();
    eventually_blocking(SOON, || server.client_count() == 1);
    assert_eq!(server.client_kill(), 1);
    assert_eq!(client.read(&mut [0; 8]).unwrap_or(0), 0);
}

#[test]
fn a_stopped_server_accepts_and_answers_nothing_until_it_goes_on() {
    let server = Server::start();
    server.stop();
    assert!(server.is_running());
    let mut client = TcpStream::connect(server.address()).unwrap();
    std::io::Write::write_all(&mut client, b"PING\r\n").unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert!(client.read(&mut [0; 8]).is_err());
    server.cont();
    client.set_read_timeout(Some(SOON)).unwrap();
    let mut reply = [0; 7];
    client.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
}

#[test]
fn a_restart_with_data_keeps_the_keys_and_one_without_does_not() {
    let server = Server::start_persistent();
    assert!(server.set_nx_px("k", "v", 10 * SOON));
    let (port, pid) = (server.port(), server.pid());
    server.restart_with_data();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(server.get("k").as_deref(), Some("v"));
    server.restart();
    assert_eq!(server.get("k"), None);
}

#[test]
fn a_killed_server_refuses_connections() {
    let server = Server::start();
    server.kill();
    assert!(!server.is_running());
    assert!(TcpStream::connect(server.address()).is_err());
    server.restart();
    assert!(server.is_running());
}

#[test]
fn servers_of_a_set_are_independent() {
    let servers = Servers::start(5);
    let ports: HashSet<_> = servers.iter().map(Server::port).collect();
    assert_eq!((servers.len(), ports.len()), (5, 5));
    assert_eq!(servers.urls().split(',').count(), 5);
    assert!(servers[0].set_nx_px("k", "v", SOON));
    assert_eq!(servers[1].get("k"), None);
}

#[test]
fn a_dropped_server_is_gone_stopped_or_not() {
    let (running, stopped) = (Server::start(), Server::start());
    stopped.stop();
    let pids = [running.pid(), stopped.pid()];
    drop((running, stopped));
    assert!(pids.iter().all(|pid| is_gone(*pid)));
}

#[test]
fn a_server_is_gone_when_its_test_panics() {
    let mut pid = 0;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let server = Server::start();
        pid = server.pid();
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert!(is_gone(pid));
}

#[test]
fn a_server_is_gone_when_its_process_is_killed() {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "server::child_with_a_stopped_server"])
        .arg("--nocapture")
        .env(CHILD, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("server at ")?.1.to_owned()))
        .expect("the child tells where its server is");
    let (address, directory) = told.split_once(" in ").unwrap();
    assert!(TcpStream::connect(address).is_ok());
    assert!(Path::new(directory).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    eventually_blocking(SOON, || TcpStream::connect(address).is_err());
    eventually_blocking(SOON, || !Path::new(directory).exists());
}

/// Does nothing on its own: see the test above.
#[test]
#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn child_with_a_stopped_server() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let server = Server::start();
    let directory: Vec<String> = server.cli(&["CONFIG", "GET", "dir"]);
    server.stop();
    println!("server at {} in {}", server.address(), directory[1]);
    std::thread::sleep(6 * SOON);
}

fn is_gone(pid: u32) -> bool {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    test_kill_process(pid).is_err()
}
