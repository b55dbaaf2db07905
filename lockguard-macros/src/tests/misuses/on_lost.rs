//! What happens when the lease is lost.

use super::{BOOK, Misuse};

#[rustfmt::skip]
pub(super) const MISUSES: &[Misuse] = &[
    ("on_lost_is_a_quoted_finish", r#"key = "k", ttl = "2s", on_lost = "finish""#, BOOK, &[
        (r#""finish""#, "`finish` is a word, not text: write `on_lost = finish`"),
    ]),
    ("on_lost_is_a_quoted_cancel", r#"key = "k", ttl = "2s", on_lost = "cancel""#, BOOK, &[
        (r#""cancel""#, "`cancel` is a word, not text: write `on_lost = cancel`"),
    ]),
    ("on_lost_misspelt", r#"key = "k", ttl = "2s", on_lost = finsh"#, BOOK, &[
        ("finsh", "`on_lost = finsh` is not known here; did you mean `on_lost = finish`?"),
    ]),
    ("on_lost_is_another_word", r#"key = "k", ttl = "2s", on_lost = abort"#, BOOK, &[
        ("abort", "`on_lost` takes a word: write `on_lost = cancel` to drop the body when its lease is lost, or `on_lost = finish` to let it end"),
    ]),
    ("on_lost_is_a_closure", r#"key = "k", ttl = "2s", on_lost = |cause| ()"#, BOOK, &[
        ("|cause| ()", "`on_lost` takes a word: write `on_lost = cancel` to drop the body when its lease is lost, or `on_lost = finish` to let it end"),
    ]),
    ("on_lost_is_a_variant", r#"key = "k", ttl = "2s", on_lost = OnLost::Finish"#, BOOK, &[
        ("OnLost::Finish", "`on_lost` takes a word: write `on_lost = cancel` to drop the body when its lease is lost, or `on_lost = finish` to let it end"),
    ]),
    ("on_lost_is_other_text", r#"key = "k", ttl = "2s", on_lost = "stop""#, BOOK, &[
        (r#""stop""#, "`on_lost` takes a word: write `on_lost = cancel` to drop the body when its lease is lost, or `on_lost = finish` to let it end"),
    ]),
    ("on_lost_without_value", r#"key = "k", ttl = "2s", on_lost"#, BOOK, &[
        ("on_lost", "`on_lost` has no value: write `on_lost = finish`"),
    ]),
];
