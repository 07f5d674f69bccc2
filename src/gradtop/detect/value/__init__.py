"""Rules over values that are no numbers, and over the steps that mixed precision skips."""
