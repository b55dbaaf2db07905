//! What a server says about itself when it is connected to.

/// What a server said about itself; nothing of it is certain, since asking can
/// be forbidden.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NodeFacts {
    /// Identifies one run of the server: a restart changes it.
    pub(crate) run_id: Option<String>,
    /// What kind of server it is.
    pub(crate) role: Role,
    /// Whether it is still reading its data from disk, and refuses commands.
    pub(crate) is_loading: bool,
    /// What is evicted when the memory is used up: `noeviction` is right.
    pub(crate) eviction_policy: Option<String>,
}

/// What kind of server it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// A primary by itself, as far as it is known.
    #[default]
    Primary,
    /// Copies a primary.
    Replica,
    /// Belongs to a cluster.
    ClusterNode,
    /// Watches over servers, and keeps no keys.
    Sentinel,
}

impl NodeFacts {
    /// Reads the reply to `INFO`; lines that are missing stay unknown.
    pub(super) fn parse(info: &str) -> Self {
        let field = |name: &str| {
            info.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(found, _)| *found == name)
                .map(|(_, value)| value.trim())
        };
        let role = if field("redis_mode") == Some("sentinel") {
            Role::Sentinel
        } else if field("cluster_enabled") == Some("1") || field("redis_mode") == Some("cluster") {
            Role::ClusterNode
        } else if field("role") == Some("slave") {
            Role::Replica
        } else {
            Role::Primary
        };
        Self {
            run_id: field("run_id").map(str::to_owned),
            role,
            is_loading: field("loading") == Some("1"),
            eviction_policy: field("maxmemory_policy").map(str::to_owned),
        }
    }

    /// Why no lock can be kept there, and what to give instead.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        match self.role {
            Role::Primary => None,
            Role::Replica => Some("this is a replica; give the primary's address"),
            Role::ClusterNode => {
                Some("this is a node of a cluster; give servers that are independent of each other")
            }
            Role::Sentinel => {
                Some("this is a sentinel, which keeps no keys; give the primary's address")
            }
        }
    }

    /// The eviction policy, if it can throw locks away.
    pub(super) fn dangerous_eviction(&self) -> Option<&str> {
        self.eviction_policy
            .as_deref()
            .filter(|policy| *policy != "noeviction")
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
        assert_eq!(facts.dangerous_eviction(), None);
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
        let facts = NodeFacts::parse(&PRIMARY.replace("standalone", "sentinel"));
        assert!(facts.refusal().unwrap().contains("sentinel"));
    }

    #[test]
    fn a_server_that_reads_its_data_from_disk_is_not_ready() {
        assert!(!NodeFacts::parse(PRIMARY).is_loading);
        assert!(NodeFacts::parse("# Persistence\r\nloading:1\r\n").is_loading);
    }

    #[test]
    fn another_eviction_policy_is_dangerous() {
        let facts = NodeFacts::parse(&PRIMARY.replace("noeviction", "volatile-lru"));
        assert_eq!(facts.dangerous_eviction(), Some("volatile-lru"));
    }

    #[test]
    fn a_server_that_says_nothing_is_accepted() {
        let facts = NodeFacts::parse("");
        assert_eq!(facts, NodeFacts::default());
        assert_eq!(facts.refusal(), None);
    }
}
