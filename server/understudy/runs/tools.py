"""The tools that a run offers to its model, and how its choices are put to it."""

from dataclasses import dataclass

from understudy.schemas.base import JSON

_CODE_INTERPRETER = (
    "Runs Python code in a stateful Jupyter notebook: variables live on between calls of this conversation. Returns "
    "what the code prints and the value of its last expression. The user's files lie in /mnt/data. Figures shown with "
    "plt.show() are displayed to the user. Save files that the user should get in /mnt/data and link to them in the "
    "answer as [name](sandbox:/mnt/data/name). There is no internet access. A call may take 60 seconds."
)


@dataclass(frozen=True, slots=True)
class OfferedTools:
    """A run's tools as functions of Chat Completions."""

    definitions: list[JSON]
    code_interpreter: str | None
    """The name of the code interpreter's function, None where the run has none."""
    functions: frozenset[str]

    @classmethod
    def of(cls, tools: list[JSON]) -> "OfferedTools":
        """The functions for a run's `tools`; a user's function keeps its name, ours gets a suffix if it must."""
        functions = {tool["function"]["name"] for tool in tools if tool["type"] == "function"}
        definitions = [_function(tool["function"]) for tool in tools if tool["type"] == "function"]
        code_interpreter = None
        if any(tool["type"] == "code_interpreter" for tool in tools):
            code_interpreter = _free_name("code_interpreter", functions)
            definitions.insert(0, _code_interpreter(code_interpreter))
        return cls(definitions, code_interpreter, frozenset(functions))

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
        return None


def _function(function: JSON) -> JSON:
    definition = {key: function[key] for key in ("name", "description", "parameters") if function.get(key) is not None}
    if function.get("strict"):
        definition["strict"] = True
    return {"type": "function", "function": definition}


def _code_interpreter(name: str) -> JSON:
    code = {"type": "string", "description": "The Python code to run."}
    parameters = {"type": "object", "properties": {"code": code}, "required": ["code"]}
    return {
        "type": "function",
        "function": {"name": name, "description": _CODE_INTERPRETER, "parameters": parameters},
    }


def _free_name(name: str, taken: set[str]) -> str:
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
