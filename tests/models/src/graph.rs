//! All states of a model and all steps between them, to see what never ends.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt::Debug,
    hash::{DefaultHasher, Hash, Hasher as _},
    ops::ControlFlow,
};

use crate::search::Symmetric;

/// Something that states are counted by.
pub(crate) type Kind<M, S> = (&'static str, fn(&M, &S) -> bool);

/// All states and steps.
#[derive(Debug)]
pub struct Graph {
    /// How many states there are.
    pub states: usize,
    /// How many states are of each kind that was asked for.
    pub kinds: BTreeMap<&'static str, usize>,
    /// How many states are on a cycle or lead to one; none, if all ends.
    pub endless: usize,
    /// A shortest way to each kind, and one that goes round.
    pub ways: BTreeMap<&'static str, Vec<String>>,
}

/// What the way that goes round is called.
pub const ENDLESS: &str = "it never ends";

/// Visits every state, level by level.
pub(crate) fn explore<M>(model: &M, kinds: &[Kind<M, M::State>]) -> Graph
where
    M: Symmetric,
    M::State: Hash + PartialEq + Clone,
    M::Action: Debug,
{
    let mut counts: BTreeMap<_, _> = kinds.iter().map(|(name, _)| (*name, 0)).collect();
    let mut firsts = BTreeMap::new();
    let explorer = Explorer::visit(model, |nth, state| {
        for (name, is_one) in kinds {
            if is_one(model, state) {
                *counts.entry(name).or_default() += 1;
                firsts.entry(*name).or_insert(nth);
            }
        }
        ControlFlow::Continue(())
    });
    let endless = explorer.endless();
    let mut ways: BTreeMap<_, _> = firsts
        .into_iter()
        .map(|(name, nth)| (name, explorer.replay(model, &explorer.way_to(nth))))
        .collect();
    if let Some(way) = explorer.way_round(&endless) {
        ways.insert(ENDLESS, explorer.replay(model, &way));
    }
    Graph {
        states: explorer.prints.len(),
        kinds: counts,
        endless: endless.iter().filter(|is_endless| **is_endless).count(),
        ways,
    }
}

/// A shortest way to a state like this, if there is one.
pub(crate) fn find<M>(model: &M, is_one: impl Fn(&M, &M::State) -> bool) -> Option<Vec<String>>
where
    M: Symmetric,
    M::State: Hash + PartialEq + Clone,
    M::Action: Debug,
{
    let mut found = None;
    let explorer = Explorer::visit(model, |nth, state| {
        if is_one(model, state) {
            found = Some(nth);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    found.map(|nth| explorer.replay(model, &explorer.way_to(nth)))
}

/// States by number, in the order in which they were found.
#[derive(Default)]
struct Explorer {
    numbers: HashMap<u64, u32>,
    prints: Vec<u64>,
    parents: Vec<Option<u32>>,
    /// In the order of the states that they lead from.
    steps: Vec<(u32, u32)>,
}

impl Explorer {
    /// Goes from state to state, until it is told to stop.
    fn visit<M>(model: &M, mut see: impl FnMut(u32, &M::State) -> ControlFlow<()>) -> Self
    where
        M: Symmetric,
        M::State: Hash,
    {
        let mut explorer = Self::default();
        let mut waiting = VecDeque::new();
        for state in model.init_states() {
            if explorer.add(&state, None).1 {
                waiting.push_back(state);
            }
        }
        let mut actions = Vec::new();
        for nth in 0.. {
            let Some(state) = waiting.pop_front() else {
                break;
            };
            if see(nth, &state).is_break() {
                break;
            }
            model.actions(&state, &mut actions);
            for action in actions.drain(..) {
                let Some(next) = model.next_state(&state, action) else {
                    continue;
                };
                let (to, is_new) = explorer.add(&next, Some(nth));
                explorer.steps.push((nth, to));
                if is_new {
                    waiting.push_back(next);
                }
            }
        }
        explorer
    }

    /// The state's number, and whether it is new.
    fn add(&mut self, state: &impl Hash, parent: Option<u32>) -> (u32, bool) {
        let print = print_of(state);
        let new = u32::try_from(self.prints.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(print).or_insert(new);
        let is_new = number == new;
        if is_new {
            self.prints.push(print);
            self.parents.push(parent);
        }
        (number, is_new)
    }

    /// Which states are on a cycle or lead to one: those that remain when
    /// states whose steps all lead to ends are ends, too.
    fn endless(&self) -> Vec<bool> {
        let mut open = vec![0_u32; self.prints.len()];
        let mut backwards: Vec<(u32, u32)> = Vec::with_capacity(self.steps.len());
        for (from, to) in &self.steps {
            open[*from as usize] += 1;
            backwards.push((*to, *from));
        }
        backwards.sort_unstable();
        let mut starts = vec![0_usize; self.prints.len() + 1];
        for (to, _) in &backwards {
            starts[*to as usize + 1] += 1;
        }
        for nth in 1..starts.len() {
            starts[nth] += starts[nth - 1];
        }
        let mut ends: Vec<usize> = (0..open.len()).filter(|nth| open[*nth] == 0).collect();
        while let Some(end) = ends.pop() {
            for (_, from) in &backwards[starts[end]..starts[end + 1]] {
                let from = *from as usize;
                open[from] -= 1;
                if open[from] == 0 {
                    ends.push(from);
                }
            }
        }
        open.into_iter().map(|open| open > 0).collect()
    }

    fn way_to(&self, nth: u32) -> Vec<u32> {
        let mut way = vec![nth];
        let mut nth = nth;
        while let Some(parent) = self.parents[nth as usize] {
            way.push(parent);
            nth = parent;
        }
        way.reverse();
        way
    }

    /// From the start to an endless state, and on until one comes again.
    fn way_round(&self, endless: &[bool]) -> Option<Vec<u32>> {
        let mut nexts = vec![None; endless.len()];
        for (from, to) in &self.steps {
            if endless[*from as usize] && endless[*to as usize] {
                nexts[*from as usize] = Some(*to);
            }
        }
        let first = endless.iter().position(|is_endless| *is_endless)?;
        let mut way = self.way_to(u32::try_from(first).ok()?);
        while let Some(next) = nexts[*way.last()? as usize] {
            let is_round = way.contains(&next);
            way.push(next);
            if is_round {
                break;
            }
        }
        Some(way)
    }

    /// The steps through these states, each name the same throughout.
    fn replay<M>(&self, model: &M, way: &[u32]) -> Vec<String>
    where
        M: Symmetric,
        M::State: Hash + Clone,
        M::Action: Debug,
    {
        let Some(mut state) = model.init_states().into_iter().next() else {
            return Vec::new();
        };
        let mut steps = Vec::new();
        for wanted in way.iter().skip(1) {
            let wanted = self.prints[*wanted as usize];
            let mut actions = Vec::new();
            model.actions(&state, &mut actions);
            let step = actions.into_iter().find_map(|action| {
                let next = model.step(&state, &action)?;
                let print = print_of(&model.canonical(next.clone()));
                (print == wanted).then_some((action, next))
            });
            let Some((action, next)) = step else { break };
            steps.push(format!("{action:?}"));
            state = next;
        }
        steps
    }
}

fn print_of(state: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
