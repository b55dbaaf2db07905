//! The bench of lockguard.
