//! A job that every replica starts at the same time, and one runs.

use std::collections::BTreeMap;

use lockguard_tests::{Witness, Worker, over_1_3_5_nodes};

const PROCESSES: usize = 3;
const ROUNDS: usize = 200;

over_1_3_5_nodes!(of_three_processes_that_start_together_one_runs_the_job(servers) {
    let witness = Witness::new();
    let path = witness.path().to_str().expect("a path that is text");
    let mut processes: Vec<_> = (0..PROCESSES)
        .map(|_| Worker::start(env!("CARGO_BIN_EXE_worker"), &["nightly", &servers.urls(), path]))
        .collect();
    for process in &processes {
        process.line_with("ready");
    }
    for round in 0..ROUNDS {
        let answers = a_round(&mut processes, &round.to_string());
        let ran = answers.iter().filter(|answer| **answer == format!("ran {round}"));
        let skipped = answers.iter().filter(|answer| **answer == format!("skipped {round}"));
        assert_eq!((ran.count(), skipped.count()), (1, PROCESSES - 1), "{answers:?}");
    }
    // What they say of themselves is what was seen past the lock.
    let mut runs = BTreeMap::new();
    for run in witness.sections() {
        *runs.entry(run.resource).or_insert(0) += 1;
    }
    assert_eq!(runs.len(), ROUNDS);
    assert!(runs.values().all(|times| *times == 1), "{runs:?}");
});

/// Lets all of them begin, and hears how they ended.
fn a_round(processes: &mut [Worker], round: &str) -> Vec<String> {
    for process in &mut *processes {
        process.tell(round);
    }
    let lines = processes.iter().map(Worker::next_line);
    lines.map(Option::unwrap_or_default).collect()
}
