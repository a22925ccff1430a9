from pathlib import Path

from tests.retrieval.crash_trial import trial
from tests.scripted_upstream import ScriptedUpstream


def test_kills_during_ingestion_lose_and_double_nothing(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    trial(tmp_path, upstream, files=12, kills=6, seed=1, longest=0.6)
