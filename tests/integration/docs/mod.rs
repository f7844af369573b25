//! The documentation tells the truth: its commands run, its tables are what the programs say, and what it names is
//! there.

mod commands;
mod flags;
mod words;
