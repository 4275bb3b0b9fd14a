"""MLServer with two more guards: large bodies are refused, damaged versions left out."""

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlserver import MLServer
from mlserver.errors import MLServerError, ModelNotFound
from mlserver.handlers import DataPlane
from mlserver.logging import logger
from mlserver.repository.repository import SchemalessModelRepository
from mlserver.settings import ModelSettings, Settings
from mlserver.types import State
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resnet_lib.serving.repository import fault_of
from resnet_lib.serving.settings import ServerSettings

TOO_LARGE, UNSUPPORTED, UNPROCESSABLE = 413, 415, 422
MOST_BYTES = 32 * 2**20
VERSIONS = 3  # of each model, loaded at a time


class GuardedRepository(SchemalessModelRepository):
    """A repository of which the newest versions are loaded, and never damaged ones.

    Without this, one file cut short keeps the whole server from starting, and all versions that
    ever were stay in memory.
    """

    async def list(self) -> Sequence[ModelSettings]:
        found: dict[str, list[ModelSettings]] = {}
        every = [one for one in await super().list() if _is_numbered(one)]
        for settings in sorted(every, key=_number, reverse=True):
            own = found.setdefault(settings.name, [])
            if len(own) == VERSIONS:
                continue
            if fault := await asyncio.to_thread(_fault, settings):
                logger.error("Left out of %s: %s", settings.name, fault)
            else:
                own.append(settings)
        return [settings for own in found.values() for settings in own]

    async def find(self, name: str) -> Sequence[ModelSettings]:
        """The versions to load; none, where the newest is damaged and somebody asks for it.

        Raises:
            MLServerError: it is. What is loaded goes on as it was.
        """
        every = [one for one in await super().list() if _is_numbered(one)]
        known = [one for one in every if one.name == name]
        newest = max(known, key=_number, default=None)
        if newest is not None and (fault := await asyncio.to_thread(_fault, newest)):
            raise MLServerError(f"{name} is as it was: {fault}", UNPROCESSABLE)
        return await super().find(name)


class BodyLimit:
    """ASGI middleware that answers 413 to a body of too many bytes, before it is all here.

    A compressed body is answered 415: how large it becomes, only unpacking it would show.
    """

    def __init__(self, app: ASGIApp, most_bytes: int):
        self.app, self.most_bytes = app, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # A header may come twice, and whoever reads on may take the other one.
        packed = {v for name, v in scope["headers"] if name == b"content-encoding"} - {b"identity"}
        if packed:
            reason = "send the body without content-encoding"
            await _refuse(UNSUPPORTED, reason)(scope, receive, send)
            return
        lengths = [int(v) for name, v in scope["headers"] if name == b"content-length"]
        if max(lengths, default=0) > self.most_bytes:
            await self._too_large()(scope, receive, send)
            return
        # A body in pieces does not say how long it is.
        count = 0
        messages: list[Message] = []
        while not messages or messages[-1].get("more_body"):
            messages.append(await receive())
            count += len(messages[-1].get("body", b""))
            if count > self.most_bytes:
                await self._too_large()(scope, receive, send)
                return

        async def again() -> Message:
            return messages.pop(0) if messages else await receive()

        await self.app(scope, again, send)

    def _too_large(self) -> JSONResponse:
        return _refuse(TOO_LARGE, f"a body has at most {self.most_bytes:,} bytes")


class GuardedServer(MLServer):
    """MLServer, with `BodyLimit` before everything else; ready when all its models are."""

    def _create_servers(self) -> None:
        super()._create_servers()
        self._rest_server._app.add_middleware(BodyLimit, most_bytes=MOST_BYTES)
        self._awaited: list[ModelSettings] = []
        self._data_plane.ready = self.ready
        self._model_repository_handlers._get_state = self.state_of

    async def start(self, models_settings: Sequence[ModelSettings] = ()) -> None:
        """Listen, and load models."""
        self._awaited = list(models_settings)
        await super().start(list(models_settings))

    async def state_of(self, settings: ModelSettings) -> State:
        """Whether that very version answers; MLServer looks at the newest one alone."""
        try:
            model = await self._model_registry.get_model(settings.name, settings.version)
        except ModelNotFound:
            return State.UNAVAILABLE
        return State.READY if model.ready else State.UNKNOWN

    async def ready(self) -> bool:
        """Whether requests can come; MLServer says so, too, before it has loaded anything."""
        for settings in list(self._awaited):
            try:
                model = await self._model_registry.get_model(settings.name, settings.version)
            except ModelNotFound:
                return False
            if not model.ready:
                return False
            self._awaited.remove(settings)
        return await DataPlane.ready(self._data_plane)


def _is_numbered(settings: ModelSettings) -> bool:
    """Whether it is a version as `publish` makes them, and not something else that lies there."""
    return ((settings.parameters and settings.parameters.version) or "").isdigit()


def _number(settings: ModelSettings) -> int:
    return int(settings.parameters.version)


def _fault(settings: ModelSettings) -> str:
    return fault_of(Path(settings._source).parent)


def _refuse(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status)


def run(repository: str, settings: str) -> None:
    """Serve a repository until a signal says to stop, or the parent process is gone.

    Args:
        repository: the folder of all models.
        settings: a `ServerSettings`, as JSON.
    """
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(_run(repository, ServerSettings(**json.loads(settings)), Path(scratch)))


async def _run(repository: str, settings: ServerSettings, scratch: Path) -> None:
    own = Settings(
        debug=False,
        host=settings.host,
        http_port=settings.port,
        grpc_port=settings.grpc_port,
        metrics_port=settings.metrics_port,
        metrics_dir=str(scratch),
        # Its worker processes drop requests while a version is loaded or unloaded.
        parallel_workers=0,
        model_repository_implementation=GuardedRepository,
        model_repository_root=repository,
    )
    watch = asyncio.create_task(_end_with_parent(os.getppid()))
    await GuardedServer(own).start(await GuardedRepository(repository).list())
    watch.cancel()


async def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
