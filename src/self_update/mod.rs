//! Updates of the program itself: releases on a server, and the installation that this program belongs to. Knows nothing
//! of plugins and prints nothing.

mod error;
mod owner;
pub mod release;

pub use error::SelfUpdateError;
pub use owner::Installation;
pub use release::{Offer, Releases};
