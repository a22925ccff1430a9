"""Understudy: a self-hosted, drop-in stand-in for the OpenAI Assistants API v2."""

__version__ = "0.1.0"
