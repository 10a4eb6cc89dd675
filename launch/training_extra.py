"""Whether what trains is installed at all: it never is where daogou only serves."""

from importlib.util import find_spec

from contracts.errors import EnvironmentRefused


def required() -> None:
    """Raise: EnvironmentRefused, naming the extra, where PyTorch is missing."""
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise EnvironmentRefused("training and export need PyTorch: install daogou[train]")
