//! Jue.
mod diagnostic;
mod lexer;
mod names;
mod number;
mod reader;
mod source;
mod tree;
