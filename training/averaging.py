"""The mean of weights along the way: better than where the last steps happened to lead, and with less luck in it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

ETA = 8.0  # the mean is of about the last ninth of all steps, however many there are


class Averaged:
    """The polynomial-decay mean of parameters, for a learning rate that does not fall to 0.

    Step t of the mean weighs (eta + 1) / (t + eta): no length of a window has to be chosen (Shamir and Zhang,
    "Stochastic Gradient Descent for Non-smooth Optimization", ICML 2013).
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = parameters
        self._mean = [parameter.detach().clone() for parameter in parameters]
        self._steps = 0

    def add(self) -> None:
        """Take the weights as they are now into the mean; before the first call the mean is what was there at first."""
        self._steps += 1
        with torch.no_grad():
            for mean, parameter in zip(self._mean, self._parameters, strict=True):
                mean.lerp_(parameter, (ETA + 1.0) / (self._steps + ETA))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The mean instead of the weights, for as long as this lasts."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def swap(self) -> None:
        """The mean becomes the weights, and the weights what ``swap`` gives back."""
        with torch.no_grad():
            for mean, parameter in zip(self._mean, self._parameters, strict=True):
                weights = parameter.clone()
                parameter.copy_(mean)
                mean.copy_(weights)
