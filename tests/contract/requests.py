"""Bodies that the operations accept, and values put into them at the place that an error's `param` names."""

import copy
import re
from typing import Any

from openai import OpenAI

from tests.contract.calls import Ids

JSON = dict[str, Any]

PATHS = {
    "createAssistant": "/assistants",
    "modifyAssistant": "/assistants/{assistant_id}",
    "createThread": "/threads",
    "modifyThread": "/threads/{thread_id}",
    "createMessage": "/threads/{thread_id}/messages",
    "modifyMessage": "/threads/{thread_id}/messages/{message_id}",
    "createRun": "/threads/{thread_id}/runs",
    "createThreadAndRun": "/threads/runs",
    "modifyRun": "/threads/{thread_id}/runs/{run_id}",
    "submitToolOuputsToRun": "/threads/{thread_id}/runs/{run_id}/submit_tool_outputs",
    "createVectorStore": "/vector_stores",
    "modifyVectorStore": "/vector_stores/{vector_store_id}",
    "searchVectorStore": "/vector_stores/{vector_store_id}/search",
    "createVectorStoreFile": "/vector_stores/{vector_store_id}/files",
    "updateVectorStoreFileAttributes": "/vector_stores/{vector_store_id}/files/{file_id}",
    "createVectorStoreFileBatch": "/vector_stores/{vector_store_id}/file_batches",
}
"""Every operation with a JSON body."""

MESSAGE = {"role": "user", "content": "hi"}
STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 0}}
FUNCTION = {"type": "function", "function": {"name": "f"}}


def least(operation: str, ids: Ids) -> JSON:
    """The smallest body that the operation accepts."""
    bodies: dict[str, JSON] = {
        "createAssistant": {"model": "m", "instructions": "Help."},
        "createMessage": MESSAGE,
        "createRun": {"assistant_id": ids["assistant_id"]},
        "createThreadAndRun": {"assistant_id": ids["assistant_id"], "thread": {"messages": [MESSAGE]}},
        "submitToolOuputsToRun": {"tool_outputs": []},
        "createVectorStore": {"name": "S"},
        "searchVectorStore": {"query": "loom"},
        "createVectorStoreFile": {"file_id": ids["file_id"]},
        "updateVectorStoreFileAttributes": {"attributes": {}},
        "createVectorStoreFileBatch": {"file_ids": [ids["file_id"]]},
    }
    return copy.deepcopy(bodies.get(operation, {}))


def put(body: JSON, place: str, value: Any) -> JSON:
    """The body with `value` at `place`, such as `messages[0].metadata`; what leads there is made where it is not."""
    parts = [int(part) if part.isdecimal() else part for part in re.findall(r"[^.\[\]]+", place)]
    body = copy.deepcopy(body)
    at: Any = body
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        inner = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(at, list):
            if part == len(at):
                at.append(inner)
            elif following is None:
                at[part] = value
        elif following is None or part not in at:
            at[part] = inner
        at = at[part]
    return body


def post(client: OpenAI, operation: str, ids: Ids, body: object) -> JSON:
    """The answer, through the official client's own way to any path."""
    answer: Any = client.post(PATHS[operation].format(**ids), body=body, cast_to=object)
    return answer  # type: ignore[no-any-return]
