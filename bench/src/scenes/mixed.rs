//! Whether two libraries share one lock: neither inside at once with the other,
//! neither starving.

use std::time::Duration;

use lockguard_servers::Servers;

use crate::{
    contender::Failure,
    driver::{self, Driver, Work},
    scenes::{OURS, OVERLAPS, Run, many},
    sections::Sections,
};

/// A side's share of the sections, of the half that is its own.
pub(crate) const SHARE: &str = "share of the sections, to a fair one";

/// Pollers in three languages; each more would take its minute.
const POLLERS: [&str; 3] = ["rslock", "Redsync", "redis-py"];

/// So many processes of each side.
const EACH: usize = 8;

/// A lock that nobody stays in is nobody's: who gives it back has it again
/// before another has asked.
const HOLD: Duration = Duration::from_millis(1);

/// Pollers that are told of no release, and waiters of ours.
pub(crate) fn measure(run: &mut Run, peers: &[Driver]) -> Result<(), Failure> {
    let ours = Driver::ours(OURS, "lockguard")?;
    for nodes in [1, 3] {
        let servers = Servers::start(nodes);
        let urls = servers.urls();
        let work = Work {
            urls: &urls,
            tasks: 1,
            time: run.fleet,
            hold: HOLD,
        };
        for round in 0..run.rounds {
            if !run.has_peers(round) {
                continue;
            }
            let able = peers.iter().filter(|peer| peer.is_able(nodes));
            for peer in able.filter(|peer| POLLERS.contains(&peer.name)) {
                let scene = scene(nodes, peer.name);
                run.progress(&scene, round);
                let all = driver::handoff(&[(&ours, EACH), (peer, EACH)], work)
                    .map_err(|reason| format!("{scene}: {reason}"))?;
                note(run, &scene, peer.name, &all);
            }
        }
    }
    Ok(())
}

const BEGINNING: &str = "mixed, ";

fn scene(nodes: usize, peer: &str) -> String {
    let nodes = many(nodes, "node");
    format!("{BEGINNING}{nodes}, {EACH} of ours and {EACH} of {peer}")
}

/// Whether a scene is one of these.
pub(crate) fn is_mixed(scene: &str) -> bool {
    scene.starts_with(BEGINNING)
}

fn note(run: &mut Run, scene: &str, peer: &str, all: &Sections) {
    let (count, held) = (all.count() as f64, all.held().as_secs_f64());
    let overlaps = all.passing().overlaps as f64;
    let begun = all.begun();
    for (name, side) in [OURS, peer].into_iter().zip(all.split(EACH)) {
        let mut note = |what, value| run.report.note(scene, name, what, value);
        note("sections", side.count() as f64);
        note(SHARE, side.count() as f64 / count * 2.0);
        note(
            "share of the time inside, to a fair one",
            side.held().as_secs_f64() / held * 2.0,
        );
        note("starved waiters", side.starved() as f64);
        note(
            "longest wait, ms",
            side.longest_wait(begun).as_secs_f64() * 1e3,
        );
        note(OVERLAPS, overlaps);
    }
}
