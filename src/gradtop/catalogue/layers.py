"""Kinds of findings about single layers."""

from gradtop.catalogue.kind import Kind

KINDS: tuple[Kind, ...] = ()
"""The kinds of this group."""
