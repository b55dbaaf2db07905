//! Requests on their way to one node, in their order.

use std::hash::{Hash, Hasher};

/// A short line of things, without memory of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fifo<T> {
    items: [Option<T>; LONGEST],
}

/// No client has more requests on its way to one node.
const LONGEST: usize = 12;

impl<T: Copy> Fifo<T> {
    pub(super) const EMPTY: Self = Self {
        items: [None; LONGEST],
    };

    pub(super) fn push(&mut self, item: T) {
        let length = self.iter().count();
        assert!(length < LONGEST, "too many requests on their way");
        self.items[length] = Some(item);
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let first = self.items[0].take();
        self.items.rotate_left(1);
        first
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut().flatten()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items[0].is_none()
    }
}

/// Of what is there alone: most of it is empty most of the time.
impl<T: Copy + Hash> Hash for Fifo<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for item in self.iter() {
            item.hash(state);
        }
        u8::MAX.hash(state);
    }
}
