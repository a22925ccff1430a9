"""How a run's file search tool is set: how many results, ranked how."""

from dataclasses import dataclass, field

from understudy.schemas.base import JSON

_RANKER = "default_2024_08_21"
_RESULTS = 20
_RESULTS_OF_OLD_MODELS = 5


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """The settings that count for a run."""

    limit: int = _RESULTS
    ranking_options: JSON = field(default_factory=dict)

    @classmethod
    def of(cls, tools: list[JSON], model: str) -> "SearchSettings":
        """Those of the file search among a run's `tools`; where they say nothing, the hosted API's [D]."""
        given = next((tool.get("file_search") or {} for tool in tools if tool["type"] == "file_search"), {})
        limit = _RESULTS_OF_OLD_MODELS if model.startswith("gpt-3.5") else _RESULTS
        return cls(given.get("max_num_results") or limit, given.get("ranking_options") or {})

    def echoed(self) -> JSON:
        """The ranking as a step shows it: the ranker that `auto` stands for [R]."""
        return {"ranker": _RANKER, "score_threshold": float(self.ranking_options.get("score_threshold") or 0)}
