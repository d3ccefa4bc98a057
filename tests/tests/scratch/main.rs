//! Scratch of one helper, removed before it ends.
#![allow(dead_code, unused_imports, missing_docs)]
mod as_atelier;
mod harness;
mod processes;
mod rest;
