//! What the compiler says about each misuse of the attribute.
//!
//! `TRYBUILD=overwrite cargo test -p lockguard-tests --test ui` writes the
//! messages anew; read each changed one as a user would.
//! They are those of the toolchain in `rust-toolchain.toml`, without the
//! `rust-src` component, which makes rustc quote the standard library.

#[test]
fn misuses_are_answered_and_uses_compile() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*/*.rs");
}
