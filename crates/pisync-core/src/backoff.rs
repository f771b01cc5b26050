//! Waits between attempts to reach a server again.

use std::time::Duration;

/// Exponential backoff with jitter, so that many clients do not return at the same moment. Source: "Exponential Backoff
/// And Jitter", AWS Architecture Blog, 2015.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    tries: u32,
}

impl Backoff {
    /// Returns a backoff whose waits double from `first` to at most `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, tries: 0 }
    }

    /// Returns the next wait: between half of the step and all of it.
    pub fn next_wait(&mut self) -> Duration {
        let step = self.first.saturating_mul(2_u32.saturating_pow(self.tries)).min(self.longest);
        self.tries = self.tries.saturating_add(1);
        step.mul_f64(fastrand::f64().mul_add(0.5, 0.5))
    }

    /// Starts again with the shortest wait. Call it after a success.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// Returns true if no wait was taken since the start or the last success.
    pub fn is_fresh(&self) -> bool {
        self.tries == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for step in [100, 200, 400, 800, 1_000, 1_000] {
            let wait = backoff.next_wait();
            assert!(wait >= Duration::from_millis(step / 2) && wait <= Duration::from_millis(step), "{wait:?}");
        }
        backoff.reset();
        assert!(backoff.is_fresh());
        assert!(backoff.next_wait() <= Duration::from_millis(100));
    }
}
