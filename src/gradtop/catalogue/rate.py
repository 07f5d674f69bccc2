"""Kinds of findings about the learning rate."""

from gradtop.catalogue.kind import Kind

KINDS: tuple[Kind, ...] = ()
"""The kinds of this group."""
