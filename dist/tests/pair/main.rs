//! Two ends of a connection, from the first byte of the handshake on, over a wire that is a value: its time is virtual,
//! its chunks and delays come from a seed, and it is lost at whatever byte a test says. No sockets, no tasks, no clock.

#[path = "../operations/frames.rs"]
#[allow(dead_code, reason = "the other program uses the rest")]
mod frames;

mod dialogue;
mod end;
mod losses;
mod orders;
mod ticks;
mod wire;
