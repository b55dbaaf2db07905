//! Searches further than the tests do, and shows what each fault comes to.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::time::Instant;

use lockguard_models::{
    Found, Graph,
    fencing::{Fault, Plan, Scope, three, two, with_a_retry, with_a_successor},
    waiting::{self, Budget},
};

/// `[--long] [fencing | waiting]`
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_given = |word: &str| arguments.iter().any(|argument| argument == word);
    let is_long = is_given("--long");
    if !is_given("waiting") {
        fencing(is_long);
    }
    if !is_given("fencing") {
        waiting(is_long);
    }
}

fn fencing(is_long: bool) {
    println!("\nfencing: what holds\n");
    for (name, scope) in tested() {
        show(name, || scope.search());
    }
    if is_long {
        for (name, scope) in larger() {
            show(name, || scope.search());
        }
    }
    println!("\nfencing: what is found\n");
    for (name, scope) in broken() {
        show(&name, || scope.search());
    }
}

fn waiting(is_long: bool) {
    println!("\nwaiting: what ends\n");
    for (name, scope) in waits_tested() {
        show_graph(name, || scope.explore());
    }
    if is_long {
        for (name, scope) in waits_larger() {
            show_graph(name, || scope.explore());
        }
    }
    println!("\nwaiting: what is found\n");
    for (fault, kind, scope) in waits_broken() {
        let way = scope.with(fault).find(kind).unwrap_or_default();
        println!("{fault:?}");
        show_way(kind, &way);
    }
    for (fault, scope) in waits_endless() {
        let name = format!("{fault:?}");
        show_graph(&name, || scope.with(fault).explore());
    }
}

fn with_two_successors() -> Vec<Plan> {
    let first = Plan::by(0);
    vec![first, first.successor(0), first.successor(1), Plan::by(1)]
}

/// As in the tests.
fn tested() -> Vec<(&'static str, Scope)> {
    let anything = |attempts| Scope::new(attempts, 3).asking_anything();
    let on_time = |attempts| Scope::new(attempts, 3).on_time();
    vec![
        ("2 clients", Scope::new(two(), 3)),
        ("3 clients, asking anything", anything(three())),
        (
            "2 clients, a successor, asking anything",
            anything(with_a_successor()),
        ),
        ("3 clients, on time", on_time(three())),
        (
            "2 clients, a successor, on time",
            on_time(with_a_successor()),
        ),
        ("1 client, undisturbed", Scope::alone()),
        (
            "3 of 3 nodes decide, 1 forgets, asking anything",
            anything(two()).losing(3, 1),
        ),
    ]
}

fn larger() -> Vec<(&'static str, Scope)> {
    let anything = |attempts| Scope::new(attempts, 4).asking_anything();
    vec![
        ("3 clients", Scope::new(three(), 3)),
        ("2 clients, a retry", Scope::new(with_a_retry(), 3)),
        ("2 clients, a successor", Scope::new(with_a_successor(), 3)),
        ("3 clients, 4 tokens, asking anything", anything(three())),
        (
            "2 clients, 2 successors in a row, 4 tokens, asking anything",
            anything(with_two_successors()),
        ),
    ]
}

fn broken() -> Vec<(String, Scope)> {
    let breaking_tokens = [
        Fault::CountsOwners,
        Fault::AcknowledgesForAnother,
        Fault::AcknowledgesBelowItsFence,
        Fault::KeepsTheFenceOnAGrant,
        Fault::ClearsTheFenceOnRelease,
        Fault::AgreesOnGrants,
        Fault::NeedsOneNode,
    ];
    let scopes = breaking_tokens.map(|fault| (fault, Scope::new(two(), 3)));
    let breaking_leases = [Fault::EndsEarly, Fault::ReleasesAnothers];
    let on_time = breaking_leases.map(|fault| (fault, Scope::new(three(), 3).on_time()));
    let others = [
        (Fault::ReusesAnOwnerToken, Scope::new(with_a_retry(), 3)),
        (Fault::CapsTheRaise, Scope::alone()),
    ];
    let scopes = scopes.into_iter().chain(on_time).chain(others);
    let faults = scopes.map(|(fault, scope)| (format!("{fault:?}"), scope.with(fault)));
    let losses = [(2, 1), (3, 3)].map(|(quorum, losses)| {
        let name = format!("{quorum} of 3 nodes decide, {losses} forget");
        let scope = Scope::new(two(), 2).losing(quorum, losses);
        (name, scope.asking_anything())
    });
    faults.chain(losses).collect()
}

/// As in the tests.
fn waits_tested() -> Vec<(&'static str, waiting::Scope)> {
    let two = || waiting::Scope::new(3, 2).with_late_replies();
    let barging = || two().with_newcomers_that_barge().under(Budget::GIVE_UP);
    let one_node = || waiting::Scope::new(1, 3);
    vec![
        ("3 nodes, 3 waiters", waiting::Scope::new(3, 3)),
        (
            "1 node, 3 waiters, late, grants, 1 gives up",
            one_node()
                .with_late_replies()
                .with_grants()
                .under(Budget::GIVE_UP),
        ),
        (
            "3 nodes, 3 waiters, passes for tickets",
            waiting::Scope::new(3, 3).with_passes_for_tickets(),
        ),
        (
            "3 nodes, 2 waiters, late, as built, 1 gives up",
            two().as_built().under(Budget::GIVE_UP),
        ),
        (
            "3 nodes, 2 waiters, late, as built, 1 slow claim",
            two().as_built().under(Budget::SLOW_CLAIM),
        ),
        (
            "3 nodes, 2 waiters, late, as built, 1 pass lost",
            two().as_built().under(Budget::LOST_PASS),
        ),
        ("3 nodes, 2 waiters, late, barging, 1 gives up", barging()),
        (
            "the same, passes for tickets",
            barging().with_passes_for_tickets(),
        ),
        (
            "3 nodes, 2 waiters, late, 1 slow claim",
            two().under(Budget::SLOW_CLAIM),
        ),
        (
            "3 nodes, 2 waiters, late, 1 pass lost",
            two().under(Budget::LOST_PASS),
        ),
        (
            "3 nodes, 2 waiters, late, 1 line lost",
            two().under(Budget::LOST_LINE),
        ),
        (
            "3 nodes, 2 waiters, late, 1 crash",
            two().under(Budget::CRASH),
        ),
        (
            "1 node, 3 waiters, 1 slow claim",
            one_node().under(Budget::SLOW_CLAIM),
        ),
        (
            "1 node, 3 waiters, 1 crash",
            one_node().under(Budget::CRASH),
        ),
    ]
}

fn waits_larger() -> Vec<(&'static str, waiting::Scope)> {
    let three = || waiting::Scope::new(3, 3);
    vec![
        ("3 waiters, as built", three().as_built()),
        ("3 waiters, barging", three().with_newcomers_that_barge()),
        ("3 waiters, 1 pass lost", three().under(Budget::LOST_PASS)),
        ("3 waiters, 1 line lost", three().under(Budget::LOST_LINE)),
        ("3 waiters, 1 crash", three().under(Budget::CRASH)),
        ("3 waiters, late", three().with_late_replies()),
    ]
}

/// Broken rules, and what each is found to come to.
fn waits_broken() -> Vec<(waiting::Fault, &'static str, waiting::Scope)> {
    use waiting::{Fault, LEFT_OVER, NEEDS_A_TIMER, Scope, TWO_HOLD};

    let two = || Scope::new(3, 2);
    let late = || two().with_late_replies();
    let slow = Scope::new(1, 3).under(Budget::SLOW_CLAIM);
    vec![
        (Fault::LeavesWithoutAPass, NEEDS_A_TIMER, Scope::new(1, 3)),
        (Fault::ForgetsAPassDuringARound, NEEDS_A_TIMER, late()),
        (Fault::KeepsAPassThatComesTooLate, LEFT_OVER, two()),
        (
            Fault::StaysInOtherLines,
            LEFT_OVER,
            two().with_passes_for_tickets(),
        ),
        (Fault::CountsPasses, TWO_HOLD, slow),
        (Fault::GivesOnItsOwnLease, TWO_HOLD, Scope::new(3, 3)),
        (
            Fault::TellsAGrantThatItDoesNotStore,
            TWO_HOLD,
            Scope::new(1, 3).with_grants(),
        ),
        (Fault::NeedsOneNode, TWO_HOLD, two()),
    ]
}

/// Broken rules that make a schedule that never ends.
fn waits_endless() -> Vec<(waiting::Fault, waiting::Scope)> {
    use waiting::{Fault, Scope};

    vec![
        (Fault::EntersTheRefusedToken, Scope::new(1, 3)),
        (Fault::GivesBackToAny, Scope::new(3, 3)),
        (Fault::GivesBackToAnyAndLeavesTheLine, Scope::new(3, 3)),
    ]
}

fn show_graph(name: &str, explore: impl FnOnce() -> Graph) {
    let start = Instant::now();
    let graph = explore();
    let took = start.elapsed().as_secs_f64();
    let (states, endless) = (graph.states, graph.endless);
    println!("{states:>10} states {took:>6.1} s  {name}");
    println!("{endless:>17} never end");
    for (kind, count) in &graph.kinds {
        println!("{count:>17} {kind}");
    }
    for (kind, way) in &graph.ways {
        if *kind != waiting::ALL_SERVED {
            show_way(kind, way);
        }
    }
}

fn show_way(kind: &str, way: &[String]) {
    println!("{:>17} {kind}, in {} steps:", "", way.len());
    for step in way {
        println!("{:>19}{step}", "");
    }
}

fn show(name: &str, search: impl FnOnce() -> Found) {
    let start = Instant::now();
    let found = search();
    let took = start.elapsed().as_secs_f64();
    let (states, depth) = (found.states, found.depth);
    println!("{states:>10} states {depth:>3} deep {took:>6.1} s  {name}");
    println!("{:>17} {:?}", "reached", found.reached);
    for (promise, steps) in &found.broken {
        show_way(promise, steps);
    }
}
