//! The integration tests: drainit as a real PID 1, with real processes.
