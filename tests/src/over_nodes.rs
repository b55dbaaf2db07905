//! One test over one, three and five servers.

/// Makes a module with a test for each number of servers.
///
/// ```ignore
/// over_1_3_5_nodes!(the_lock_is_released(servers) {
///     // `servers` is a `Servers`
/// });
/// ```
#[macro_export]
macro_rules! over_1_3_5_nodes {
    ($(#[$attribute:meta])* $name:ident($servers:ident) $body:block) => {
        #[cfg(test)]
        mod $name {
            #[allow(unused_imports, reason = "not every test needs what its file imports")]
            use super::*;

            async fn case($servers: &$crate::Servers) $body

            $crate::over_1_3_5_nodes!(@test one_node 1 $(#[$attribute])*);
            $crate::over_1_3_5_nodes!(@test three_nodes 3 $(#[$attribute])*);
            $crate::over_1_3_5_nodes!(@test five_nodes 5 $(#[$attribute])*);
        }
    };
    (@test $name:ident $nodes:literal $(#[$attribute:meta])*) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[$attribute])*
        async fn $name() {
            let servers = $crate::Servers::start($nodes);
            case(&servers).await;
        }
    };
}
