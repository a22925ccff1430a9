"""The variables that lead official clients to a server. Imports nothing: every pytest run may."""


def environment(root: str, key: str) -> dict[str, str]:
    """What makes official clients, OpenAI's and Azure's, talk to a server."""
    return {
        "OPENAI_BASE_URL": f"{root}/v1",
        "OPENAI_API_KEY": key,
        "AZURE_OPENAI_ENDPOINT": root,
        "AZURE_OPENAI_API_KEY": key,
        "OPENAI_API_VERSION": "2024-05-01-preview",
    }
