"""What makes a training step fast: traced once, compiled for a target; no equation is copied."""
