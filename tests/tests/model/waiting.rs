//! Waiting: one holder, no lost wake, no live-lock, in every order of events.

use lockguard_models::{
    ENDLESS, Graph,
    waiting::{ALL_SERVED, Budget, Fault, LEFT_OVER, NEEDS_A_TIMER, Scope, TWO_HOLD},
};

/// Every schedule ends with everybody served, and never do two hold the lock.
#[track_caller]
fn assert_ends(scope: Scope) -> Graph {
    let graph = scope.explore();
    assert_eq!(graph.endless, 0, "{graph:#?}");
    assert_eq!(graph.kinds[TWO_HOLD], 0, "{graph:#?}");
    assert!(graph.kinds[ALL_SERVED] > 0, "{graph:#?}");
    graph
}

/// Besides, no timer is needed.
#[track_caller]
fn assert_needs_no_timer(scope: Scope) {
    let graph = assert_ends(scope);
    assert_eq!(graph.kinds[NEEDS_A_TIMER], 0, "{graph:#?}");
}

/// Besides, no lock is left to run out.
#[track_caller]
fn assert_is_clean(scope: Scope) {
    let graph = assert_ends(scope);
    assert_eq!(graph.kinds[NEEDS_A_TIMER], 0, "{graph:#?}");
    assert_eq!(graph.kinds[LEFT_OVER], 0, "{graph:#?}");
}

#[track_caller]
fn assert_goes_round(scope: Scope) {
    let graph = scope.explore();
    assert!(graph.ways.contains_key(ENDLESS), "{graph:#?}");
}

/// A state of this kind is there, so many steps away at the least.
#[track_caller]
fn assert_finds(scope: Scope, kind: &str, steps: usize) {
    let way = scope.find(kind);
    assert_eq!(way.as_ref().map(Vec::len), Some(steps), "{way:#?}");
}

#[test]
fn three_waiters_on_three_nodes_are_all_served_without_a_timer() {
    assert_is_clean(Scope::new(3, 3));
}

#[test]
fn three_waiters_are_served_where_a_pass_names_the_ticket_only() {
    assert_is_clean(Scope::new(3, 3).with_passes_for_tickets());
}

#[test]
fn two_waiters_are_served_whenever_replies_arrive_and_whoever_barges_or_gives_up() {
    let scope = Scope::new(3, 2).with_late_replies();
    let scope = scope.with_newcomers_that_barge().under(Budget::GIVE_UP);
    assert_is_clean(scope.clone());
    assert_is_clean(scope.with_passes_for_tickets());
}

#[test]
fn two_waiters_are_served_where_a_pass_ends_the_round_that_it_overtakes() {
    let as_built = || Scope::new(3, 2).with_late_replies().as_built();
    assert_is_clean(as_built().under(Budget::GIVE_UP));
    assert_is_clean(as_built().under(Budget::SLOW_CLAIM));
    assert_is_clean(as_built().under(Budget::LOST_PASS));
}

#[test]
fn a_reservation_that_ends_before_its_claim_delays_nobody() {
    assert_is_clean(Scope::new(1, 3).under(Budget::SLOW_CLAIM));
    assert_is_clean(
        Scope::new(3, 2)
            .with_late_replies()
            .under(Budget::SLOW_CLAIM),
    );
}

#[test]
fn a_pass_or_a_line_that_one_of_three_nodes_loses_needs_no_timer() {
    assert_needs_no_timer(
        Scope::new(3, 2)
            .with_late_replies()
            .under(Budget::LOST_PASS),
    );
    assert_needs_no_timer(
        Scope::new(3, 2)
            .with_late_replies()
            .under(Budget::LOST_LINE),
    );
}

#[test]
fn a_crash_needs_the_timer_and_the_timer_is_enough() {
    for scope in [Scope::new(1, 3), Scope::new(3, 2).with_late_replies()] {
        let graph = assert_ends(scope.under(Budget::CRASH));
        assert!(graph.kinds[NEEDS_A_TIMER] > 0, "{graph:#?}");
    }
}

/// A pass to whoever has just asked, on one node.
#[test]
fn a_pass_that_is_the_grant_has_one_holder_and_serves_everybody() {
    let grants = || Scope::new(1, 3).with_late_replies().with_grants();
    assert_is_clean(grants());
    assert_is_clean(grants().under(Budget::GIVE_UP));
    assert_ends(grants().under(Budget::LOST_PASS));
    assert_ends(grants().under(Budget::LOST_LINE));
    assert_ends(grants().under(Budget::CRASH));
}

#[test]
fn a_grant_that_is_told_and_not_stored_is_found_to_make_two_holders() {
    let scope = Scope::new(1, 3).with_grants();
    let scope = scope.with(Fault::TellsAGrantThatItDoesNotStore);
    assert_finds(scope, TWO_HOLD, 6);
}

#[test]
fn a_give_back_that_passes_to_any_waiter_is_found_to_go_round_for_ever() {
    assert_goes_round(Scope::new(3, 3).with(Fault::GivesBackToAny));
}

#[test]
fn a_ticket_entered_with_the_refused_token_is_found_to_go_round_for_ever() {
    let scope = Scope::new(1, 3).with(Fault::EntersTheRefusedToken);
    assert_goes_round(scope);
}

#[test]
fn a_pass_that_is_forgotten_during_a_round_is_found_to_be_a_lost_wake() {
    let scope = Scope::new(3, 2).with_late_replies();
    let scope = scope.with(Fault::ForgetsAPassDuringARound);
    assert_finds(scope, NEEDS_A_TIMER, 17);
}

#[test]
fn leaving_without_a_pass_is_found_to_be_a_lost_wake() {
    let scope = Scope::new(1, 3).with(Fault::LeavesWithoutAPass);
    assert_finds(scope, NEEDS_A_TIMER, 5);
}

#[test]
fn a_pass_that_nobody_gives_on_is_found_to_be_left_over() {
    let scope = Scope::new(3, 2).with(Fault::KeepsAPassThatComesTooLate);
    assert_finds(scope, LEFT_OVER, 15);
}

#[test]
fn passes_that_count_as_votes_are_found_to_make_two_holders() {
    let scope = Scope::new(1, 3)
        .under(Budget::SLOW_CLAIM)
        .with(Fault::CountsPasses);
    assert_finds(scope, TWO_HOLD, 7);
}

#[test]
fn a_waiting_quorum_of_one_node_is_found_to_make_two_holders() {
    let scope = Scope::new(3, 2).with(Fault::NeedsOneNode);
    assert_finds(scope, TWO_HOLD, 2);
}

#[test]
fn a_holder_that_gives_on_its_own_pass_is_found_to_make_two_holders() {
    let scope = Scope::new(3, 3).with(Fault::GivesOnItsOwnLease);
    assert_finds(scope, TWO_HOLD, 14);
}

#[test]
fn a_holder_that_stays_in_other_lines_is_found_to_leave_a_lock_over() {
    let scope = Scope::new(3, 2).with_passes_for_tickets();
    let scope = scope.with(Fault::StaysInOtherLines);
    assert_finds(scope, LEFT_OVER, 14);
}
