"""ONNX Runtime: which provider, how many threads, warmed up, and the assertion of what really runs."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from contracts.bundle import Bundle
from contracts.errors import EnvironmentRefused
from contracts.settings import ModelSettings, Provider

PROVIDERS = {Provider.CPU: "CPUExecutionProvider", Provider.CUDA: "CUDAExecutionProvider"}
ONE_OF = ("onnxruntime", "onnxruntime-gpu")

Arrays = Mapping[str, NDArray[np.generic]]


class Model:
    """One graph of a bundle, loaded from bytes whose hash was checked. Thread-safe, as ONNX Runtime's ``run`` is."""

    def __init__(self, bundle: Bundle, file: str, settings: ModelSettings) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = settings.threads, 1
        options.log_severity_level = 3
        wanted = PROVIDERS[settings.provider]
        self._session = ort.InferenceSession(bundle.read(file), options, providers=[wanted])
        self.provider = self._session.get_providers()[0]
        if self.provider != wanted:
            raise EnvironmentRefused(
                f"{file} should run on {wanted} but runs on {self.provider}: install the `gpu` extra and a driver, "
                "or set DAOGOU_MODEL__PROVIDER=cpu"
            )
        self.inputs = tuple(i.name for i in self._session.get_inputs())

    def run(self, inputs: Arrays) -> list[NDArray[np.float32]]:
        """One forward; the outputs in the graph's order."""
        return list(self._session.run(None, {name: inputs[name] for name in self.inputs}))


def check_runtime() -> str:
    """Name and version of the one ONNX Runtime installed.

    Raises:
        EnvironmentRefused: none, or both: they own the same folder and break each other.
    """
    found = [(name, _version(name)) for name in ONE_OF]
    installed = [f"{name} {number}" for name, number in found if number]
    if len(installed) != 1:
        raise EnvironmentRefused(
            f"exactly one of {' and '.join(ONE_OF)} must be installed; found: {', '.join(installed) or 'none'} "
            "(extras `cpu` and `gpu`)"
        )
    return installed[0]


def preload_cuda(settings: ModelSettings) -> None:
    """Load the CUDA libraries that come as wheels, before the first session. Only where CUDA is asked for."""
    if settings.provider is Provider.CUDA:
        ort.preload_dlls()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
