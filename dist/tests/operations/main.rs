//! Every operation in every form of frame: what is right arrives, and of what is wrong it is said whose fault it is.

mod frames;
mod places;
mod refused;
mod round_trip;
mod truncated;
mod values;
