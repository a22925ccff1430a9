"""The tools that a run offers to its model, and how its choices are put to it."""

from dataclasses import dataclass

from understudy.runs.search_settings import SearchSettings
from understudy.schemas.base import JSON

_CODE_INTERPRETER = (
    "Runs Python code in a stateful Jupyter notebook: variables live on between calls of this conversation. Returns "
    "what the code prints and the value of its last expression. The user's files lie in /mnt/data. Figures shown with "
    "plt.show() are displayed to the user. Save files that the user should get in /mnt/data and link to them in the "
    "answer as [name](sandbox:/mnt/data/name). There is no internet access. A call that takes too long is interrupted."
)
_FILE_SEARCH = (
    "Searches the files that were uploaded for this conversation, by meaning and by words, and returns their best "
    "passages, each under a mark like 【0:1†report.pdf】. Search before answering whatever the files may know. Ask a "
    "full question about one thing; call this several times, at once or in turn, where a question has several parts or "
    "a search found too little. After each sentence of the answer that rests on a passage, repeat the passage's mark "
    "exactly. If the passages do not hold the answer, say so."
)


@dataclass(frozen=True, slots=True)
class OfferedTools:
    """A run's tools as functions of Chat Completions."""

    definitions: list[JSON]
    code_interpreter: str | None
    """The name of the code interpreter's function, None where the run has none."""
    file_search: str | None
    """The name of the file search's function, None where the run has none."""
    search_settings: SearchSettings
    functions: frozenset[str]

    @classmethod
    def of(cls, tools: list[JSON], model: str) -> "OfferedTools":
        """The functions for a run's `tools`; a user's function keeps its name, ours gets a suffix if it must."""
        functions = {tool["function"]["name"] for tool in tools if tool["type"] == "function"}
        definitions = [_function(tool["function"]) for tool in tools if tool["type"] == "function"]
        types = {tool["type"] for tool in tools}
        code_interpreter = _free_name("code_interpreter", functions) if "code_interpreter" in types else None
        file_search = _free_name("file_search", functions) if "file_search" in types else None
        if file_search:
            query = {"type": "string", "description": "What to look for."}
            definitions.insert(0, _built_in(file_search, _FILE_SEARCH, "query", query))
        if code_interpreter:
            code = {"type": "string", "description": "The Python code to run."}
            definitions.insert(0, _built_in(code_interpreter, _CODE_INTERPRETER, "code", code))
        settings = SearchSettings.of(tools, model)
        return cls(definitions, code_interpreter, file_search, settings, frozenset(functions))

    def choice(self, tool_choice: str | JSON, rounds: int) -> str | JSON | None:
        """The run's tool choice for the model call after `rounds` rounds; None where the model is free.

        A choice that forces a call holds for the first round: the model has to be able to answer afterwards.
        """
        if not self.definitions or tool_choice == "auto" or (tool_choice != "none" and rounds):
            return None
        if isinstance(tool_choice, str):
            return tool_choice
        if tool_choice["type"] == "function":
            return {"type": "function", "function": {"name": tool_choice["function"]["name"]}}
        if tool_choice["type"] == "code_interpreter" and self.code_interpreter:
            return {"type": "function", "function": {"name": self.code_interpreter}}
        if tool_choice["type"] == "file_search" and self.file_search:
            return {"type": "function", "function": {"name": self.file_search}}
        return None


def _function(function: JSON) -> JSON:
    definition = {key: function[key] for key in ("name", "description", "parameters") if function.get(key) is not None}
    if function.get("strict"):
        definition["strict"] = True
    return {"type": "function", "function": definition}


def _built_in(name: str, description: str, argument: str, schema: JSON) -> JSON:
    parameters = {"type": "object", "properties": {argument: schema}, "required": [argument]}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def _free_name(name: str, taken: set[str]) -> str:
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
