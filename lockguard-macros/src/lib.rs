//! The attribute of lockguard.
