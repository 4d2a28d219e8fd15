"""Train and measure the networks of digits_mlp.csv: python data/digits_mlp.py > data/digits_mlp.csv (needs scikit-learn)."""

import csv
import math
import os
import sys
import time
import warnings

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

MODELS, PASSES = 120, 60
FIELDS = (
    "model",
    "dataset",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "inference_time_s",
    "inference_time_s_std",
    "parameters",
)


def main() -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(2019)
    images, labels = load_digits(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(images / 16, labels, test_size=0.3, random_state=0, stratify=labels)
    out = csv.DictWriter(sys.stdout, FIELDS, lineterminator="\n")
    out.writeheader()
    for seed in range(MODELS):
        layers = tuple(int(2 ** rng.uniform(1.5, 9.5)) for _ in range(rng.integers(1, 4)))
        activation = str(rng.choice(["relu", "tanh", "logistic"]))
        network = MLPClassifier(layers, activation=activation, max_iter=60, random_state=seed).fit(train, train_labels)
        right = int((network.predict(test) == test_labels).sum())
        seconds = []
        for _ in range(PASSES):
            start = time.perf_counter()
            network.predict(test)
            seconds.append(time.perf_counter() - start)
        low, high = wilson(right, len(test))
        out.writerow(
            {
                "model": "-".join(map(str, layers)) + f"-{activation}-{seed}",
                "dataset": "digits",
                "accuracy": round(right / len(test), 6),
                "accuracy_low": round(low, 6),
                "accuracy_high": round(high, 6),
                "inference_time_s": round(float(np.mean(seconds)), 8),
                "inference_time_s_std": round(float(np.std(seconds, ddof=1)) / math.sqrt(PASSES), 9),
                "parameters": sum(array.size for array in (*network.coefs_, *network.intercepts_)),
            }
        )


def wilson(right: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """95 % score interval of a share (Wilson 1927)."""
    p = right / n
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


if __name__ == "__main__":
    main()
