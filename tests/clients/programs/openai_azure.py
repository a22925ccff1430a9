"""AzureOpenAI, which finds its endpoint, key and API version in the environment."""
# mypy: ignore-errors

from openai import AzureOpenAI
from openai_python import play

play(AzureOpenAI())
