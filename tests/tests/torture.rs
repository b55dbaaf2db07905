//! The fault matrix in short, and the judge on mistakes that it must find.

use std::{path::PathBuf, time::Duration};

use lockguard_tests::torture::{
    bugs::Bug,
    checker::check,
    clock::Stamp,
    evidence::{Evidence, Span, Window},
    fault::Fault,
    journal::{Call, Interface, Look, Operation, Outcome, Record, RuntimeDrop, Start, Usage, Who},
    matrix::{self, Settings},
    verdict::Flaw,
};

/// Always the same schedule; `cargo xtask torture` takes a new one each time.
const SEED: u64 = 1;

fn settings() -> Settings {
    Settings::short(SEED, PathBuf::from(env!("CARGO_BIN_EXE_torture")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_fault_inside_the_promise_breaks_it() {
    let report = matrix::run(&settings()).await;
    assert!(report.broken.is_empty(), "{}", report.broken.join("\n"));
    assert!(report.acquired > 1000, "{} locks acquired", report.acquired);
}

/// The bug shows, and by its name.
async fn is_caught(bug: Bug) {
    let verdict = matrix::with_bug(bug, &settings()).await;
    assert!(
        verdict.count_of(bug.flaw()) > 0,
        "{}: {:?}",
        bug.name(),
        verdict.violations
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backend_that_grants_twice_is_caught() {
    is_caught(Bug::GrantsTwice).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_release_without_compare_is_caught() {
    is_caught(Bug::ReleaseWithoutCompare).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deadline_counted_from_the_reply_is_caught() {
    is_caught(Bug::DeadlineFromReply).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fence_that_is_only_incr_is_caught() {
    is_caught(Bug::FenceByIncr).await;
}

const TTL: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Stamp {
    Stamp::from_nanos(1_000_000_000) + Duration::from_millis(millis)
}

fn who(client: u16, key: u16) -> Who {
    Who {
        client,
        interface: Interface::Guard,
        key,
        id: 1,
    }
}

/// A body between two instants, under a token.
fn body(client: u16, key: u16, (start, end): (u64, u64), token: u64) -> [Record; 2] {
    let deadline = at(start) + TTL;
    [
        Record::Start(Start {
            who: who(client, key),
            begin: at(start),
            start: at(start),
            deadline,
            token,
            ttl: TTL,
            wait: Duration::ZERO,
        }),
        Record::Look(Look {
            who: who(client, key),
            at: at(end),
            deadline,
            is_end: true,
        }),
    ]
}

fn call(client: u16, key: u16, outcome: Outcome, span: (u64, u64)) -> Record {
    call_of(Operation::Acquire, who(client, key), outcome, span)
}

fn call_of(operation: Operation, who: Who, outcome: Outcome, (begin, end): (u64, u64)) -> Record {
    Record::Call(Call {
        who,
        operation,
        outcome,
        is_fenced: false,
        begin: at(begin),
        end: at(end),
        ttl: TTL,
        wait: Duration::ZERO,
        work: Duration::ZERO,
        limit: Duration::ZERO,
    })
}

/// What is known of a cell without a fault in which this happened.
fn evidence(records: impl IntoIterator<Item = Record>) -> Evidence {
    Evidence {
        fault: Fault::None,
        nodes: 3,
        longest_ttl: TTL,
        windows: Vec::new(),
        records: records.into_iter().collect(),
        standstills: Vec::new(),
        set_back: Duration::ZERO,
        keys_left: Vec::new(),
        connections: Vec::new(),
    }
}

/// What the judge says of it.
fn flaws_of(evidence: &Evidence) -> Vec<Flaw> {
    let verdict = check(evidence);
    let violations = verdict.violations.iter();
    violations.map(|violation| violation.flaw).collect()
}

/// What the judge says of these records, without a fault.
fn flaws(records: impl IntoIterator<Item = Record>) -> Vec<Flaw> {
    flaws_of(&evidence(records))
}

#[test]
fn bodies_one_after_another_are_right() {
    let records = [body(0, 1, (0, 100), 5), body(1, 1, (101, 200), 6)];
    assert_eq!(flaws(records.concat()), []);
}

#[test]
fn bodies_of_different_keys_may_overlap() {
    let records = [body(0, 1, (0, 100), 5), body(1, 2, (50, 200), 5)];
    assert_eq!(flaws(records.concat()), []);
}

#[test]
fn two_bodies_at_once_are_found() {
    let records = [body(0, 1, (0, 100), 5), body(1, 1, (50, 200), 6)];
    assert_eq!(flaws(records.concat()), [Flaw::GrantedTwice]);
}

#[test]
fn a_body_without_an_end_counts_until_its_deadline() {
    let killed = |second: u64| {
        let mut records = body(0, 1, (0, 100), 5).to_vec();
        records.truncate(1);
        records.extend(body(1, 1, (second, second + 1), 6));
        flaws(records)
    };
    assert_eq!(killed(900), [Flaw::GrantedTwice]);
    assert_eq!(killed(1001), []);
}

#[test]
fn a_body_after_its_deadline_is_no_overlap() {
    let records = [body(0, 1, (0, 1500), 5), body(1, 1, (1001, 1100), 6)];
    assert_eq!(flaws(records.concat()), []);
}

#[test]
fn a_token_that_is_equal_or_smaller_is_found() {
    for token in [4, 5] {
        let records = [body(0, 1, (0, 100), 5), body(1, 1, (101, 200), token)];
        assert_eq!(flaws(records.concat()), [Flaw::TokenNotGreater]);
    }
}

#[test]
fn unavailable_without_a_fault_is_found() {
    let unavailable = call(0, 1, Outcome::Unavailable, (0, 300));
    assert_eq!(flaws([unavailable]), [Flaw::WrongError]);
}

/// What the judge says of a release that nobody could answer, of a lease that
/// was asked for at this instant, with one server away from 500 on.
fn flaws_of_an_unavailable_release(asked: u64) -> Vec<Flaw> {
    let window = Window {
        span: Span {
            begin: at(500),
            end: at(900),
        },
        victims: vec![0],
    };
    let release = call_of(
        Operation::Release,
        who(0, 1),
        Outcome::Unavailable,
        (600, 800),
    );
    let records = body(0, 1, (asked, 600), 5).into_iter().chain([release]);
    flaws_of(&Evidence {
        fault: Fault::Hung,
        windows: vec![window],
        ..evidence(records)
    })
}

#[test]
fn a_lease_that_is_older_than_the_fault_may_have_no_quorum_left() {
    assert_eq!(flaws_of_an_unavailable_release(400), []);
}

#[test]
fn unavailable_for_a_lease_that_began_during_the_fault_is_found() {
    let flaws = flaws_of_an_unavailable_release(550);
    assert_eq!(flaws, [Flaw::WrongError]);
}

#[test]
fn busy_where_nobody_else_wants_the_key_is_found() {
    let before = call(0, 2000, Outcome::Done, (0, 10));
    let busy = call(0, 2000, Outcome::Busy, (20, 30));
    assert_eq!(flaws([before, busy]), [Flaw::WrongError]);
    // A lost lease may still be on its way back.
    let before = call(0, 2000, Outcome::Expired, (0, 1000));
    assert_eq!(flaws([before, busy]), []);
}

/// What the judge says of a busy call that begins at 200, after calls of its
/// client by this interface, where that dropped a runtime in this span.
fn flaws_after_a_runtime_drop(
    interface: Interface,
    calls: &[(Operation, (u64, u64))],
    (begin, end): (u64, u64),
) -> Vec<Flaw> {
    let who = Who {
        interface,
        ..who(0, 2000)
    };
    let done = |(operation, span): &_| call_of(*operation, who, Outcome::Done, *span);
    let busy = call_of(
        Operation::Acquire,
        Who { id: 2, ..who },
        Outcome::Busy,
        (200, 201),
    );
    let dropped = Record::RuntimeDrop(RuntimeDrop {
        client: 0,
        begin: at(begin),
        end: at(end),
    });
    let records = calls.iter().map(done).chain([busy, dropped]);
    flaws_of(&Evidence {
        fault: Fault::RuntimeDropped,
        ..evidence(records)
    })
}

#[test]
fn busy_after_a_body_during_which_the_runtime_was_dropped_is_right() {
    let flaws = |dropped| {
        let body = [(Operation::Acquire, (100, 150))];
        flaws_after_a_runtime_drop(Interface::Attribute, &body, dropped)
    };
    assert_eq!(flaws((120, 121)), []);
    // It was on its way down when the call began.
    assert_eq!(flaws((99, 101)), []);
    assert_eq!(flaws((90, 99)), [Flaw::WrongError]);
    // The attribute had waited for its release.
    assert_eq!(flaws((151, 152)), [Flaw::WrongError]);
}

#[test]
fn busy_after_a_guard_that_was_dropped_before_the_runtime_is_right() {
    let flaws = |dropped| {
        let lease = [(Operation::Acquire, (100, 150))];
        flaws_after_a_runtime_drop(Interface::Guard, &lease, dropped)
    };
    assert_eq!(flaws((160, 161)), []);
    assert_eq!(flaws((90, 99)), [Flaw::WrongError]);
    // Behind the release, the busy call was asked of the same manager.
    assert_eq!(flaws((201, 202)), [Flaw::WrongError]);
}

#[test]
fn busy_after_a_release_that_was_confirmed_is_found_whatever_was_dropped() {
    for interface in [Interface::Guard, Interface::Token] {
        let released = [
            (Operation::Acquire, (100, 150)),
            (Operation::Release, (140, 150)),
        ];
        let flaws = flaws_after_a_runtime_drop(interface, &released, (120, 145));
        assert_eq!(flaws, [Flaw::WrongError]);
    }
}

#[test]
fn busy_for_longer_than_the_ttl_of_a_lost_release_is_found() {
    let before = call(0, 2000, Outcome::Done, (0, 10));
    let flaws = |client, begin| {
        let dropped = Record::RuntimeDrop(RuntimeDrop {
            client,
            begin: at(5),
            end: at(6),
        });
        let busy = call(0, 2000, Outcome::Busy, (begin, begin + 1));
        flaws_of(&Evidence {
            fault: Fault::RuntimeDropped,
            ..evidence([before, busy, dropped])
        })
    };
    assert_eq!(flaws(0, 1000), []);
    assert_eq!(flaws(0, 1600), [Flaw::WrongError]);
    // Its manager is another client's.
    assert_eq!(flaws(1, 1000), [Flaw::WrongError]);
}

#[test]
fn the_time_of_a_fault_does_not_excuse_busy_where_runtimes_are_dropped() {
    let before = call(0, 2000, Outcome::Done, (0, 10));
    let busy = call(0, 2000, Outcome::Busy, (20, 30));
    let window = Window {
        span: Span {
            begin: at(0),
            end: at(1000),
        },
        victims: Vec::new(),
    };
    let flaws = |fault| {
        flaws_of(&Evidence {
            fault,
            windows: vec![window.clone()],
            ..evidence([before, busy])
        })
    };
    assert_eq!(flaws(Fault::RuntimeDropped), [Flaw::WrongError]);
    assert_eq!(flaws(Fault::ClientPaused), []);
}

#[test]
fn lost_before_the_deadline_is_found() {
    let mut records = body(0, 1, (0, 100), 5).to_vec();
    records.push(call(0, 1, Outcome::Expired, (0, 100)));
    assert_eq!(flaws(records), [Flaw::WrongError]);
}

#[test]
fn a_call_beyond_its_bound_is_found() {
    let slow = call(0, 1, Outcome::Busy, (0, 60_000));
    assert_eq!(flaws([slow]), [Flaw::SlowCall]);
}

#[test]
fn a_key_that_is_left_is_found() {
    let left = Evidence {
        keys_left: vec!["guard:1 on server 0".to_owned()],
        ..evidence(body(0, 1, (0, 100), 5))
    };
    assert_eq!(flaws_of(&left), [Flaw::KeyLeft]);
}

fn usage(is_last: bool, memory: u64, files: u64, tasks: u64) -> Record {
    Record::Usage(Usage {
        client: 0,
        is_last,
        memory,
        files,
        tasks,
    })
}

#[test]
fn a_client_that_grows_is_found() {
    const MIB: u64 = 1 << 20;

    let before = usage(false, 50 * MIB, 12, 5);
    let since = |now| flaws([before, now]);
    assert_eq!(since(usage(true, 50 * MIB, 12, 5)), []);
    assert_eq!(since(usage(true, 100 * MIB, 12, 5)), [Flaw::Growth]);
    assert_eq!(since(usage(true, 50 * MIB, 13, 5)), [Flaw::Growth]);
    assert_eq!(since(usage(true, 50 * MIB, 12, 6)), [Flaw::Growth]);
}

#[test]
fn a_fault_that_nobody_felt_is_found() {
    let hung = |victims: &[usize], outcome| {
        let window = Window {
            span: Span {
                begin: at(0),
                end: at(1000),
            },
            victims: victims.to_vec(),
        };
        flaws_of(&Evidence {
            fault: Fault::Hung,
            windows: vec![window],
            ..evidence([call(0, 1, outcome, (100, 400))])
        })
    };
    assert_eq!(hung(&[0, 1], Outcome::Busy), [Flaw::NotFelt]);
    assert_eq!(hung(&[0, 1], Outcome::Unavailable), []);
    // A quorum is left.
    assert_eq!(hung(&[0], Outcome::Busy), []);
}
