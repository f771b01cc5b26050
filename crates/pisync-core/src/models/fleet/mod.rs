//! The fleet: its hours, windows and parts, and the properties that failing devices share.

mod fleet_part;
mod fleet_window;
mod fleet_windows;
mod listening;
mod schedule;
mod status_hour;
mod summary;
mod sync_hour;
mod what_changed;
mod what_changed_fold;

pub use fleet_part::FleetPart;
pub use fleet_window::FleetWindow;
pub use fleet_windows::{FleetWindows, FleetWindowsFold};
pub use listening::{Gap, Listening};
pub use schedule::{Schedule, WeeklyHours};
pub use status_hour::StatusHour;
pub use summary::Summary;
pub use sync_hour::{Late, Speeds, SyncHour};
pub use what_changed::{Contrast, Mark, Share, SpeedBand, WhatChanged};
pub use what_changed_fold::WhatChangedFold;
