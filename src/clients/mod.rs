//! The clients room.
