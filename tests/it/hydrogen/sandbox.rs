//! hydrogen against the sandbox.
