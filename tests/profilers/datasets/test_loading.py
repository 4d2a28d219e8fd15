"""Labelled images come whole, in their order, from every kind of source; what is wrong is told in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from profilers.datasets.loading import LabelledImages, load_dataset
from profilers.errors import DataError
from tests.conftest import SHARED

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the encoders of torchvision 0.29
CIFAR = SHARED / "datasets" / "cifar10"


def picture(seed: int, *, size: tuple[int, int] = (6, 5), channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (channels, *size), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    torch = pytest.importorskip("torch")
    from torchvision.io import encode_png

    return bytes(encode_png(torch.from_numpy(pixels)).numpy().tobytes())


def jpeg(pixels: np.ndarray) -> bytes:
    torch = pytest.importorskip("torch")
    from torchvision.io import encode_jpeg

    return bytes(encode_jpeg(torch.from_numpy(pixels)).numpy().tobytes())


def tree(
    root: Path, *, splits: tuple[str, ...] = ("train", "test"), classes: tuple[str, ...] = ("cat", "dog"), each: int = 3
) -> Path:
    """Write `each` pictures a class and split; picture seeds count up in the order of splits, classes and files."""
    seed = 0
    for split in splits:
        for name in classes:
            (root / split / name).mkdir(parents=True)
            for number in range(each):
                (root / split / name / f"{number}.png").write_bytes(png(picture(seed)))
                seed += 1
    return root


def parquet(path: Path, rows: list[tuple[Any, Any]], *, image: str = "img", label: str = "label", **metadata: str) -> Path:
    frame = pl.DataFrame(
        {
            image: [{"bytes": content, "path": f"{row}.png"} for row, (content, _) in enumerate(rows)],
            label: [row[1] for row in rows],
        },
        schema_overrides={image: pl.Struct({"bytes": pl.Binary, "path": pl.String})},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path, metadata=metadata or None)
    return path


def rows(*labels: Any, first: int = 0) -> list[tuple[Any, Any]]:
    return [(png(picture(first + row)), label) for row, label in enumerate(labels)]


def refused(spec: object, **options: Any) -> str:
    with pytest.raises(DataError) as error:
        load_dataset(str(spec), **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_digits_are_those_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.datasets")
    theirs = sklearn.load_digits()
    train, test = load_dataset("digits", split="train"), load_dataset("digits")
    assert (len(train.labels), len(test.labels)) == (1257, 540)
    ours = {
        (image.tobytes(), int(label)) for part in (train, test) for image, label in zip(part.images, part.labels, strict=True)
    }
    expected = {
        ((image.astype(int) * 255 // 16).astype(np.uint8).tobytes(), int(label))
        for image, label in zip(theirs.images, theirs.target, strict=True)
    }
    assert ours == expected


def test_digits_are_stratified_and_normalised_by_their_training_images() -> None:
    train, test = load_dataset("digits", split="train"), load_dataset("digits")
    assert train.images.shape == (1257, 1, 8, 8)
    assert [array.dtype for array in (train.images, train.labels)] == [np.uint8, np.int64]
    assert test.classes == tuple("0123456789")
    shares = np.bincount(test.labels) / np.bincount(np.concatenate([train.labels, test.labels]))
    assert shares == pytest.approx(0.3, abs=0.01)
    assert train.images.max() == 255
    assert test.mean == train.mean == pytest.approx((float((train.images / 255).mean()),), abs=1e-12)
    assert test.std == train.std == pytest.approx((float((train.images / 255).std()),), abs=1e-12)


def test_the_real_cifar_10_is_read_by_split() -> None:
    if not CIFAR.exists():
        pytest.skip("CIFAR-10 does not stand beside this checkout")
    data = load_dataset(str(CIFAR / "t*-00000-of-00001.parquet"), limit=200)
    assert (data.images.shape, data.name, len(data.classes)) == ((200, 3, 32, 32), "cifar10", 10)
    # of the 50,000 original training images, as everybody quotes them, .491 .482 .447 and .247 .243 .262; JPEG moves them little
    assert data.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=0.001)
    assert data.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=0.003)
    labels = pl.read_parquet(CIFAR / "test-00000-of-00001.parquet")["label"]
    assert data.labels.tolist() == labels.gather_every(50).to_list()


def test_a_tree_of_splits_and_classes_is_read_in_order(tmp_path: Path) -> None:
    root = tree(tmp_path / "pets")
    data = load_dataset(str(root))
    assert (data.name, data.classes, data.labels.tolist()) == ("pets", ("cat", "dog"), [0, 0, 0, 1, 1, 1])
    assert np.array_equal(data.images, np.stack([picture(seed) for seed in range(6, 12)]))
    train = np.stack([picture(seed) for seed in range(6)]) / 255
    assert data.mean == pytest.approx(tuple(train.mean((0, 2, 3))), abs=1e-12)
    assert data.std == pytest.approx(tuple(train.std((0, 2, 3))), abs=1e-12)
    assert load_dataset(str(root), split="train").mean == data.mean


def test_a_validation_split_stands_in_for_a_test_split_and_the_name_says_so(tmp_path: Path) -> None:
    root = tree(tmp_path / "cinic10", splits=("train", "valid"))
    assert load_dataset(str(root)).name == "cinic10 (validation split)"
    assert load_dataset(str(root), split="valid").name == "cinic10"
    tree(root, splits=("test",))
    assert load_dataset(str(root)).name == "cinic10"


def test_a_tree_without_splits_is_split_the_same_way_each_time(tmp_path: Path) -> None:
    root = tree(tmp_path, splits=("birds",), each=10) / "birds"
    parts = {split: load_dataset(str(root), split=split) for split in ("train", "test")}
    assert {split: np.bincount(part.labels).tolist() for split, part in parts.items()} == {"train": [8, 8], "test": [2, 2]}
    whole = {image.tobytes() for part in parts.values() for image in part.images}
    assert whole == {picture(seed).tobytes() for seed in range(20)}
    assert parts["test"].name == "birds (split here: 80 % of every class to train)"
    assert np.array_equal(load_dataset(str(root)).images, parts["test"].images)


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    names = ("$(touch ran)", "a'; import os")
    root = tree(tmp_path / "odd [*]? names", classes=names)
    (root / "test" / names[0] / "line\nbreak.png").write_bytes(b"no picture")
    assert "line\\nbreak.png' cannot be decoded" in refused(root)
    (root / "test" / names[0] / "line\nbreak.png").unlink()
    assert load_dataset(str(root)).classes == names


def test_a_limit_spreads_over_all_classes(tmp_path: Path) -> None:
    root = tree(tmp_path, each=10)
    data = load_dataset(str(root), limit=4)
    assert data.labels.tolist() == [0, 0, 1, 1]
    whole = load_dataset(str(root))
    assert np.array_equal(data.images, whole.images[[0, 5, 10, 15]])
    assert (data.mean, data.std) == (whole.mean, whole.std)
    assert len(load_dataset(str(root), limit=99).labels) == 20
    assert load_dataset(str(root), split="train", limit=4).mean == whole.mean


@pytest.mark.parametrize(("image", "label"), [("img", "label"), ("image", "label"), ("img", "fine_label")])
def test_parquet_is_read_as_the_hubs_publish_it(image: str, label: str, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    names = '{"info": {"features": {"' + label + '": {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"}}}}'
    for split, first in (("train", 0), ("test", 10)):
        content = rows(1, 0, 1, first=first)
        table = pyarrow.table(
            {image: [{"bytes": picture, "path": None} for picture, _ in content], label: [row[1] for row in content]}
        )
        folder = tmp_path / "toy" / "data"
        folder.mkdir(parents=True, exist_ok=True)
        # written by the library that the hubs use, with their key of metadata
        pq.write_table(table.replace_schema_metadata({"huggingface": names}), folder / f"{split}-00000-of-00001.parquet")
    for spec in (tmp_path / "toy", folder, folder / "*.parquet"):
        data = load_dataset(str(spec))
        assert (data.classes, data.labels.tolist()) == (("cat", "dog", "owl"), [1, 0, 1])
        assert np.array_equal(data.images, np.stack([picture(seed) for seed in (10, 11, 12)]))
    alone = load_dataset(str(folder / "test-00000-of-00001.parquet"))
    assert (alone.name, alone.mean, alone.std) == ("test-00000-of-00001", None, None)


def test_shards_follow_one_another_and_labels_may_be_names(tmp_path: Path) -> None:
    parquet(tmp_path / "train-1.parquet", rows("owl", "cat"))
    parquet(tmp_path / "test-0.parquet", rows("cat", "owl", first=10))
    parquet(tmp_path / "test-1.parquet", rows("owl", first=12))
    data = load_dataset(str(tmp_path))
    assert (data.classes, data.labels.tolist()) == (("cat", "owl"), [0, 1, 1])
    assert np.array_equal(data.images, np.stack([picture(seed) for seed in (10, 11, 12)]))


def test_one_parquet_without_a_split_in_its_name_is_split(tmp_path: Path) -> None:
    file = parquet(tmp_path / "birds.parquet", rows(*[0, 1] * 5))
    assert load_dataset(str(file)).name == "birds (split here: 80 % of every class to train)"
    assert load_dataset(str(file)).labels.tolist().count(0) == 1


def test_grey_images_stay_grey_and_mixed_ones_become_colour(tmp_path: Path) -> None:
    grey = [(png(picture(seed, channels=1)), seed % 2) for seed in range(10)]
    file = parquet(tmp_path / "birds.parquet", grey)
    assert load_dataset(str(file), split="train").images.shape == (8, 1, 6, 5)
    parquet(file, [(png(picture(9)), 1), *grey])
    assert load_dataset(str(file), split="train").images.shape[1:] == (3, 6, 5)
    parquet(file, [*grey, (jpeg(picture(9)), 1)])
    images = np.concatenate([load_dataset(str(file), split=split).images for split in ("train", "test")])
    repeated = {np.repeat(picture(seed, channels=1), 3, 0).tobytes() for seed in range(10)}
    assert repeated < {image.tobytes() for image in images}


BAD: list[tuple[str, Callable[[Path], object], str]] = [
    ("missing folder", lambda root: root / "none", "it is not digits, cifar10 or cifar100, nor a folder or Parquet file here"),
    ("empty folder", lambda root: root, "has no class folders with images"),
    (
        "class without images",
        lambda root: write(tree(root) / "test" / "emu" / "notes.txt", b"none").parents[2],
        "emu has no images",
    ),
    ("one class", lambda root: tree(root, classes=("cat",)), "has one class ('cat')"),
    ("one image a class", lambda root: tree(root, splits=("x",), each=1) / "x", "class 'cat' has 1 image; splitting needs 2"),
    (
        "other classes",
        lambda root: (tree(root), tree(root, splits=("valid",), classes=("cat", "emu")))[0],
        "differ ('dog', 'emu')",
    ),
    ("no Parquet", lambda root: write(root / "test.parquet", b"PAR1 and no more"), "cannot be read as a Parquet file"),
    ("no label", lambda root: parquet(root / "test.parquet", rows(0, 1), label="target"), "has no label column (label or labels"),
    (
        "no image",
        lambda root: parquet(root / "test.parquet", rows(0, 1), image="pixels"),
        "has no image column (img or image); it has 'pixels'",
    ),
    ("null label", lambda root: parquet(root / "test.parquet", rows(0, None, 1)), "1 images have no label"),
    ("null image", lambda root: parquet(root / "test.parquet", [*rows(0, 1), (None, 0)]), "1 images are named by path"),
    ("no rows", lambda root: parquet(root / "test.parquet", []), "has no images"),
    ("empty image", lambda root: parquet(root / "test.parquet", [*rows(0, 1), (b"", 0)]), "image 2 of test is empty"),
    (
        "no picture",
        lambda root: parquet(root / "test.parquet", [*rows(0, 1), (b"hello", 0)]),
        "image 2 of test cannot be decoded",
    ),
    (
        "cut picture",
        lambda root: parquet(root / "test.parquet", [*rows(0, 1), (png(picture(1))[:60], 0)]),
        "image 2 of test cannot be decoded",
    ),
    (
        "another size",
        lambda root: parquet(root / "test.parquet", [*rows(0, 1), (png(picture(1, size=(9, 5))), 0)]),
        "images of different sizes: 0 of test is 5x6, 2 of test is 5x9; give --resize and --crop",
    ),
    (
        "unlisted label",
        lambda root: parquet(
            root / "test.parquet", rows(0, -1), huggingface='{"info": {"features": {"label": {"names": ["cat", "dog"]}}}}'
        ),
        "label -1 is not one of 2 named classes",
    ),
    (
        "labels of one split",
        lambda root: (parquet(root / "test.parquet", rows(0, 1)), parquet(root / "train.parquet", rows(0, 2)))[0].parent,
        "differ ('1', '2')",
    ),
    (
        "a stray file",
        lambda root: (parquet(root / "test.parquet", rows(0, 1)), parquet(root / "more.parquet", rows(0, 1)))[0].parent,
        "more.parquet has none of train, test and validation",
    ),
    (
        "channels of one split",
        lambda root: (
            (
                parquet(root / "test.parquet", rows(0, 1)),
                parquet(root / "train.parquet", [(png(picture(1, channels=1)), label) for label in (0, 1)]),
            )[0].parent
        ),
        "training images have 1 channels, test images 3",
    ),
]


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("make", "said"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_wrong_file_is_reported_in_one_line(make: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    assert said in refused(make(tmp_path))


def test_names_that_are_not_here_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchvision")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("cifar10", "cifar100"):
        message = refused(name)
        assert f"{name} in {tmp_path}/datasets is missing or damaged; run again with --download" in message
    assert "get it from https://" in refused("cinic10")


def test_files_of_cifar_that_are_not_the_original_are_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batches are pickles, which torchvision opens only if their MD5 is the published one."""
    pytest.importorskip("torchvision")
    import pickle

    from tests.profilers.hostile import Payload

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder, ran = tmp_path / "datasets" / "cifar-10-batches-py", tmp_path / "ran"
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(pickle.dumps(Payload(ran)))
    assert "is missing or damaged" in refused("cifar10")
    assert not ran.exists()
    pickle.loads((folder / "test_batch").read_bytes())  # the twin: opened, it does run
    assert ran.exists()


def test_a_split_that_is_missing_or_unknown_is_reported(tmp_path: Path) -> None:
    root = tree(tmp_path, splits=("train", "test"))
    assert "has no valid split (it has test, train)" in refused(root, split="valid")
    with pytest.raises(ValueError, match="split 'eval': choose train, valid, test"):
        load_dataset("digits", split="eval")
    with pytest.raises(ValueError, match="limit 0: at least 1"):
        load_dataset("digits", limit=0)


def test_what_is_loaded_belongs_to_the_caller() -> None:
    first: LabelledImages = load_dataset("digits")
    first.images[:] = 0
    assert load_dataset("digits").images.max() == 255
