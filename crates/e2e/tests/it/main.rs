//! The promises of the system, each as a journey that would fail if it were broken.

mod alerts;
mod faults;
mod http;
mod map;
mod pipeline;
mod settings;
