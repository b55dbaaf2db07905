//! The examples of lockguard.
