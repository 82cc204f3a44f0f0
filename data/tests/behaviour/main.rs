//! What the program promises, a file each. One binary, because each one that links DataFusion takes long to link.

mod cleaning_is_declared_and_counted;
mod common;
mod events_are_merged;
mod half_a_dataset_is_none;
mod one_dataset_whatever_the_format;
mod real_data_keeps_its_figures;
mod sources_lie_in_an_object_store;
mod the_page_tells_the_truth;
