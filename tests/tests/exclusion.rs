//! Two bodies of one key never run at once: tasks, processes, contenders.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests panic as tests do"
)]

use std::{sync::Arc, time::Duration};

use lockguard::{LockError, LockGuard, LockManager};
use lockguard_tests::{Servers, Witness, Worker, over_1_3_5_nodes};
use tokio::{sync::Barrier, time::sleep};

const TTL: Duration = Duration::from_secs(2);

over_1_3_5_nodes!(tasks_of_one_process_never_overlap(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let witness = Witness::new();
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (manager, witness) = (manager.clone(), witness.clone());
            tokio::spawn(async move {
                for _ in 0..4 {
                    let request = manager.lock("seat:1", TTL).wait(30 * TTL);
                    let body = async |_| {
                        let section = witness.enter("seat:1");
                        tokio::task::yield_now().await;
                        section.leave();
                    };
                    request.run(body).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    witness.assert_exclusive(64 * 4);
});

over_1_3_5_nodes!(managers_that_share_nothing_but_servers_never_overlap(servers) {
    let witness = Witness::new();
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let manager = LockManager::connect(servers.urls()).await.unwrap();
        let witness = witness.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                let request = manager.lock("seat:1", TTL).wait(30 * TTL);
                let body = async |_| {
                    let section = witness.enter("seat:1");
                    sleep(Duration::from_millis(1)).await;
                    section.leave();
                };
                request.run(body).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    witness.assert_exclusive(8 * 10);
});

over_1_3_5_nodes!(processes_never_overlap(servers) {
    let witness = Witness::new();
    let path = witness.path().to_str().unwrap();
    let urls = servers.urls();
    let args = ["contend", &urls, "seat:1", path, "20"];
    let workers: Vec<_> = (0..4)
        .map(|_| Worker::start(env!("CARGO_BIN_EXE_worker"), &args))
        .collect();
    tokio::task::spawn_blocking(move || {
        for worker in &workers {
            worker.line_with("done");
        }
    })
    .await
    .unwrap();
    witness.assert_exclusive(4 * 20);
});

/// Contenders that try once, at the same time: one of them gets the lock.
async fn exactly_one_of(contenders: usize, nodes: usize, rounds: u32) {
    let servers = Servers::start(nodes);
    let urls = servers.urls();
    let start = Arc::new(Barrier::new(contenders + 1));
    let (sender, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..contenders {
        let manager = LockManager::connect(&urls).await.unwrap();
        let (start, sender) = (Arc::clone(&start), sender.clone());
        tokio::spawn(async move {
            for round in 0..rounds {
                start.wait().await;
                let request = manager.lock(format!("job:{round}"), 10 * TTL);
                sender.send(request.try_acquire().await).unwrap();
            }
        });
    }
    for round in 0..rounds {
        start.wait().await;
        let mut winners: Vec<LockGuard> = Vec::new();
        for _ in 0..contenders {
            match outcomes.recv().await.unwrap() {
                Ok(guard) => winners.push(guard),
                Err(LockError::Busy { .. }) => {}
                Err(error) => panic!("round {round}: {error}"),
            }
        }
        assert_eq!(winners.len(), 1, "winners of round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_that_try_once_on_three_nodes_exactly_one_wins_a_thousand_times() {
    exactly_one_of(3, 3, 1000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_five_that_try_once_on_three_nodes_exactly_one_wins_a_thousand_times() {
    exactly_one_of(5, 3, 1000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_five_that_try_once_on_five_nodes_exactly_one_wins_a_thousand_times() {
    exactly_one_of(5, 5, 1000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_try_once_on_two_nodes_exactly_one_wins_a_thousand_times() {
    exactly_one_of(2, 2, 1000).await;
}
