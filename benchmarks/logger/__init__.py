"""What the logger costs a training."""
