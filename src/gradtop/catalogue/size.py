"""Kinds of findings about the size of gradients and updates."""

from gradtop.catalogue.kind import Kind

KINDS: tuple[Kind, ...] = ()
"""The kinds of this group."""
