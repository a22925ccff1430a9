"""Values that are valid for a JSON Schema."""

from understudy.chat_models.json_schema.budget import UnsatisfiableError
from understudy.chat_models.json_schema.making import example

__all__ = ["UnsatisfiableError", "example"]
