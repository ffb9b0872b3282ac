//! What records amount to, from records made by hand.

mod compare;
mod directory;
mod gate;
mod summary;
mod vulnerability;
