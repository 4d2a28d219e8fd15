"""Make digits.npz from scikit-learn's copy of the UCI digits: python data/digits.py (needs scikit-learn)."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def main() -> None:
    images, labels = load_digits(return_X_y=True)
    # the same 540 test images as those of digits_mlp.csv
    _, test = train_test_split(np.arange(len(labels)), test_size=0.3, random_state=0, stratify=labels)
    np.savez_compressed(
        Path(__file__).with_suffix(".npz"),
        images=images.reshape(-1, 8, 8).astype(np.uint8),
        labels=labels.astype(np.uint8),
        test=np.isin(np.arange(len(labels)), test),
    )


if __name__ == "__main__":
    main()
