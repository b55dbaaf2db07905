//! Fencing tokens and exclusion, in every order of events.

use lockguard_models::fencing::{
    ALL_DONE, COMPLETES, EXCLUDES, Fault, ORDERS, RISES, Scope, UNIQUE, three, two, with_a_retry,
    with_a_successor,
};

/// Nothing breaks, and everybody can get a lease.
#[track_caller]
fn assert_holds(scope: Scope) {
    let found = scope.search();
    assert!(found.broken.is_empty(), "{found:#?}");
    assert!(found.reached.contains(ALL_DONE), "{found:#?}");
}

/// The promise breaks, in so many steps at the least.
#[track_caller]
fn assert_breaks(scope: Scope, promise: &str, steps: usize) {
    let found = scope.search();
    let way = found.broken.get(promise).map(Vec::len);
    assert_eq!(way, Some(steps), "{found:#?}");
}

#[test]
fn tokens_rise_and_are_unique_whatever_is_lost_repeated_late_or_expired() {
    assert_holds(Scope::new(two(), 3));
}

#[test]
fn tokens_rise_and_are_unique_whatever_three_clients_ask_for() {
    assert_holds(Scope::new(three(), 3).asking_anything());
}

#[test]
fn tokens_rise_and_are_unique_where_a_successor_takes_the_lock_over() {
    assert_holds(Scope::new(with_a_successor(), 3).asking_anything());
}

#[test]
fn leases_exclude_each_other_and_tokens_order_them_while_none_ends_early() {
    assert_holds(Scope::new(three(), 3).on_time());
}

#[test]
fn a_successors_lease_excludes_others_while_none_ends_early() {
    assert_holds(Scope::new(with_a_successor(), 3).on_time());
}

#[test]
fn an_acquire_that_nothing_disturbs_completes_whatever_the_fences() {
    assert_holds(Scope::alone());
}

#[test]
fn tokens_survive_a_forgetful_node_where_all_three_decide() {
    assert_holds(Scope::new(two(), 3).losing(3, 1).asking_anything());
}

#[test]
fn a_forgetful_node_is_found_to_break_tokens_where_two_decide() {
    let scope = Scope::new(two(), 2).losing(2, 1).asking_anything();
    assert_breaks(scope, UNIQUE, 9);
}

#[test]
fn three_forgetful_nodes_are_found_to_break_tokens_where_all_decide() {
    let scope = Scope::new(two(), 2).losing(3, 3).asking_anything();
    assert_breaks(scope, UNIQUE, 13);
}

#[test]
fn a_fence_that_only_counts_is_found() {
    let scope = Scope::new(two(), 3).with(Fault::CountsOwners);
    assert_breaks(scope, UNIQUE, 10);
}

#[test]
fn an_acknowledgement_for_another_owner_is_found() {
    let scope = Scope::new(two(), 3).with(Fault::AcknowledgesForAnother);
    assert_breaks(scope, UNIQUE, 8);
}

#[test]
fn an_acknowledgement_below_the_fence_is_found() {
    let scope = Scope::new(two(), 3).with(Fault::AcknowledgesBelowItsFence);
    assert_breaks(scope, UNIQUE, 10);
}

#[test]
fn a_fence_that_stays_on_a_grant_is_found() {
    let scope = Scope::new(two(), 3).with(Fault::KeepsTheFenceOnAGrant);
    assert_breaks(scope, UNIQUE, 9);
}

#[test]
fn a_fence_that_ends_with_the_release_is_found() {
    let scope = Scope::new(two(), 3).with(Fault::ClearsTheFenceOnRelease);
    assert_breaks(scope, UNIQUE, 9);
}

#[test]
fn a_quorum_of_grants_instead_of_one_token_is_found() {
    let scope = Scope::new(two(), 3).with(Fault::AgreesOnGrants);
    assert_breaks(scope, UNIQUE, 10);
}

#[test]
fn one_owner_token_for_two_attempts_is_found() {
    let scope = Scope::new(with_a_retry(), 3).with(Fault::ReusesAnOwnerToken);
    assert_breaks(scope, RISES, 8);
}

#[test]
fn a_raise_that_is_capped_is_found() {
    assert_breaks(Scope::alone().with(Fault::CapsTheRaise), COMPLETES, 7);
}

#[test]
fn a_quorum_of_one_node_is_found() {
    assert_breaks(Scope::new(two(), 3).with(Fault::NeedsOneNode), RISES, 6);
}

#[test]
fn a_lock_that_ends_before_its_lease_is_found() {
    let scope = Scope::new(three(), 3).on_time().with(Fault::EndsEarly);
    assert_breaks(scope, ORDERS, 9);
}

#[test]
fn a_release_that_does_not_compare_is_found() {
    let scope = Scope::new(three(), 3).on_time();
    assert_breaks(scope.with(Fault::ReleasesAnothers), EXCLUDES, 11);
}
