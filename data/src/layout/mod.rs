//! How each layout becomes the canonical tables, before cleaning.

pub mod canonical;
pub mod custom;
pub mod mv;
pub mod views;
