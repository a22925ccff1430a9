"""Values that are valid for a JSON Schema."""

from understudy.chat_models.json_schema.making import example
from understudy.chat_models.json_schema.pattern import UnsatisfiableError

__all__ = ["UnsatisfiableError", "example"]
