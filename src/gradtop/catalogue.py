"""The one table of finding kinds: what each means, its severity policy, causes, checks and reference."""
