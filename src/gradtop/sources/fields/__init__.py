"""What a row of fields means: names, numbers, units, plans, settings; shared by all readers."""
