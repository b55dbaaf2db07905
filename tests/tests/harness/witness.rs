//! The witness finds what it is there to find.

use std::{thread, time::Duration};

use lockguard_tests::{Violation, Witness};

#[test]
fn sections_one_after_another_pass() {
    let witness = Witness::new();
    for fence in 1..=3 {
        witness.enter_fenced("seat:1", fence).leave();
    }
    assert_eq!(witness.check(), []);
    witness.assert_exclusive(3);
}

#[test]
fn sections_of_different_resources_may_overlap() {
    let witness = Witness::new();
    let first = witness.enter("seat:1");
    let second = witness.enter("seat:2");
    first.leave();
    second.leave();
    assert_eq!(witness.check(), []);
}

#[test]
fn two_sections_that_cross_are_found() {
    let witness = Witness::new();
    let first = witness.enter("seat:1");
    let second = witness.enter("seat:1");
    first.leave();
    second.leave();
    let found = witness.check();
    assert!(matches!(&found[..], [Violation::Overlap(..)]), "{found:?}");
    assert!(found[0].to_string().contains("`seat:1`"), "{}", found[0]);
}

#[test]
fn a_section_inside_another_is_found_behind_a_shorter_one() {
    let witness = Witness::new();
    let outer = witness.enter("seat:1");
    witness.enter("seat:1").leave();
    witness.enter("seat:1").leave();
    outer.leave();
    assert_eq!(witness.check().len(), 2);
}

#[test]
fn every_seeded_overlap_among_many_sections_is_found() {
    let witness = Witness::new();
    for nth in 0..100 {
        let section = witness.enter("seat:1");
        let seeded = (nth % 10 == 0).then(|| witness.enter("seat:1"));
        section.leave();
        drop(seeded);
    }
    assert_eq!(witness.sections().len(), 110);
    assert_eq!(witness.check().len(), 10);
}

#[test]
fn a_fencing_token_that_does_not_rise_is_found() {
    for fences in [[2, 1], [2, 2]] {
        let witness = Witness::new();
        for fence in fences {
            witness.enter_fenced("seat:1", fence).leave();
        }
        let found = witness.check();
        assert!(
            matches!(&found[..], [Violation::FenceNotRising(..)]),
            "{found:?}"
        );
    }
}

#[test]
fn a_section_without_an_end_counts_from_its_start_alone() {
    let witness = Witness::new();
    std::mem::forget(witness.enter("seat:1"));
    witness.enter("seat:1").leave();
    assert_eq!(witness.check(), []);
    assert_eq!(witness.sections()[0].end, None);
}

#[test]
fn records_of_several_writers_do_not_mix() {
    const WRITERS: usize = 8;
    const SECTIONS: usize = 200;
    let witness = Witness::new();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let joined = Witness::join(witness.path());
            scope.spawn(move || {
                for _ in 0..SECTIONS {
                    joined.enter(&format!("seat:{writer}")).leave();
                }
            });
        }
    });
    witness.assert_exclusive(WRITERS * SECTIONS);
    assert!(
        witness
            .sections()
            .iter()
            .all(|section| section.end.is_some())
    );
}

#[test]
#[should_panic(expected = "fewer than 1")]
fn no_section_at_all_is_no_proof() {
    Witness::new().assert_exclusive(1);
}

#[test]
fn stamps_are_of_one_clock_and_rise() {
    let witness = Witness::new();
    let section = witness.enter("seat:1");
    thread::sleep(Duration::from_millis(5));
    section.leave();
    let section = &witness.sections()[0];
    let held = section.end.unwrap().saturating_sub(section.start);
    assert!(held >= Duration::from_millis(5), "{held:?}");
}
