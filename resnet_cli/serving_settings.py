"""What publish and serve can be told."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_cli.command_words import option
from resnet_cli.errors import Failure, UsageError
from resnet_cli.settings import CommonSettings, OfTrained, Settings


@dataclass(frozen=True, kw_only=True)
class PublishSettings(OfTrained, CommonSettings):
    """Settings of publish."""

    repository: str = ""
    name: str = ""
    note: str = ""
    max_batch_size: int = 1

    def check(self, given: Mapping[str, Any]) -> None:
        super().check(given)
        if missing := [word for word in ("repository", "name") if word not in given]:
            words = [word.upper() if word == "repository" else option(word) for word in missing]
            raise UsageError(f"these are required: {', '.join(words)}")


@dataclass(frozen=True, kw_only=True)
class ServeSettings(Settings):
    """Settings of serve."""

    repository: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int = 8081
    metrics_port: int = 8082

    def check(self, given: Mapping[str, Any]) -> None:
        super().check(given)
        for name in ("port", "grpc_port", "metrics_port"):
            if not 1 <= getattr(self, name) <= 65_535:
                raise UsageError(
                    f"argument {option(name)}: must be from 1 to 65535, got {getattr(self, name)}"
                )
        if not Path(self.repository).expanduser().is_dir():
            raise Failure(f"there is no folder {self.repository}")
