//! Journals that are torn, damaged or gone.
