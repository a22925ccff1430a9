"""AsyncAzureOpenAI."""
# mypy: ignore-errors

import asyncio

from openai import AsyncAzureOpenAI
from openai_python_async import play

asyncio.run(play(AsyncAzureOpenAI()))
