//! The journal and what becomes of it, on a real file system and on a simulated one.
