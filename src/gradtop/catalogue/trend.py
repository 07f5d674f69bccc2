"""Kinds of findings about the loss over long stretches, and against the validation loss."""

from gradtop.catalogue.kind import Kind

KINDS: tuple[Kind, ...] = ()
"""The kinds of this group."""
