"""Forwards whose inputs and output lie in a device's memory (ONNX Runtime's I/O binding), in buffers that are kept."""

from threading import Lock

import numpy as np
import onnxruntime as ort

from inference.padding import Array, Arrays, Sizes, cut, pad, sizes_of

KEPT_BYTES = 2 << 30  # all shapes of 100 candidates, of 112 columns each, take 235 MiB; of 500 candidates 1.1 GiB

Key = tuple[tuple[str, tuple[int, ...], str], ...]


class Buffers:
    """Inputs of one shape in memory of a device ("cuda", "cpu"), bound to a session with the place of its output."""

    def __init__(self, session: ort.InferenceSession, output: str, device: str, inputs: Arrays) -> None:
        self._session, self._binding = session, session.io_binding()
        # Not made from the arrays: on a CPU that would be the caller's own memory, to be overwritten by the next fill.
        self._inputs = {
            name: ort.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype, device, 0)
            for name, array in inputs.items()
        }
        self.bytes = sum(array.nbytes for array in inputs.values())
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        self._binding.bind_output(output, device)

    def fill(self, inputs: Arrays) -> None:
        """Copy from the host, into the same memory."""
        for name, value in self._inputs.items():
            value.update_inplace(inputs[name])

    def forward(self) -> None:
        """On what lies there; it is done when this returns."""
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    def read(self) -> Array:
        """The output, copied to the host."""
        return np.asarray(self._binding.copy_outputs_to_cpu()[0])


class Bound:
    """A session that meets few shapes, each with buffers of its own. Thread-safe: one forward at a time.

    ``limits``: see ``padding.padded_size``. Beyond ``kept`` bytes, what was used longest ago is given back.
    """

    def __init__(
        self, session: ort.InferenceSession, output: str, device: str, limits: Sizes, kept: int = KEPT_BYTES
    ) -> None:
        self._session, self._output, self._device = session, output, device
        self._limits, self._most = limits, kept
        self._kept: dict[Key, Buffers] = {}
        self._lock = Lock()

    @property
    def kept_bytes(self) -> int:
        """Of inputs, in the device's memory."""
        return sum(buffers.bytes for buffers in self._kept.values())

    @property
    def kept_shapes(self) -> int:
        """How many shapes have buffers now."""
        return len(self._kept)

    def run(self, inputs: Arrays) -> Array:
        """From the host and back. Raises: what ONNX Runtime raises, or ValueError; see ``session.FAILURES``."""
        sizes, padded = sizes_of(inputs), pad(inputs, self._limits)
        with self._lock:
            found = self._forward(padded)
        return cut(found, self._output, sizes)

    def _forward(self, inputs: Arrays) -> Array:
        """Buffers of a forward that failed are not kept."""
        key = tuple((name, array.shape, array.dtype.str) for name, array in inputs.items())
        buffers = self._kept.pop(key, None) or Buffers(self._session, self._output, self._device, inputs)
        buffers.fill(inputs)
        buffers.forward()
        found = buffers.read()
        self._kept[key] = buffers
        self._give_back()
        return found

    def _give_back(self) -> None:
        """The dict is in the order of use; what was used just now stays, however large."""
        while self.kept_bytes > self._most and len(self._kept) > 1:
            del self._kept[next(iter(self._kept))]
