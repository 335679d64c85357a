"""Opus: the library, its packets and the extensions in their padding."""
