//! Scenes that Erlang's books and manuals play with two shells, with a node of ours in the place of one. What the other
//! one sees is held against what it sees of a stock node.

#[path = "../peer_support/mod.rs"]
mod peer_support;
#[path = "../rpc_support/mod.rs"]
mod rpc_support;

mod ours;

mod cthulhu;
mod dog_and_cat;
mod ketchup_and_fries;
mod olives;
mod romero;
mod salad_and_mustard;
mod survivors;
mod the_walls_are_made_of_fire;
mod zombies;
