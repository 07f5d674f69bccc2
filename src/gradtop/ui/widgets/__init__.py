"""What the rooms are made of: thin; what they show is decided in view and plot."""
