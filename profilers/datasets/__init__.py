"""Load labelled images: bundled data sets, folders of images, Parquet files."""

from profilers.datasets.loading import LabelledImages, load_dataset, splits
from profilers.datasets.sizes import Fit

__all__ = ["Fit", "LabelledImages", "load_dataset", "splits"]
