//! Laws of the rough world.
