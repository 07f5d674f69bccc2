"""Kinds of findings about time, memory and devices."""

from gradtop.catalogue.kind import Kind

KINDS: tuple[Kind, ...] = ()
"""The kinds of this group."""
