"""/_understudy: what a test does to its namespace."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from understudy import refusals, tables
from understudy.json_route import JSONRoute
from understudy.model_choice import STAND_INS
from understudy.schemas.base import JSON, Body
from understudy.schemas.runs import Run
from understudy.script.script import Script, ScriptError
from understudy.services import CallerKey
from understudy.settings import StartError, UsageError, allowed_mode
from understudy.testing.faults import Fault
from understudy.testing.namespace import Namespace
from understudy.testing.namespaces import CONTROL, Namespaces

router = APIRouter(prefix=CONTROL, include_in_schema=False, route_class=JSONRoute)


async def _namespace(request: Request) -> Namespace:
    namespace: Namespace = request.scope["understudy.namespace"]
    return namespace


async def _namespaces(request: Request) -> Namespaces:
    namespaces: Namespaces = request.app.state.namespaces
    return namespaces


Mine = Annotated[Namespace, Depends(_namespace)]
All = Annotated[Namespaces, Depends(_namespaces)]
Seconds = Annotated[float, Field(ge=0, le=1e10)]


@router.post("/reset")
async def reset(key: CallerKey, namespaces: All) -> JSON:
    """Begin anew: no objects, no script, no faults, the machine's time, ids by chance. Snapshots stay."""
    await namespaces.reset(key or "")
    return {"reset": True}


class ScriptText(Body):
    """A script as YAML or JSON. `folder`: where the server finds images of canned code; `name`: for what it says."""

    text: str
    name: str = "script"
    folder: str | None = None


@router.put("/script")
async def set_script(body: ScriptText, mine: Mine) -> JSON:
    """Let the model do as a script says."""
    try:
        script = Script.parse(body.text, body.name, Path(body.folder) if body.folder else None)
        mine.set_script(script)
    except (ScriptError, UsageError) as error:
        raise refusals.NOT_USED(reason=error) from error
    return {"name": body.name, "rules": len(script.rules)}


class CassetteFile(Body):
    """A cassette on the server's disk, and what it does: see docs/testing.md."""

    path: Annotated[str, Field(min_length=1)]
    mode: Literal["none", "once", "new", "all"] = "none"


@router.put("/cassette")
async def insert_cassette(body: CassetteFile, mine: Mine) -> JSON:
    """Replay the upstream's answers from a cassette, or record them on it; where CI is set it is replayed."""
    mode = allowed_mode(body.mode)
    try:
        await mine.insert_cassette(Path(body.path), mode)
    except StartError as error:
        raise refusals.NOT_USED(reason=error) from error
    return {"path": body.path, "mode": mode}


@router.delete("/cassette")
async def eject_cassette(mine: Mine) -> JSON:
    """Let the model of the start answer again; tells what the cassette did."""
    report = await mine.eject_cassette()
    return {"deleted": True, "report": None if report is None else {**asdict(report), "path": str(report.path)}}


class StandIn(Body):
    """Who answers in the place of a model; null: who does without a script."""

    name: Literal["auto", "offline"] | None


@router.put("/stand_in")
async def set_stand_in(body: StandIn, mine: Mine) -> JSON:
    """Let a stand-in answer, and no script."""
    mine.set_stand_in(None if body.name is None else STAND_INS[body.name]())
    return body.model_dump()


@router.delete("/script")
async def delete_script(mine: Mine) -> JSON:
    """Let the model of the start answer again."""
    mine.set_stand_in(None)
    return {"deleted": True}


@router.post("/snapshots")
async def take_snapshot(mine: Mine) -> JSON:
    """Keep all objects, the time and the seed."""
    return {"id": await mine.take_snapshot()}


@router.post("/snapshots/{snapshot_id}/restore")
async def restore_snapshot(snapshot_id: str, mine: Mine) -> JSON:
    """Go back to a snapshot."""
    moment = mine.snapshots.get(snapshot_id)
    if moment is None:
        raise refusals.NO_SNAPSHOT(id=snapshot_id)
    await mine.restore(moment)
    return {"id": snapshot_id, "restored": True}


class Freeze(Body):
    """`at`: seconds since the epoch; the present time if it is not given."""

    at: Seconds | None = None


class Advance(Body):
    """How much time passes, all of it added up."""

    seconds: Seconds = 0
    minutes: Seconds = 0
    hours: Seconds = 0
    days: Seconds = 0

    def total(self) -> float:
        """In seconds."""
        return self.seconds + 60 * self.minutes + 3600 * self.hours + 86400 * self.days


@router.get("/clock")
async def retrieve_clock(mine: Mine) -> JSON:
    """What time it is."""
    return {"now": mine.clock.time(), "frozen": mine.clock.frozen}


@router.post("/clock/freeze")
async def freeze_clock(mine: Mine, body: Freeze | None = None) -> JSON:
    """Let time stand still."""
    mine.clock.freeze(body.at if body else None)
    return await retrieve_clock(mine)


@router.post("/clock/resume")
async def resume_clock(mine: Mine) -> JSON:
    """Let time run on from where it stands."""
    mine.clock.resume()
    return await retrieve_clock(mine)


@router.post("/clock/advance")
async def advance_clock(body: Advance, mine: Mine) -> JSON:
    """Let time pass; answers when everything that fell due has happened."""
    await mine.advance(body.total())
    return await retrieve_clock(mine)


class Seed(Body):
    """What ids are drawn from; null goes back to chance."""

    seed: int | str | None


@router.put("/seed")
async def set_seed(body: Seed, mine: Mine) -> JSON:
    """Let ids come from a seed: the same ones in the same order."""
    mine.ids.seed(None if body.seed is None else str(body.seed))
    return {"seed": body.seed}


@router.put("/ids")
async def choose_ids(body: dict[str, list[str]], mine: Mine) -> JSON:
    """Ids that come next, by prefix: `{"thread": ["thread_one", "thread_two"], "msg": ["msg_first"]}`."""
    for prefix, chosen in body.items():
        if wrong := next((one for one in chosen if not one.startswith((f"{prefix}_", f"{prefix}-"))), None):
            raise refusals.NO_ID(param=prefix, value=wrong[:64], prefix=prefix)
    mine.ids.choose(body)
    return dict(body)


class Timing(Body):
    """How long runs take: until they were retrieved so many times, then so many seconds of the clock."""

    polls: Annotated[int, Field(ge=0, le=10_000)] = 0
    seconds: Seconds = 0


@router.put("/timing")
async def set_timing(body: Timing, mine: Mine) -> JSON:
    """Let the runs that begin from now on take their time."""
    mine.pace.set(body.polls, body.seconds)
    return body.model_dump()


@router.post("/faults")
async def add_fault(body: Fault, mine: Mine) -> JSON:
    """Let something go wrong."""
    mine.faults.all.append(body)
    return _shown(body)


@router.get("/faults")
async def list_faults(mine: Mine) -> JSON:
    """The faults that were added, and how often each has struck."""
    return {"object": "list", "data": [_shown(fault) for fault in mine.faults.all]}


@router.delete("/faults")
async def delete_faults(mine: Mine) -> JSON:
    """Let all go well again."""
    mine.faults.all.clear()
    return {"deleted": True}


def _shown(fault: Fault) -> JSON:
    return {**fault.model_dump(), "struck": fault.struck}


@router.get("/requests")
async def list_requests(mine: Mine) -> JSON:
    """The requests since the last reset, oldest first; those to /_understudy aside."""
    return {"object": "list", "data": [asdict(entry) for entry in mine.journal.requests]}


@router.get("/model_calls")
async def list_model_calls(mine: Mine) -> JSON:
    """The calls of the language model since the last reset, oldest first."""
    return {"object": "list", "data": [asdict(entry) for entry in mine.journal.model_calls]}


@router.get("/runs")
async def list_runs(mine: Mine) -> Any:
    """All runs of all threads, oldest first."""

    def work(session: Session) -> list[JSON]:
        rows = session.scalars(select(tables.Run).order_by(tables.Run.seq)).all()
        return [Run.model_validate(row).model_dump(mode="json") for row in rows]

    async with mine.entered() as services:
        return {"object": "list", "data": await services.database.read(work)}
