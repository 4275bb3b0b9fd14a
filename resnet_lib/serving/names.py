"""What a model, or a service, may be called."""

import re

from resnet_lib.arguments import check_text

# What Kubernetes allows too, where a model's name becomes a host's.
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def check_name(name: str) -> None:
    """Refuse what cannot be a name.

    Raises:
        TypeError: it is no string.
        ValueError: it has other signs, or too many.
    """
    check_text("name", name)
    if not NAME.fullmatch(name):
        raise ValueError(
            f"name must be small letters, digits and dashes, at most 63 of them, got {name!r}"
        )
