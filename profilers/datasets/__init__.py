"""Load labelled images: bundled data sets, folders of images, Parquet files."""

from profilers.datasets.loading import LabelledImages, load_dataset, splits

__all__ = ["LabelledImages", "load_dataset", "splits"]
