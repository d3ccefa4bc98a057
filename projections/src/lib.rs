//! The read side: one file per read model, the feed, the runner, checkpoints, rebuild.
