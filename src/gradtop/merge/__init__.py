"""Several sources of one run to one stream of records, whatever the order in which they come."""

from gradtop.merge.live import ANEW_SHARE, Joined, Merger

__all__ = ["ANEW_SHARE", "Joined", "Merger"]
