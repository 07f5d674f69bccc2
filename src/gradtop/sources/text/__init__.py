"""Lines for people to rows: rules for single lines, bars, blocks of lines, events and facts."""
