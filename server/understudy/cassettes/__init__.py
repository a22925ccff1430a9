"""Recorded answers of an upstream, replayed in its place: what is stored, how it is found, how it gets under httpx."""
