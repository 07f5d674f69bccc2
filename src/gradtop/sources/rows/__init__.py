"""Rows for programs: JSON lines, tables and documents."""
