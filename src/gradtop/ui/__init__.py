"""The screen: the only part of gradtop that knows Textual."""
