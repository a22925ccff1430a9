"""A world's language model: what its script says, or what the server has, as soon as the world's pace allows."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from understudy.chat_models.base import JSON, ChatModel, ChatRequest, Delta
from understudy.testing.pace import Pace


class PacedModel:
    """Another model, which may be exchanged between two calls."""

    def __init__(self, model: ChatModel, pace: Pace) -> None:
        self.model = model
        self._pace = pace

    @property
    def backend(self) -> str:
        """The model's."""
        return self.model.backend

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The model's deltas. Raises ChatModelError."""
        if request.run_id is not None:
            await self._pace.hold(request.run_id)
        async with aclosing(self.model.stream(request)) as deltas:
            async for delta in deltas:
                yield delta

    async def list_models(self, caller_key: str | None) -> list[JSON]:
        """The model's."""
        return await self.model.list_models(caller_key)

    async def aclose(self) -> None:
        """Nothing: the model belongs to the server."""
