"""Load labelled images: bundled data sets, folders of images, Parquet files."""

from profilers.datasets.decoding import Fit
from profilers.datasets.loading import LabelledImages, load_dataset, splits

__all__ = ["Fit", "LabelledImages", "load_dataset", "splits"]
