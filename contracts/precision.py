"""The precisions in which a bundle's graphs may lie side by side: fp32 always, the others as further files."""

from enum import Enum
from pathlib import PurePath


class Precision(Enum):
    """The numbers a graph computes with."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


def variant_name(file: str, precision: Precision) -> str:
    """``ranker.onnx`` -> ``ranker.int8.onnx``; fp32 has the plain name."""
    path = PurePath(file)
    return file if precision is Precision.FP32 else f"{path.stem}.{precision.value}{path.suffix}"
