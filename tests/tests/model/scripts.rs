//! The scripts do on a server what the model's node does.

use lockguard_models::fencing::{Ask, Bounds, Node, Owner, Reply};
use lockguard_tests::Server;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use redis::{Connection, Script, Value};

/// As the node sends them: behind what they need to know of lines.
const ACQUIRE_FENCED: &str = concat!(
    include_str!("../../../lockguard/src/backend/redis/scripts/line.lua"),
    include_str!("../../../lockguard/src/backend/redis/scripts/acquire_fenced.lua")
);
const RELEASE: &str = concat!(
    include_str!("../../../lockguard/src/backend/redis/scripts/release_alone.lua"),
    include_str!("../../../lockguard/src/backend/redis/scripts/line.lua"),
    include_str!("../../../lockguard/src/backend/redis/scripts/release.lua")
);

const LIMIT: u64 = (1 << 53) - 992;
const HOUR: u64 = 60 * 60 * 1_000_000;
const LONG: u64 = 600_000;

/// Keys, each with a history of its own.
const KEYS: u64 = 300;
const STEPS: u64 = 40;

/// One key on a server, and the model of it.
struct Pair<'a> {
    connection: &'a mut Connection,
    lock: String,
    fence: String,
    node: Node,
}

impl Pair<'_> {
    fn acquire(&mut self, ask: Ask) {
        // Only a proposal that leads depends on the server's clock.
        let earliest = self.clock();
        let got: Value = Script::new(ACQUIRE_FENCED)
            .key(&self.lock)
            .key(&self.fence)
            .arg(text(ask.owner))
            .arg(ask.from.map_or(String::new(), text))
            .arg(LONG)
            .arg(ask.proposal)
            .arg(LONG)
            .invoke(self.connection)
            .unwrap();
        let [lowest, highest] = [earliest, self.clock()].map(|clock| {
            let (cap, limit) = (clock + HOUR, LIMIT);
            let mut node = self.node;
            (node.acquire(ask, Bounds { cap, limit }), node)
        });
        let got = reply(&got);
        match (lowest.0, got, highest.0) {
            (Reply::Granted(lowest), Reply::Granted(fence), Reply::Granted(highest)) => {
                assert!((lowest..=highest).contains(&fence), "{ask:?}");
                let lock = Some(ask.owner);
                self.node = Node { lock, fence };
            }
            (expected, got, _) => {
                assert_eq!(got, expected, "{ask:?} of {:?}", self.node);
            }
        }
        self.compare();
    }

    fn release(&mut self, owner: Owner) {
        let got: i64 = Script::new(RELEASE)
            .key(&self.lock)
            .arg(text(owner))
            .invoke(self.connection)
            .unwrap();
        let expected = match self.node.lock {
            Some(holder) if holder == owner => 1,
            Some(_) => -1,
            None => 0,
        };
        assert_eq!(got, expected);
        self.node.release(owner);
        self.compare();
    }

    fn expire(&mut self) {
        let mut expire = redis::cmd("PEXPIRE");
        let _: i64 = expire
            .arg(&self.lock)
            .arg(0)
            .query(self.connection)
            .unwrap();
        self.node.lock = None;
        self.compare();
    }

    /// The server stores what the model does.
    fn compare(&mut self) {
        let mut get = redis::cmd("MGET");
        get.arg(&self.lock).arg(&self.fence);
        let stored: (Option<String>, Option<u64>) = get.query(self.connection).unwrap();
        let expected = Some(self.node.fence).filter(|fence| *fence > 0);
        assert_eq!(stored, (self.node.lock.map(text), expected));
    }

    fn clock(&mut self) -> u64 {
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query(self.connection).unwrap();
        seconds * 1_000_000 + micros
    }
}

fn text(owner: Owner) -> String {
    format!("lg1:model:{}", owner.0)
}

/// What the script answered, in the model's words.
fn reply(value: &Value) -> Reply {
    let string = |value: &Value| redis::from_redis_value_ref::<String>(value).unwrap();
    match value {
        Value::Array(parts) if parts.len() == 1 => Reply::Spoilt,
        Value::Array(parts) => {
            let holder = string(&parts[1]);
            let holder = holder.strip_prefix("lg1:model:").unwrap();
            Reply::Busy {
                holder: Owner(holder.parse().unwrap()),
                fence: string(&parts[3]).parse().unwrap(),
            }
        }
        value => Reply::Granted(string(value).parse().unwrap()),
    }
}

fn proposal(random: &mut StdRng, fence: u64) -> u64 {
    match random.random_range(0..20) {
        0 => 1 << 52,
        1 => random.random_range(LIMIT - 2..LIMIT + 3),
        2..8 => random.random_range(1..10),
        _ => (fence + random.random_range(0..4)).saturating_sub(1).max(1),
    }
}

#[test]
fn a_server_answers_and_stores_what_the_models_node_does() {
    let server = Server::start();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut random = StdRng::seed_from_u64(13);
    let mut spoilt = 0;
    for key in 0..KEYS {
        let mut pair = Pair {
            connection: &mut connection,
            lock: format!("model:{key}"),
            fence: format!("{{model:{key}}} fence"),
            node: Node::default(),
        };
        for _ in 0..STEPS {
            let [owner, from] = [(); 2].map(|()| Owner(random.random_range(0..3)));
            match random.random_range(0..10) {
                0 | 1 => pair.release(owner),
                2 => pair.expire(),
                _ => pair.acquire(Ask {
                    owner,
                    from: random.random_bool(0.3).then_some(from),
                    proposal: proposal(&mut random, pair.node.fence),
                }),
            }
        }
        spoilt += u64::from(pair.node.fence + 1 > LIMIT);
    }
    assert!(spoilt > 0 && spoilt < KEYS, "{spoilt} fences are spoilt");
}
