//! The tests of lockguard.
