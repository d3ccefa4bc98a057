//! The executable `atelier`.

fn main() {}
