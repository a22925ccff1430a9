"""AzureOpenAI for one deployment."""
# mypy: ignore-errors

from openai import AzureOpenAI
from openai_python import MODEL, play

play(AzureOpenAI(azure_deployment=MODEL))
