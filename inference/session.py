"""ONNX Runtime: which provider, how many threads, and the assertion of what really runs."""

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as native

from contracts.bundle import Bundle
from contracts.errors import BundleRefused, EnvironmentRefused, ModelUnavailable
from contracts.items import Floats
from contracts.settings import ModelSettings, Provider

PROVIDERS = {Provider.CPU: "CPUExecutionProvider", Provider.CUDA: "CUDAExecutionProvider"}
ONE_OF = ("onnxruntime", "onnxruntime-gpu")

#: Everything that ONNX Runtime raises; its own errors have no common ancestor but Exception.
FAILURES = (
    native.EPFail, native.EngineError, native.Fail, native.InvalidArgument, native.InvalidGraph,
    native.InvalidProtobuf, native.NoSuchFile, native.NotImplemented, native.RuntimeException,
    RuntimeError, ValueError, MemoryError,
)  # fmt: skip

Arrays = Mapping[str, NDArray[np.generic]]


class Model:
    """One graph of a bundle, loaded from bytes whose hash was checked. Thread-safe, as ONNX Runtime's ``run`` is.

    Raises:
        BundleRefused: not a graph, a graph with weights outside of it, one with other inputs or outputs, or no graph
            of the bundle in the precision that the settings name.
        EnvironmentRefused: it would not run on the provider that the settings name.
    """

    def __init__(self, bundle: Bundle, file: str, inputs: Sequence[str], output: str, settings: ModelSettings) -> None:
        self._file, self._inputs, self._output = bundle.variant(file, settings.precision), tuple(inputs), output
        self._session = _open(bundle, self._file, settings)
        _check_faces(f"{bundle.folder}: {self._file}", self._session, self._inputs, output)
        self.provider = self._session.get_providers()[0]
        if self.provider != PROVIDERS[settings.provider]:
            raise EnvironmentRefused(
                f"{self._file} should run on {PROVIDERS[settings.provider]} but runs on {self.provider}: install the "
                "`gpu` extra and a driver, or set DAOGOU_MODEL__PROVIDER=cpu"
            )

    def run(self, inputs: Arrays) -> Floats:
        """One forward. Raises: ModelUnavailable."""
        try:
            found = self._session.run([self._output], {name: inputs[name] for name in self._inputs})[0]
        except FAILURES as error:
            raise ModelUnavailable(f"{self._file}: {type(error).__name__}: {error}") from error
        return np.asarray(found, np.float32)


def _open(bundle: Bundle, file: str, settings: ModelSettings) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = settings.threads, 1
    options.log_severity_level = 3
    content = bundle.read(file)
    try:
        return ort.InferenceSession(content, options, providers=[PROVIDERS[settings.provider]])
    except FAILURES as error:
        raise BundleRefused(f"{bundle.folder}: {file} is no model that ONNX Runtime can load: {error}") from error


def _check_faces(name: str, session: ort.InferenceSession, inputs: Sequence[str], output: str) -> None:
    takes, gives = {i.name for i in session.get_inputs()}, {o.name for o in session.get_outputs()}
    if takes != set(inputs) or output not in gives:
        raise BundleRefused(
            f"{name} takes {', '.join(sorted(takes))} and gives {', '.join(sorted(gives))}; "
            f"it must take {', '.join(sorted(inputs))} and give {output}"
        )


def check_runtime(installed: Sequence[str] | None = None) -> str:
    """Name and version of the one ONNX Runtime. ``installed``: the names found; None looks at this environment.

    Raises:
        EnvironmentRefused: none, or both: they own the same folder and break each other.
    """
    found = [f"{name} {_version(name)}" for name in ONE_OF if _version(name)] if installed is None else list(installed)
    if len(found) != 1:
        raise EnvironmentRefused(
            f"exactly one of {' and '.join(ONE_OF)} must be installed; found: {', '.join(found) or 'none'} "
            "(extras `cpu` and `gpu`)"
        )
    return found[0]


def preload_cuda(settings: ModelSettings) -> None:
    """Load the CUDA libraries that come as wheels, before the first session. Only where CUDA is asked for."""
    if settings.provider is Provider.CUDA:
        ort.preload_dlls()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
