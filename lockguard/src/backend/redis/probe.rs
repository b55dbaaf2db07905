//! What a server says about itself when it is connected to.

use redis::Value;

use crate::node_status::NodeRole;

/// What a server said about itself; nothing of it is certain, since asking can
/// be forbidden.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NodeFacts {
    /// Identifies one run of the server: a restart changes it.
    pub(super) run_id: Option<String>,
    /// What kind of server it is.
    pub(super) role: NodeRole,
    /// Whether it is still reading its data from disk, and refuses commands.
    pub(super) is_loading: bool,
    /// What is evicted when the memory is used up: `noeviction` is right.
    pub(super) eviction_policy: Option<String>,
    /// How many bytes it may use; zero: without a limit.
    memory_limit: Option<u64>,
    /// Why waiters cannot be told anything there, if they cannot.
    pub(super) push_refusal: Option<String>,
    /// What we may not do there and should.
    pub(super) missing_rights: Vec<String>,
}

impl NodeFacts {
    /// Reads the reply to `INFO`, whatever it is: whoever may not ask can still
    /// lock.
    pub(super) fn of_reply(reply: Option<Value>) -> Self {
        match reply {
            Some(Value::BulkString(info)) => Self::parse(&String::from_utf8_lossy(&info)),
            Some(Value::VerbatimString { text, .. }) => Self::parse(&text),
            _ => Self::default(),
        }
    }

    /// The same facts, with what the server says of itself now.
    pub(super) fn refreshed(self, now: Self) -> Self {
        if now.run_id.is_none() {
            return self;
        }
        Self {
            push_refusal: self.push_refusal,
            missing_rights: self.missing_rights,
            ..now
        }
    }

    /// Reads the reply to `INFO`; lines that are missing stay unknown.
    pub(super) fn parse(info: &str) -> Self {
        let field = |name: &str| {
            info.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(found, _)| *found == name)
                .map(|(_, value)| value.trim())
        };
        // The second is how Valkey says it.
        let mode = field("redis_mode").or_else(|| field("server_mode"));
        let role = if mode == Some("sentinel") {
            NodeRole::Sentinel
        } else if field("cluster_enabled") == Some("1") || mode == Some("cluster") {
            NodeRole::ClusterNode
        } else {
            match field("role") {
                Some("slave") => NodeRole::Replica,
                Some("master") => NodeRole::Primary,
                _ => NodeRole::Unknown,
            }
        };
        Self {
            run_id: field("run_id").map(str::to_owned),
            role,
            is_loading: field("loading") == Some("1"),
            eviction_policy: field("maxmemory_policy").map(str::to_owned),
            memory_limit: field("maxmemory").and_then(|bytes| bytes.parse().ok()),
            push_refusal: None,
            missing_rights: Vec::new(),
        }
    }

    /// Why no lock can be kept there, and what to give instead.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        match self.role {
            NodeRole::Replica => Some("this is a replica; give the primary's address"),
            NodeRole::ClusterNode => {
                Some("this is a node of a cluster; give servers that are independent of each other")
            }
            NodeRole::Sentinel => {
                Some("this is a sentinel, which keeps no keys; give the primary's address")
            }
            NodeRole::Primary | NodeRole::Memory | NodeRole::Unknown => None,
        }
    }

    /// What endangers locks there, and what to do about it.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        warnings.extend(self.dangerous_eviction());
        if self.run_id.is_none() {
            warnings.push(
                "the server does not say what it is, so that a restart, a replica and an eviction \
                 policy go unnoticed; grant `info`"
                    .to_owned(),
            );
        }
        warnings.extend(self.push_refusal.as_ref().map(|reason| {
            format!("waiters cannot be told that a lock is free, and ask again and again: {reason}")
        }));
        warnings.extend(self.missing_rights.iter().cloned());
        warnings
    }

    /// What the eviction policy does to locks: keys with a ttl go first, or as
    /// well, under every one but `noeviction`.
    fn dangerous_eviction(&self) -> Option<String> {
        let policy = self.eviction_policy.as_deref()?;
        if policy == "noeviction" {
            return None;
        }
        // Without a limit nothing is evicted, until somebody sets one.
        let when = if self.memory_limit == Some(0) {
            "would evict locks once maxmemory is set and used up"
        } else {
            "evicts locks when its memory is used up"
        };
        Some(format!(
            "the server {when}: its maxmemory-policy is {policy}; set it to noeviction"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\
        run_id:4ad5\r\n\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n\r\n\
        # Replication\r\nrole:master\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n";

    #[test]
    fn a_primary_is_accepted() {
        let facts = NodeFacts::parse(PRIMARY);
        assert_eq!(facts.run_id.as_deref(), Some("4ad5"));
        assert_eq!(facts.refusal(), None);
        assert_eq!(facts.role, NodeRole::Primary);
        assert!(facts.warnings().is_empty(), "{:?}", facts.warnings());
    }

    #[test]
    fn a_replica_is_refused() {
        let facts = NodeFacts::parse(&PRIMARY.replace("role:master", "role:slave"));
        assert!(facts.refusal().unwrap().contains("primary's address"));
    }

    #[test]
    fn a_cluster_node_is_refused() {
        let facts = NodeFacts::parse(&PRIMARY.replace("cluster_enabled:0", "cluster_enabled:1"));
        assert!(facts.refusal().unwrap().contains("independent"));
    }

    #[test]
    fn a_sentinel_is_refused() {
        let redis = PRIMARY.replace("standalone", "sentinel");
        let valkey = redis.replace("redis_mode", "server_mode");
        for info in [redis, valkey] {
            let facts = NodeFacts::parse(&info.replace("role:master", ""));
            assert!(facts.refusal().is_some_and(|why| why.contains("sentinel")));
        }
    }

    #[test]
    fn a_server_that_reads_its_data_from_disk_is_not_ready() {
        assert!(!NodeFacts::parse(PRIMARY).is_loading);
        assert!(NodeFacts::parse("# Persistence\r\nloading:1\r\n").is_loading);
    }

    #[test]
    fn another_eviction_policy_is_dangerous() {
        let facts = NodeFacts::parse(&PRIMARY.replace("noeviction", "volatile-lru"));
        let warnings = facts.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("evicts locks"), "{warnings:?}");
        assert!(warnings[0].contains("volatile-lru"), "{warnings:?}");
    }

    #[test]
    fn without_a_memory_limit_another_policy_is_a_danger_to_come() {
        let info = PRIMARY.replace("noeviction", "allkeys-lru\r\nmaxmemory:0");
        let warnings = NodeFacts::parse(&info).warnings();
        assert!(
            warnings[0].contains("once maxmemory is set"),
            "{warnings:?}"
        );
    }

    #[test]
    fn a_server_that_says_nothing_is_accepted() {
        let facts = NodeFacts::parse("");
        assert_eq!(facts, NodeFacts::default());
        assert_eq!(facts.refusal(), None);
    }
}
