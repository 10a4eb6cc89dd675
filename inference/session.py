"""ONNX Runtime: which provider, how many threads, and the assertion of what really runs."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as native

from contracts.bundle import Bundle
from contracts.errors import BundleRefused, EnvironmentRefused, ModelUnavailable
from contracts.items import Floats
from contracts.settings import ModelSettings, Provider
from inference.bound import Bound
from inference.padding import Array, Arrays, Sizes

PROVIDERS = {Provider.CPU: "CPUExecutionProvider", Provider.CUDA: "CUDAExecutionProvider"}
DEVICES = {Provider.CUDA: "cuda"}  # where inputs and outputs are bound
ONE_OF = ("onnxruntime", "onnxruntime-gpu")
PRODUCTS = ("MatMul", "Gemm")  # in the name of every operator that multiplies matrices, where a model's time goes

#: Everything that ONNX Runtime raises; its own errors have no common ancestor but Exception.
FAILURES = (
    native.EPFail, native.EngineError, native.Fail, native.InvalidArgument, native.InvalidGraph,
    native.InvalidProtobuf, native.NoSuchFile, native.NotImplemented, native.RuntimeException,
    RuntimeError, ValueError, MemoryError,
)  # fmt: skip


class Model:
    """One graph of a bundle, loaded from bytes whose hash was checked. Thread-safe.

    On CUDA its inputs are padded to few shapes and lie in kept buffers: see ``inference/bound.py``. ``device`` names
    another one to bind them to, ``limits`` the most candidates that it will meet; ``bound`` None: nothing is bound.

    Raises:
        BundleRefused: not a graph, a graph with weights outside of it, one with other inputs or outputs, or no graph
            of the bundle in the precision that the settings name.
        EnvironmentRefused: it, or one of its matrix products, would not run on the provider that the settings name.
    """

    def __init__(
        self, bundle: Bundle, file: str, inputs: Sequence[str], output: str, settings: ModelSettings,
        device: str | None = None, limits: Sizes | None = None,
    ) -> None:  # fmt: skip
        self._file, self._inputs, self._output = bundle.variant(file, settings.precision), tuple(inputs), output
        self._session = _open(bundle, self._file, settings)
        _check_faces(f"{bundle.folder}: {self._file}", self._session, self._inputs, output)
        self.provider = self._session.get_providers()[0]
        _check_provider(self._file, self._session, PROVIDERS[settings.provider])
        where = device or DEVICES.get(settings.provider)
        own = {"history": bundle.manifest.history_limit, "tokens": bundle.manifest.max_tokens}
        self.bound = Bound(self._session, output, where, {**own, **(limits or {})}) if where else None
        self._forward = self.bound.run if self.bound else self._plain

    def run(self, inputs: Arrays) -> Floats:
        """One forward. Raises: ModelUnavailable."""
        try:
            found = self._forward({name: inputs[name] for name in self._inputs})
        except FAILURES as error:
            raise ModelUnavailable(f"{self._file}: {type(error).__name__}: {error}") from error
        return np.asarray(found, np.float32)

    def _plain(self, inputs: Arrays) -> Array:
        return np.asarray(self._session.run([self._output], inputs)[0])


def _open(bundle: Bundle, file: str, settings: ModelSettings) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = settings.threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")  # for ``products_elsewhere``
    content = bundle.read(file)
    try:
        return ort.InferenceSession(content, options, providers=[PROVIDERS[settings.provider]])
    except FAILURES as error:
        raise BundleRefused(f"{bundle.folder}: {file} is no model that ONNX Runtime can load: {error}") from error


def _check_provider(file: str, session: ort.InferenceSession, wanted: str) -> None:
    runs = session.get_providers()[0]
    if runs != wanted:
        raise EnvironmentRefused(
            f"{file} should run on {wanted} but runs on {runs}: install the `gpu` extra and a driver, or set "
            "DAOGOU_MODEL__PROVIDER=cpu"
        )
    elsewhere = products_elsewhere(session, wanted)
    if elsewhere:
        raise EnvironmentRefused(
            f"{file}: {len(elsewhere)} of its matrix products would not run on {wanted}, {elsewhere[0]} among them: "
            "set DAOGOU_MODEL__PRECISION to fp16 or fp32, or DAOGOU_MODEL__PROVIDER=cpu"
        )


def products_elsewhere(session: ort.InferenceSession, provider: str) -> list[str]:
    """The operators that multiply matrices and that ONNX Runtime gave to another provider: it does so silently."""
    return [
        node.op_type
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
        if part.ep_name != provider and any(word in node.op_type for word in PRODUCTS)
    ]


def _check_faces(name: str, session: ort.InferenceSession, inputs: Sequence[str], output: str) -> None:
    takes, gives = {i.name for i in session.get_inputs()}, {o.name for o in session.get_outputs()}
    if takes != set(inputs) or output not in gives:
        raise BundleRefused(
            f"{name} takes {', '.join(sorted(takes))} and gives {', '.join(sorted(gives))}; "
            f"it must take {', '.join(sorted(inputs))} and give {output}. If another version of daogou made "
            "the bundle: train or fine-tune anew, then export"
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
