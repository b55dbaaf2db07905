//! Memory for texts that are made and copied at once.

use std::cell::Cell;

/// What a thread keeps: more than a key or an owner token takes.
const MOST_KEPT: usize = 1024;

thread_local! {
    static TEXT: Cell<String> = const { Cell::new(String::new()) };
}

/// Lends an empty text, which costs no allocation but a thread's first.
///
/// Whoever asks while it is lent gets a new one.
pub(crate) fn with_text<T>(write: impl FnOnce(&mut String) -> T) -> T {
    // A thread that is ending has lost its own.
    let mut text = TEXT.try_with(Cell::take).unwrap_or_default();
    text.clear();
    let made = write(&mut text);
    if text.capacity() <= MOST_KEPT {
        let _ = TEXT.try_with(|kept| kept.set(text));
    }
    made
}
