"""A namespace: what the tests behind one API key see, apart from all others: objects, time, ids, pace."""

import copy
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from understudy import clock, ids, tables
from understudy.cassettes.cassette import CassetteError
from understudy.cassettes.deck import Deck, Report
from understudy.chat_models.base import ChatModel
from understudy.chat_models.upstream import Upstream
from understudy.clock import Clock
from understudy.house import open_house, sweep
from understudy.ids import Ids, new_id
from understudy.model_choice import Models, choose_models, make_upstream, scripted
from understudy.script.script import Script
from understudy.services import Services
from understudy.settings import Settings
from understudy.supervisor import Supervisor
from understudy.testing.faults import Faults
from understudy.testing.journal import Journal
from understudy.testing.model import WatchedModel
from understudy.testing.pace import Pace
from understudy.testing.snapshots import copy_world
from understudy.testing.world import World
from understudy.testing.world_database import WorldDatabase
from understudy_sandbox import Sandbox

_LOOK_SECONDS = 0.002
_SETTLE_SECONDS = 60.0
_POLL_SECONDS = 0.1
_RELEASED_POLL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Base:
    """What all namespaces are made of."""

    settings: Settings
    script: Script | None
    """What the settings name."""
    sandbox: Sandbox
    supervisor: Supervisor
    template: WorldDatabase
    """That of a world without anything in it."""
    folders: Iterator[Path]
    """Names that no folder has had."""
    databases: list[WorldDatabase]
    """Those of worlds that have ended."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A snapshot: a copy of a world's folder, the time there and the ids that come next."""

    folder: Path
    database: WorldDatabase
    threads: frozenset[str]
    """Those whose code left files."""
    clock: Clock
    ids: Ids


class Namespace:
    """One key's, from one reset to the next. Its world is opened by that, or by the first request that needs it."""

    def __init__(self, base: Base, snapshots: dict[str, Moment]) -> None:
        self.clock = Clock()
        self.ids = Ids()
        self.pace = Pace()
        self.faults = Faults()
        self.journal = Journal()
        self._first = choose_models(base.settings, base.script)
        self.model = WatchedModel(self._first.chat_model, self.pace, self.faults, self.journal)
        self._models = Models(self.model, self._first.upstream, self._first.deck)
        self.snapshots = snapshots
        """By their ids; a reset leaves them."""
        self._base = base
        self._world: World | None = None

    @asynccontextmanager
    async def entered(self) -> AsyncGenerator[Services, None]:
        """The services of its world, opened if need be, in its own time."""
        with clock.using(self.clock), ids.using(self.ids):
            async with (self._world or self._begin()).entered() as services:
                yield services

    def prepare(self) -> None:
        """Open its world ahead of the first request."""
        with clock.using(self.clock), ids.using(self.ids):
            self._begin()

    def _begin(self) -> World:
        self._world = self._open(next(self._base.folders), self._base.template)
        return self._world

    def _open(self, folder: Path, beginning: WorldDatabase) -> World:
        """Open a world over a folder. Called in the namespace's own time, in which the world's tasks go on."""
        spare, new = self._base.databases, beginning is self._base.template
        database = spare.pop() if spare else WorldDatabase()
        database.load(beginning)
        settings = replace(self._base.settings, data_dir=folder)
        house = partial(open_house, settings, self._models, self._base.sandbox, _realm(folder), database, new=new)
        world = World(folder, house)

        async def keep() -> None:
            await world.keep()
            if world.deserted:
                spare.append(database)

        self._base.supervisor.start(f"world {folder.name}", keep)
        return world

    def close(self) -> None:
        """Let the world end once the requests in it are answered."""
        if self._world is not None:
            self._world.close()
            self._world = None

    async def aclose(self) -> None:
        """The same, and close the models."""
        self._deck.closing = True
        self.close()
        await self._use_upstream(self._first.upstream)
        await self._first.aclose()

    def set_script(self, script: Script) -> None:
        """Let the model do as a script says. Raises UsageError."""
        self.model.model = scripted(script, self._models.upstream, self.model.note)

    @property
    def _deck(self) -> Deck:
        assert self._first.deck is not None, "in test mode there is one for each namespace"
        return self._first.deck

    async def insert_cassette(self, path: Path, mode: str) -> None:
        """Let a cassette answer in the upstream's place. Raises CassetteError, and then the start's model answers."""
        try:
            self._deck.insert(path, mode)
        except CassetteError:
            await self.eject_cassette()
            raise
        # A new one: what the last one was found to refuse is none of this cassette's.
        upstream = make_upstream(self._base.settings, self._deck)
        await self._use_upstream(upstream)
        self.model.model = upstream

    async def eject_cassette(self) -> Report | None:
        """Let the model of the start answer again; what the cassette did."""
        report = self._deck.eject()
        if (path := self._base.settings.cassette) is not None:
            self._deck.insert(path, self._base.settings.cassette_mode)
        self.model.model = self.model.first
        await self._use_upstream(self._first.upstream)
        return report

    async def _use_upstream(self, upstream: Upstream | None) -> None:
        """Pass on to it what the server does not do itself."""
        last, self._models.upstream = self._models.upstream, upstream
        if last is not None and last is not self._first.upstream:
            await last.aclose()

    def set_stand_in(self, model: ChatModel | None) -> None:
        """Let another model answer; None: the one of the start."""
        self.model.model = model or self.model.first

    # -----------------------------------------------------------------------------------------------------------------
    # Snapshots

    async def take_snapshot(self) -> str:
        """Keep what is there now; the snapshot's id. Runs at work count as broken off when it is restored."""
        async with self.entered() as services:
            folder = next(self._base.folders)
            assert isinstance(services.database, WorldDatabase)
            database = WorldDatabase()
            # Nothing in between waits: both are of one moment.
            copy_world(services.settings.data_dir, folder)
            database.load(services.database)
            await services.code_interpreter.lend_files(_realm(folder))
            threads = frozenset(services.code_interpreter.threads)
        snapshot_id = new_id("snapshot")
        self.snapshots[snapshot_id] = Moment(folder, database, threads, self.clock.copied(), copy.deepcopy(self.ids))
        return snapshot_id

    async def restore(self, moment: Moment) -> None:
        """Go back to a snapshot, which stays. Script, faults and pace stay as they are."""
        folder = next(self._base.folders)
        await to_thread.run_sync(copy_world, moment.folder, folder)
        self.close()
        self.clock, self.ids = moment.clock.copied(), copy.deepcopy(moment.ids)
        with clock.using(self.clock), ids.using(self.ids):
            self._world = self._open(folder, moment.database)
            async with self._world.entered() as services:
                await services.code_interpreter.borrow_files(_realm(moment.folder), moment.threads)

    # -----------------------------------------------------------------------------------------------------------------
    # Time

    async def advance(self, seconds: float) -> None:
        """Let time pass: what falls due happens in its order, and has happened on return."""
        target = self.clock.time() + seconds
        async with self.entered() as services:
            await self._settle(services)
            while (due := await self._next_due(services)) is not None and due <= target:
                self.clock.move_to(max(due, self.clock.time()))
                await self._happen(services)
            self.clock.move_to(max(target, self.clock.time()))
            await self._happen(services)

    async def _happen(self, services: Services) -> None:
        await sweep(services)
        await self._settle(services)

    async def _next_due(self, services: Services) -> float | None:
        now = self.clock.time()
        expiry = await services.database.read(_next_expiry)
        return min((due for due in (*self.clock.sleepers, expiry) if due is not None and due > now), default=None)

    async def _settle(self, services: Services) -> None:
        """Wait until no run does anything but wait for time or for its client."""
        with anyio.move_on_after(_SETTLE_SECONDS):
            while services.executor.at_work > len(self.clock.sleepers) + self.pace.waiting:  # noqa: ASYNC110
                # Runs come to rest in three ways; none of them tells.
                await anyio.sleep(_LOOK_SECONDS)

    async def await_poll(self, services: Services, run_id: str) -> None:
        """A run is asked for: the answer waits a moment for its end, which spares the client a pause."""
        if not services.executor.executes(run_id):
            return
        before = self.pace.waiting
        held = self.pace.polled(run_id)
        released = self.pace.waiting < before
        with anyio.move_on_after(_RELEASED_POLL_SECONDS if held or released else _POLL_SECONDS):
            if held is not None:
                await held.begun.wait()
            else:
                await services.executor.rested(run_id)


def _realm(folder: Path) -> str:
    """What tells the threads of one world or snapshot from those of others."""
    return f"{folder.name}/"


def _next_expiry(session: Session) -> int | None:
    active = tables.Run.status.in_(("queued", "in_progress", "requires_action"))
    return session.scalars(select(func.min(tables.Run.expires_at)).where(active)).first()
