//! The backend contract: each sentence of the documentation of
//! [`Backend`](lockguard::backend::Backend), as a case that runs over any
//! backend.
//!
//! [`contract_tests!`](crate::contract_tests) makes a named test of each case;
//! the list of cases stands in [`contract_cases!`](crate::contract_cases) and
//! nowhere else.
#![expect(
    missing_docs,
    clippy::unused_async,
    reason = "the names of cases are claims, and the macro calls all of them alike"
)]

mod fixture;

pub mod acquire;
pub mod cancellation;
pub mod contention;
pub mod expiry;
pub mod extend;
pub mod fencing;
pub mod line;
pub mod model;
pub mod nature;
pub mod release;
pub mod several;
pub mod wake;

pub use self::fixture::{Fixture, run};

/// The list of all cases, each with the sentence that it tests.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_cases {
    ($arguments:tt) => {
        $crate::contract_module! { $arguments
            acquire::acquire_grants_a_free_key
                "An acquire grants a free key.";
            acquire::acquire_refuses_a_held_key
                "An acquire refuses a held key.";
            acquire::a_refused_acquire_leaves_the_holder_and_its_ttl_alone
                "A refused acquire leaves the held key and its ttl alone.";
            acquire::acquire_repeated_by_the_holder_grants_again
                "Repeated with the token that holds the key, an acquire grants again.";
            acquire::acquire_repeated_by_the_holder_gives_no_longer_ttl
                "An acquire that is repeated by the holder gives no longer ttl.";
            acquire::a_refused_token_holds_nothing
                "A reply other than a grant leaves nothing behind for long.";
            acquire::busy_names_the_holder
                "A busy reply names the owner that holds the key.";
            acquire::busy_tells_what_is_left_of_the_ttl
                "A busy reply tells what is left of the key's ttl.";
            acquire::every_valid_key_is_a_lock_of_its_own
                "A key is any text that `LockKey` accepts, kept to the letter.";
            acquire::every_label_is_told_to_the_letter
                "An owner token is stored as it reads, whatever its label.";
            several::several_keys_are_all_taken
                "An acquire of several keys takes all of them.";
            several::one_held_key_refuses_all_of_them
                "An acquire of several keys takes none of them when one is held.";
            several::busy_names_which_of_several_keys_is_held
                "A busy reply names which of several keys is held, and by whom.";
            several::several_keys_repeated_by_the_holder_are_granted_for_no_longer
                "Repeated by the holder, an acquire of several keys grants again, for no longer.";
            several::each_of_several_keys_is_extended_by_itself
                "Each of several keys is extended by itself.";
            several::each_of_several_keys_is_released_by_itself
                "Each of several keys is released by itself.";
            several::several_keys_are_free_after_their_ttl
                "Several keys are held for at most their ttl.";
            several::several_odd_keys_are_kept_to_the_letter
                "Of several keys, each is kept to the letter.";
            several::crossing_owners_of_several_keys_never_overlap
                "Of owners that want several keys, none share one, and each gets its turn.";
            several::of_contenders_for_several_keys_none_keeps_some
                "Who is refused several keys keeps none of them.";
            several::release_after_a_dropped_acquire_of_several_keys_leaves_nothing
                "A release takes effect after the acquire of several keys that was dropped.";
            several::the_release_of_one_of_several_keys_wakes_its_waiter
                "`freed` resolves when this one of several keys is given back.";
            fencing::a_fenced_acquire_is_granted_with_the_proposal
                "A fenced acquire is granted with a token that is at least the proposal.";
            fencing::fencing_tokens_rise_from_owner_to_owner
                "A new owner's token is greater than every one before, whatever is proposed.";
            fencing::a_fence_survives_the_expiry_of_its_lock
                "A key's fence outlives its lock.";
            fencing::a_leading_proposal_is_cut_an_hour_ahead
                "A new owner's proposal is cut one hour ahead of the server's clock.";
            fencing::a_fenced_acquire_repeated_by_the_holder_answers_the_same_token
                "Repeated by the holder, a fenced acquire answers the same token.";
            fencing::a_raise_reaches_the_proposal_and_stays
                "Repeated by the holder with a greater proposal, it answers that, uncut.";
            fencing::a_repeated_fenced_acquire_keeps_the_key_for_the_whole_ttl
                "A fenced acquire that is repeated keeps the keys for the whole ttl again.";
            fencing::a_refused_fenced_acquire_is_told_the_fence_and_leaves_it
                "A refused fenced acquire is told the fence, and changes nothing.";
            fencing::a_refusal_of_several_keys_tells_the_greatest_of_their_fences
                "Who is refused several keys is told the greatest of their fences.";
            fencing::fenced_and_other_owners_exclude_each_other
                "Fenced and other owners exclude each other.";
            fencing::only_fenced_acquires_change_a_fence
                "Only fenced acquires change a key's fence.";
            fencing::several_keys_get_one_token_beyond_each_of_their_fences
                "Several keys get one token, greater than every earlier one of each.";
            fencing::a_spoilt_fence_refuses_fenced_owners_and_no_others
                "A fence that is used up refuses fenced owners, and says so.";
            fencing::a_raise_that_would_spoil_a_fence_changes_nothing
                "A raise beyond the greatest fence is refused, and changes nothing.";
            fencing::contending_owners_get_tokens_in_their_order
                "Tokens are unique, and rise in the order of their owners.";
            fencing::release_after_a_dropped_fenced_acquire_leaves_nothing
                "A release takes effect after the fenced acquire that was dropped.";
            extend::extend_lengthens_a_lease
                "An extend keeps the key for the ttl from now on.";
            extend::extend_never_shortens_a_ttl
                "An extend never shortens a ttl.";
            extend::extend_never_creates_a_key
                "An extend never creates a key.";
            extend::extend_after_expiry_revives_nothing
                "An extend never creates a key, not even one that its owner held.";
            extend::extend_with_anothers_token_changes_nothing
                "An extend compares the owner token and changes nothing that is not its own.";
            extend::extend_to_another_token_hands_the_key_over
                "An extend to another owner token hands the key to that one.";
            extend::extend_to_another_token_is_extended_again_when_repeated
                "An extend to another owner token that is repeated extends the key again.";
            extend::extend_answers_each_request_in_order
                "An extend gives one answer for each request, in their order.";
            extend::extend_of_nothing_answers_nothing
                "An extend of no requests gives no answers.";
            release::release_frees_the_key
                "A release gives the key back, if the token holds it.";
            release::release_with_anothers_token_leaves_the_lock
                "A release compares the owner token and changes nothing that is not its own.";
            release::release_of_a_free_key_is_not_held
                "A release of a key that nobody holds says so.";
            release::a_second_release_is_not_held
                "A release that is repeated says that nobody holds the key.";
            release::release_after_expiry_is_not_held
                "A release after the ttl says that nobody holds the key.";
            release::release_after_expiry_leaves_the_next_owner
                "A release after the ttl leaves the next owner alone.";
            release::release_keeping_a_rest_holds_the_key_for_it_and_not_longer
                "A release that keeps a rest leaves the key taken for that long.";
            release::release_keeping_a_rest_never_lengthens_a_ttl
                "A release that keeps a rest never lengthens a ttl.";
            release::release_keeping_a_rest_with_anothers_token_leaves_the_lock
                "A release that keeps a rest compares the owner token, too.";
            release::release_keeping_a_rest_twice_is_the_same
                "A release that keeps a rest changes nothing when it is repeated.";
            release::release_keeping_a_rest_of_a_free_key_is_not_held
                "A release that keeps a rest never creates a key.";
            expiry::a_key_is_held_for_its_whole_ttl
                "A key is held for its whole ttl, unless it is given back.";
            expiry::a_key_is_free_after_its_ttl
                "A key is held for at most its ttl.";
            expiry::an_extended_key_outlives_its_first_ttl
                "An extended key is held for at least the new ttl.";
            expiry::a_ttl_of_a_day_is_kept
                "The longest ttl is kept as the shortest is.";
            contention::of_contenders_at_once_exactly_one_is_granted
                "A key is held by at most one owner token.";
            contention::owners_in_parallel_never_overlap
                "A key is held by at most one owner token, however owners come and go.";
            contention::contenders_that_were_refused_leave_nothing_behind
                "What a refused acquire took is given back.";
            cancellation::release_after_a_dropped_acquire_leaves_nothing
                "A release takes effect after the acquire whose future was dropped.";
            cancellation::release_after_a_dropped_extend_leaves_nothing
                "A release takes effect after the extend whose future was dropped.";
            cancellation::a_dropped_release_can_be_repeated
                "Dropping a future leaves the operation done or not done.";
            cancellation::futures_own_what_they_need
                "Futures own what they need.";
            wake::a_release_wakes_a_waiter
                "`freed` resolves when the key is given back, where the backend can tell.";
            wake::a_waiter_that_left_takes_no_wake_along
                "A waiter that gave up does not take another one's wake along.";
            line::a_key_that_is_given_back_is_reserved_for_who_waits
                "A key that is given back is reserved for who waits in line, and refused to others.";
            line::a_key_that_is_reserved_is_held_by_nobody
                "Whom a key is reserved for does not hold it yet, and whoever gave it back does not \
                 hear of another owner.";
            line::a_key_that_is_left_open_goes_to_whoever_asks
                "A key that is left open goes to whoever asks, whoever waits in line.";
            line::the_first_in_line_asks_for_a_key_that_was_left_open
                "The first in line is told to ask for a key that was left open.";
            line::a_reserved_key_is_granted_for_the_whole_ttl
                "The waiter's next acquire is granted with the whole ttl.";
            line::the_lowest_ticket_is_the_first
                "The lowest ticket in line is the first, whoever entered first.";
            line::a_waiter_that_left_has_no_place_in_line
                "A release by which a waiter leaves takes its ticket out of the line.";
            line::a_waiter_that_leaves_gives_its_reservation_on
                "A waiter that leaves gives its reservation to the next in line.";
            line::what_an_attempt_took_is_given_back_and_its_waiter_stays
                "A release by which a waiter stays leaves it in line, with its next token.";
            line::a_granted_waiter_is_out_of_the_line
                "A grant takes the ticket out of the line.";
            line::a_waiter_that_takes_grants_has_the_key_as_it_is_told
                "A waiter that takes grants has the key when it is told so, and asks for it else.";
            line::a_reservation_that_nobody_claims_runs_out
                "A reservation that nobody claims runs out, and the next in line has it.";
            line::a_fenced_waiter_gets_a_greater_token
                "A fenced waiter gets a token greater than every one before.";
            line::a_fenced_waiter_that_takes_a_free_key_is_out_of_the_line
                "A grant takes the ticket out of the line, also a fenced one of a free key.";
            line::who_waits_for_several_keys_is_told_and_holds_nothing
                "Who waits for several keys is told when one is given back, and holds nothing.";
            line::an_owner_replaces_another_of_its_process
                "An acquire replaces the token that it names, which is dead from then on.";
            line::an_owner_replaces_nobody_else
                "An acquire that replaces a token that holds nothing is refused.";
            line::an_owner_that_replaces_another_gets_a_greater_token
                "Who replaces another is a new owner, and gets a greater fencing token.";
            line::a_curt_acquire_is_refused_all_the_same
                "An acquire that is curt is refused as any other.";
            nature::an_immediate_backend_answers_at_the_first_poll
                "Every future of an immediate backend is ready at its first poll, without a runtime.";
            nature::closing_ends_however_often
                "A backend can be closed, and again.";
            nature::the_address_names_the_backend
                "The address is what the backend is called in errors.";
            nature::a_look_at_the_nodes_names_each_of_them
                "`nodes` finds out how each node is.";
            model::random_operations_agree_with_the_model
                "All of the above, in any order.";
            model::random_operations_and_expiries_agree_with_the_model
                "All of the above, in any order, while ttls pass.";
        }
    };
}

/// Makes a module with one test for each case of the contract.
///
/// The first argument names the module.
/// The second says which clock drives the tests: `paused` for backends without
/// sockets, `real` for the others, which also get two threads.
/// The third is an `async fn() -> Fixture`, called once for each test.
///
/// ```text
/// contract_tests!(memory, paused, memory);
/// ```
#[macro_export]
macro_rules! contract_tests {
    ($module:ident, paused, $open:path) => {
        $crate::contract_cases! { ($module $open, (start_paused = true)) }
    };
    ($module:ident, real, $open:path) => {
        $crate::contract_cases! {
            ($module $open, (flavor = "multi_thread", worker_threads = 2))
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! contract_module {
    (($module:ident $open:path, $runtime:tt) $($group:ident::$case:ident $sentence:literal;)*) => {
        mod $module {
            $(
                #[doc = $sentence]
                #[tokio::test $runtime]
                async fn $case() {
                    let fixture = $open().await;
                    $crate::contract::run($crate::contract::$group::$case(fixture)).await;
                }
            )*
        }
    };
}
