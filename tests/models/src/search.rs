//! Visits every state of a model.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    hash::Hash,
};

use stateright::{Checker as _, HasDiscoveries, Model};

/// What a search came to.
#[derive(Debug)]
pub struct Found {
    /// How many states there are, or were seen until the first promise broke.
    pub states: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// The first promises that were seen broken, with a shortest way there.
    pub broken: BTreeMap<&'static str, Vec<String>>,
    /// Which of the states that must be possible were seen.
    pub reached: BTreeSet<&'static str>,
}

/// A model in which states differ by names only, such as those of nodes.
///
/// Its `next_state` is the canonical form of `step`.
pub(crate) trait Symmetric: Model {
    /// What comes of an action, names as they are; `None` where nothing does.
    fn step(&self, state: &Self::State, action: &Self::Action) -> Option<Self::State>;

    /// The one that stands for all that differ by names only.
    fn canonical(&self, state: Self::State) -> Self::State;
}

/// Visits every state, level by level, or until a promise is broken.
pub(crate) fn search<M>(model: M) -> Found
where
    M: Symmetric + Send + Sync + 'static,
    M::State: Debug + Hash + PartialEq + Clone + Send + Sync + 'static,
    M::Action: Debug + PartialEq + Clone + Send + Sync + 'static,
{
    let failures = HasDiscoveries::AnyFailures;
    let checker = model.checker().finish_when(failures).spawn_bfs().join();
    let mut reached = BTreeSet::new();
    let mut broken = BTreeMap::new();
    for (name, path) in checker.discoveries() {
        let is_failure = checker
            .model()
            .property(name)
            .expectation
            .discovery_is_failure();
        if is_failure {
            broken.insert(name, named_alike(checker.model(), path.into_vec()));
        } else {
            reached.insert(name);
        }
    }
    Found {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        broken,
        reached,
    }
}

/// The steps of a way through canonical states, with each name the same from
/// the first step to the last.
fn named_alike<M>(model: &M, path: Vec<(M::State, Option<M::Action>)>) -> Vec<String>
where
    M: Symmetric,
    M::State: PartialEq + Clone,
    M::Action: Debug,
{
    let mut states = path.into_iter().map(|(state, _)| state);
    let Some(mut state) = states.next() else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    for wanted in states {
        let mut actions = Vec::new();
        model.actions(&state, &mut actions);
        let step = actions.into_iter().find_map(|action| {
            let next = model.step(&state, &action)?;
            (model.canonical(next.clone()) == wanted).then_some((action, next))
        });
        let Some((action, next)) = step else { break };
        steps.push(format!("{action:?}"));
        state = next;
    }
    steps
}
