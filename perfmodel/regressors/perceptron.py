"""A multilayer perceptron and Adam, in numpy: small enough that a library would only be slower.

Source: Kingma & Ba (2015), algorithm 1; weights begin uniform in ``+-1 / sqrt(inputs)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats

DECAYS = (0.9, 0.999)
"""Of Adam's averages of the gradient and of its square."""

EPSILON = 1e-8


@dataclass(frozen=True)
class Perceptron:
    """Fully connected layers with ReLU between them and one output.

    Attributes:
        weights: One array ``(inputs + 1, outputs)`` per layer; its last row are the biases.
    """

    weights: tuple[Floats, ...]

    @classmethod
    def fresh(cls, widths: Sequence[int], rng: np.random.Generator) -> "Perceptron":
        """Return random weights; ``widths`` are the number of features, then of hidden units."""
        pairs = zip(widths, [*widths[1:], 1], strict=True)
        return cls(tuple(rng.uniform(-1, 1, (a + 1, b)) / max(1, a) ** 0.5 for a, b in pairs))

    def __call__(self, features: Floats) -> Floats:
        """Scores of ``(n, d)`` features, ``(n,)``."""
        return self._forward(features)[-1][:, 0]

    def rescaled(self, factor: float, shift: float) -> "Perceptron":
        """Return the weights that say ``factor * y + shift`` where these say ``y``."""
        last = factor * self.weights[-1]
        last[-1] += shift
        return Perceptron((*self.weights[:-1], last))

    def trained(
        self, features: Floats, scores: Floats, *, epochs: int, rate: float
    ) -> "Perceptron":
        """Return the weights after ``epochs`` full-batch Adam steps on the mean squared error."""
        weights = [layer.copy() for layer in self.weights]
        first = [np.zeros_like(layer) for layer in weights]
        second = [np.zeros_like(layer) for layer in weights]
        for epoch in range(1, epochs + 1):
            gradients = Perceptron(tuple(weights))._gradients(features, scores)
            for at, gradient in enumerate(gradients):
                first[at] += (1.0 - DECAYS[0]) * (gradient - first[at])
                second[at] += (1.0 - DECAYS[1]) * (gradient**2 - second[at])
                size = np.sqrt(second[at] / (1.0 - DECAYS[1] ** epoch)) + EPSILON
                weights[at] -= rate / (1.0 - DECAYS[0] ** epoch) * first[at] / size
        return Perceptron(tuple(weights))

    def _forward(self, features: Floats) -> list[Floats]:
        """Outputs of every layer, the features first."""
        outputs = [features]
        for layer in self.weights:
            below = outputs[-1] if len(outputs) == 1 else np.maximum(outputs[-1], 0.0)
            outputs.append(below @ layer[:-1] + layer[-1])
        return outputs

    def _gradients(self, features: Floats, scores: Floats) -> list[Floats]:
        """Of the mean squared error, one array per layer."""
        outputs = self._forward(features)
        error = 2.0 * (outputs[-1] - scores[:, None]) / len(scores)
        gradients = []
        for at in range(len(self.weights) - 1, -1, -1):
            below = outputs[at] if at == 0 else np.maximum(outputs[at], 0.0)
            gradients.append(np.vstack([below.T @ error, error.sum(axis=0)]))
            error = (error @ self.weights[at][:-1].T) * (outputs[at] > 0.0)
        return gradients[::-1]
