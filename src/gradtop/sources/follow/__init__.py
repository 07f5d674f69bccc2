"""Bytes of files and streams, followed: whole lines in order, whatever happens to the file."""
