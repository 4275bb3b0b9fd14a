"""How a repository is served."""

from dataclasses import dataclass

from resnet_lib.arguments import check_text, check_whole

__all__ = ["ServerSettings"]


@dataclass(frozen=True)
class ServerSettings:
    """How a repository is served.

    Attributes:
        host: the address to listen on. The usual one can be reached from this machine alone;
            whoever can reach a server can use its models, and load and unload them.
        port: for HTTP, the Open Inference Protocol in JSON.
        grpc_port: the same protocol through gRPC.
        metrics_port: counts and durations, as Prometheus reads them.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int = 8081
    metrics_port: int = 8082

    def __post_init__(self) -> None:
        check_text("host", self.host)
        for name in ("port", "grpc_port", "metrics_port"):
            check_whole(name, getattr(self, name), 1, 65_535)
