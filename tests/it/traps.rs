//! What is known to go wrong when one reads Savings Plans out of a Cost and Usage Report, trap by trap. The numbers
//! are those of the project's list of traps.

mod application;
mod as_delivered;
mod cache;
mod columns;
mod damage;
mod delivery;
mod focus;
mod money;
mod payers;
mod properties;
mod scope;
mod selection;
mod time;
mod trust;
mod usage;
mod worked_numbers;
