"""Ids that are nothing, and ids that belong to something else: each operation names the one that it cannot find."""

import openai
import pytest
from openai import OpenAI

from tests import traffic
from tests.contract.calls import CALLS, Ids, grown
from tests.scripted_upstream import ScriptedUpstream

UNKNOWN = {
    "assistant_id": "asst_none",
    "thread_id": "thread_none",
    "message_id": "msg_none",
    "run_id": "run_none",
    "step_id": "step_none",
    "vector_store_id": "vs_none",
    "file_id": "file-none",
    "batch_id": "vsfb_none",
    "upload_id": "upload_none",
    "model": "gpt-none",
}
PREFIXES = {
    "assistant_id": "asst",
    "thread_id": "thread",
    "message_id": "msg",
    "run_id": "run",
    "step_id": "step",
    "vector_store_id": "vs",
}
KINDS = {"step_id": "run step", "vector_store_id": "vector store", "batch_id": "vector store file batch"}
PLACES = [(operation, place) for operation, call in CALLS.items() for place in range(len(call.ids))]
FAMILIES = [(operation, place) for operation, place in PLACES if len(CALLS[operation].ids) > 1]


@pytest.fixture(scope="module")
def present(client: OpenAI, upstream: ScriptedUpstream) -> Ids:
    return grown(client, upstream)


@pytest.fixture(scope="module")
def others(client: OpenAI, upstream: ScriptedUpstream) -> Ids:
    return grown(client, upstream)


def test_no_operation_is_left_out() -> None:
    with_ids = {name for name, place in traffic.all_operations().items() if "{" in place}
    assert with_ids == set(CALLS)


@pytest.mark.parametrize(("operation", "place"), PLACES)
def test_an_id_of_nothing(client: OpenAI, present: Ids, operation: str, place: int) -> None:
    call = CALLS[operation]
    wanted = {name: UNKNOWN[name] if call.ids.index(name) >= place else present[name] for name in call.ids}
    _is_not_found(client, operation, wanted, call.ids[place])


@pytest.mark.parametrize(("operation", "place"), [one for one in PLACES if CALLS[one[0]].ids[one[1]] in PREFIXES])
def test_an_id_without_its_prefix(client: OpenAI, present: Ids, operation: str, place: int) -> None:
    """As a program sends it that has mistaken the order of its arguments."""
    call = CALLS[operation]
    wrong = call.ids[place]
    with pytest.raises(openai.BadRequestError) as caught:
        call.make(client, {name: present[name] for name in call.ids} | {wrong: "undefined"})
    assert caught.value.body == {
        "message": f"Invalid '{wrong}': 'undefined'. Expected an ID that begins with '{PREFIXES[wrong]}'.",
        "type": "invalid_request_error",
        "param": wrong,
        "code": "invalid_value",
    }


@pytest.mark.parametrize(("operation", "place"), FAMILIES)
def test_an_id_of_another_family(client: OpenAI, present: Ids, others: Ids, operation: str, place: int) -> None:
    """In the place of a parent the child is not found, in the place of a child it is not found itself."""
    call = CALLS[operation]
    wanted = {name: present[name] for name in call.ids} | {call.ids[place]: others[call.ids[place]]}
    _is_not_found(client, operation, wanted, call.ids[max(place, 1)])


def test_nothing_was_touched(client: OpenAI, present: Ids) -> None:
    """By what the tests before were refused."""
    for operation, call in CALLS.items():
        if operation.startswith(("get", "list")):
            assert call.make(client, {name: present[name] for name in call.ids})


def _is_not_found(client: OpenAI, operation: str, wanted: Ids, missing: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        CALLS[operation].make(client, wanted)
    assert caught.value.body == _refusal(wanted, missing)
    assert caught.value.request_id


def _refusal(wanted: Ids, missing: str) -> dict[str, str | None]:
    one, param, code = wanted[missing], None, None
    if missing == "model":
        message, param, code = f"The model '{one}' does not exist", "model", "model_not_found"
    elif missing == "file_id" and "vector_store_id" in wanted:
        message = f"No file found with id '{one}' in vector store '{wanted['vector_store_id']}'."
    elif missing == "file_id":
        message, param = f"No such File object: {one}", "id"
    else:
        message = f"No {KINDS.get(missing, missing.removesuffix('_id'))} found with id '{one}'."
    return {"message": message, "type": "invalid_request_error", "param": param, "code": code}
