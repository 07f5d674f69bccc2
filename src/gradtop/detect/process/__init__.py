"""Rules over the training process: it crashed, or nothing comes from it any more."""
