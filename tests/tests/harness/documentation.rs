//! Documents that list what the code says list it rightly.

use lockguard_tests::contract::{CASES, Case};

#[test]
fn testing_md_lists_every_contract_case() {
    let page = include_str!("../../../docs/TESTING.md");
    let (_, section) = page.split_once("\n## The backend contract\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let listed: Vec<_> = rows.collect();
    let expected: Vec<_> = CASES.iter().map(row).collect();
    assert!(
        listed == expected,
        "docs/TESTING.md must list these rows:\n{}",
        expected.join("\n")
    );
}

fn row(case: &Case) -> String {
    format!("| `{}` | {} |", case.name, case.sentence)
}
