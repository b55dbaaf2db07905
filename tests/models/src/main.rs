//! Searches further than the tests do, and shows what each fault comes to.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::time::Instant;

use lockguard_models::{
    Found,
    fencing::{Fault, Plan, Scope},
};

fn main() {
    let is_long = std::env::args().any(|argument| argument == "--long");
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

fn two() -> Vec<Plan> {
    vec![Plan::by(0), Plan::by(1)]
}

fn three() -> Vec<Plan> {
    vec![Plan::by(0), Plan::by(1), Plan::by(2)]
}

fn with_a_retry() -> Vec<Plan> {
    vec![Plan::by(0), Plan::by(0).retry(0), Plan::by(1)]
}

fn with_a_successor() -> Vec<Plan> {
    vec![Plan::by(0), Plan::by(0).successor(0), Plan::by(1)]
}

fn with_two_successors() -> Vec<Plan> {
    let first = Plan::by(0);
    vec![first, first.successor(0), first.successor(1), Plan::by(1)]
}

fn with_a_successor_each() -> Vec<Plan> {
    let (x, y) = (Plan::by(0), Plan::by(1));
    vec![x, x.successor(0), y, y.successor(2)]
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
        (
            "2 clients, a successor each, 4 tokens, asking anything",
            anything(with_a_successor_each()),
        ),
        (
            "3 of 3 nodes decide, 2 forget, asking anything",
            Scope::new(two(), 3).losing(3, 2).asking_anything(),
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

fn show(name: &str, search: impl FnOnce() -> Found) {
    let start = Instant::now();
    let found = search();
    let took = start.elapsed().as_secs_f64();
    let (states, depth) = (found.states, found.depth);
    println!("{states:>10} states {depth:>3} deep {took:>6.1} s  {name}");
    println!("{:>17} {:?}", "reached", found.reached);
    for (promise, steps) in &found.broken {
        println!("{:>17} {promise}, in {} steps:", "broken", steps.len());
        for step in steps {
            println!("{:>19}{step}", "");
        }
    }
}
