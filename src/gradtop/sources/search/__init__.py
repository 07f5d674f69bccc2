"""Directories to runs: which files there are, and which of them belong to one training."""
