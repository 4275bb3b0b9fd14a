"""What a folder can hold: parts, nesting, links, names; each case taken right, or refused."""

import re
import zlib

import numpy as np
import pytest
import torch
from notebooks import ROOT
from PIL import Image

from resnet_lib.data import folder_layout, image_folder, pictures


def plant(root, *folders, count=2):
    """Pictures in each folder, no two alike."""
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            seed = zlib.crc32(f"{folder} {number}".encode())
            noise = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / folder / f"{number}.png")
    return root


def refused(message, root, **options):
    with pytest.raises(ValueError, match=re.escape(message)):
        image_folder(root, 8, **options)


# Parts


@pytest.mark.parametrize(
    "train", ["train", "Train", "training", "TRAINING", "train_set", "Train-Data"]
)
@pytest.mark.parametrize(
    "test", ["val", "valid", "validation", "dev", "test", "Testing", "test_set", "Val images"]
)
def test_two_parts_are_kept(tmp_path, train, test):
    plant(tmp_path, f"{train}/cat", f"{train}/dog", count=3)
    plant(tmp_path, f"{test}/cat", f"{test}/dog", count=1)
    data = image_folder(tmp_path, 8, test_fraction=0.5)
    assert data.classes == ("cat", "dog")
    assert data.train_labels.tolist() == [0] * 3 + [1] * 3
    assert data.test_labels.tolist() == [0, 1]
    assert data.validation_images is data.validation_labels is None


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "dev", "Testing")])
def test_three_parts_are_kept_apart(tmp_path, names):
    for count, name in zip((3, 2, 1), names, strict=True):
        plant(tmp_path, f"{name}/cat", f"{name}/dog", count=count)
    data = image_folder(tmp_path, 9)
    every = data.train_labels, data.validation_labels, data.test_labels
    assert [labels.tolist() for labels in every] == [[0] * n + [1] * n for n in (3, 2, 1)]
    images = data.train_images, data.validation_images, data.test_images
    for some, name in zip(images, names, strict=True):
        files = sorted((tmp_path / name).rglob("*.png"))
        expected = [np.asarray(Image.open(file)).transpose(2, 0, 1) for file in files]
        np.testing.assert_array_equal(some, expected)


def test_part_named_twice(tmp_path):
    plant(tmp_path, *(f"{part}/{name}" for part in ("train", "val", "valid") for name in "ab"))
    refused("must hold one folder of the validation part, got val, valid", tmp_path)


def test_parts_without_a_training_part(tmp_path):
    plant(tmp_path, *(f"{part}/{name}" for part in ("val", "test") for name in "ab"))
    refused("holds test, which looks like a part of a set, beside val: a set in parts", tmp_path)


def test_training_part_beside_what_is_no_part(tmp_path):
    plant(tmp_path, "train/cat", "train/dog", "unlabelled")
    refused("holds train, which looks like a part of a set, beside unlabelled", tmp_path)


def test_only_a_training_part_is_split(tmp_path):
    plant(tmp_path, "train/cat", "train/dog")
    data = image_folder(tmp_path, 8)
    assert data.classes == ("cat", "dog")
    assert len(data.train_labels) == len(data.test_labels) == 2


def test_parts_inside_of_classes(tmp_path):
    plant(tmp_path, *(f"{name}/{part}" for part in ("train", "test") for name in ("cat", "dog")))
    refused("cat holds parts of a set (test, train): parts stand above the classes", tmp_path)


def test_classes_may_be_called_as_parts_are(tmp_path):
    plant(tmp_path, "train", "bus", "test tube")
    assert image_folder(tmp_path, 8).classes == ("bus", "test tube", "train")


def test_folder_beside_the_parts(tmp_path):
    plant(tmp_path, "train/cat", "train/dog", "test/cat", "test/dog", "extra")
    refused("extra: folder beside train and test", tmp_path)
    with pytest.warns(UserWarning, match="extra: folder beside"):
        assert image_folder(tmp_path, 8, skip_unreadable=True).skipped == ("extra",)


@pytest.mark.parametrize("part", ["test", "val"])
def test_class_that_a_part_lacks(tmp_path, part):
    plant(tmp_path, *(f"{name}/{c}" for name in ("train", "test", "val") for c in ("cat", "dog")))
    plant(tmp_path, "train/eel")
    lacking = {"test", "val"} - {part}
    plant(tmp_path, *(f"{name}/eel" for name in lacking))
    message = f"train and {part} must have the same classes, got only in train: eel"
    refused(message, tmp_path)
    (tmp_path / part / "eel").mkdir()
    refused(f"each class folder of {tmp_path}/{part} must hold pictures, got none in eel", tmp_path)
    (tmp_path / part / "eel" / "1.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="1 of the files"):
        refused(
            f"each class of the {'test' if part == 'test' else 'validation'} part of {tmp_path} "
            "must have at least 1 readable picture, got 0 in eel",
            tmp_path,
            skip_unreadable=True,
        )


# Nesting


@pytest.mark.parametrize("wrapper", ["pets", "pets/pets", "data/pets/images"])
def test_folders_around_the_set_are_passed(tmp_path, wrapper):
    plant(tmp_path, f"{wrapper}/cat", f"{wrapper}/dog")
    (tmp_path / "__MACOSX" / "pets").mkdir(parents=True)
    (tmp_path / "README.md").write_text("Pets")
    assert image_folder(tmp_path, 8).classes == ("cat", "dog")


def test_folders_around_the_parts_are_passed(tmp_path):
    plant(
        tmp_path, *(f"a/{p}/{p}/{c}" for p in ("training_set", "test_set") for c in ("cat", "dog"))
    )
    data = image_folder(tmp_path, 8)
    assert (data.classes, len(data.train_labels), len(data.test_labels)) == (("cat", "dog"), 4, 4)


def test_pictures_beside_a_single_folder_are_not_passed_over(tmp_path):
    plant(tmp_path, "pets/cat", "pets/dog", ".")
    refused(
        f"{tmp_path} must hold a folder for each of at least 2 classes, got only pets", tmp_path
    )


def test_folders_inside_of_a_class_belong_to_it(tmp_path):
    plant(tmp_path, "cat/old/grey", "cat/young", "dog")
    data = image_folder(tmp_path, 8)
    assert data.classes == ("cat", "dog")
    assert len(data.train_labels) + len(data.test_labels) == 6


@pytest.mark.parametrize("folder", ["cat", "pets/cat"])
def test_one_class_is_none(tmp_path, folder):
    plant(tmp_path, folder)
    refused("must hold a folder for each of at least 2 classes, got only cat", tmp_path)


# Links


def test_links_to_files_and_folders_are_followed(tmp_path):
    plant(tmp_path / "store", "a", "b", count=3)
    root = tmp_path / "pets"
    (root / "dog").mkdir(parents=True)
    (root / "cat").symlink_to(tmp_path / "store" / "a")
    for number in range(3):
        (root / "dog" / f"{number}").symlink_to(tmp_path / "store" / "b" / f"{number}.png")
    data = image_folder(root, 8)
    assert data.classes == ("cat", "dog")
    assert len(data.train_labels) + len(data.test_labels) == 6


@pytest.mark.parametrize("target", [".", "..", "../..", "../cat/deep", "deep/loop"])
def test_links_in_circles_are_named(tmp_path, target):
    root = plant(tmp_path / "pets", "cat/deep", "dog")
    (root / "cat" / "loop").symlink_to(target)
    (root / "cat" / "deep" / "loop").symlink_to("../loop")
    refused("cat/", root)
    with pytest.warns(UserWarning, match="link"):
        data = image_folder(root, 8, skip_unreadable=True)
    assert set(data.skipped) <= {"cat/loop", "cat/deep/loop", "cat/loop/loop"}
    assert len(data.train_labels) + len(data.test_labels) <= 6


def test_wrapper_that_links_to_itself_ends(tmp_path):
    (tmp_path / "pets").symlink_to(".")
    refused("must hold a folder for each of at least 2 classes, got only pets", tmp_path)


def test_broken_links_are_named(tmp_path):
    plant(tmp_path, "cat", "dog")
    (tmp_path / "cat" / "3.png").symlink_to("nowhere.png")
    (tmp_path / "cat" / "4.png").symlink_to("4.png")
    refused("cat/3.png: broken link\n  cat/4.png: broken link", tmp_path)


# Names


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["1", "10", "2"], ("1", "2", "10")),
        (["08", "9", "10"], ("08", "9", "10")),
        (["n2", "n10"], ("n10", "n2")),
        (["1", "10", "2", "x"], ("1", "10", "2", "x")),
        (["-1", "1"], ("-1", "1")),
    ],
)
def test_numbers_are_ordered_by_value(tmp_path, names, expected):
    plant(tmp_path, *names)
    assert image_folder(tmp_path, 8).classes == expected


@pytest.mark.parametrize(("one", "other"), [("Cat", "cat"), ("Müsli", "mu\u0308sli")])
def test_names_that_differ_in_case_only(tmp_path, one, other):
    plant(tmp_path, one, "dog")
    plant(tmp_path, other)
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system takes both for one name")
    refused(f"must differ in more than their case, got {', '.join(sorted((one, other)))}", tmp_path)


def test_the_table_of_the_documentation_has_all_names():
    page = (ROOT / "book" / "api" / "data.md").read_text(encoding="utf-8")
    table = page.partition("## What a folder can hold")[2].partition("## Pictures that")[0]
    missing = [w for words in folder_layout.WORDS.values() for w in words if f"`{w}`" not in table]
    assert not missing, f"book/api/data.md does not name {missing}"
    formats = page.partition("## What a picture file")[2].partition("## What a folder")[0]
    other_words = {"JPEG2000": "JPEG 2000", "MPO": "JPEG"}
    names = (other_words.get(name, name).lower() for name in pictures.FORMATS)
    assert not [name for name in names if name not in formats.lower()]


# What is seen of it


def test_summary_shows_what_was_taken_for_a_class(tmp_path):
    for count, part in zip((3, 2, 1), ("train", "val", "test"), strict=True):
        plant(tmp_path, f"{part}/cat", f"{part}/crocodile", count=count)
    (tmp_path / "train" / "cat" / "x.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="1 of the files"):
        data = image_folder(tmp_path, 8, skip_unreadable=True)
    assert repr(data).splitlines() == [
        "ImageData: 6 training, 4 validation, 2 test images of 3 × 8 × 8 in 2 classes",
        "  1 file left out",
        "  class      training  validation  test",
        "  cat               3           2     1",
        "  crocodile         3           2     1",
    ]


def test_summary_of_many_classes_is_cut(tmp_path):
    plant(tmp_path, *(f"c{number:02}" for number in range(30)))
    lines = repr(image_folder(tmp_path, 8)).splitlines()
    assert len(lines) == 22
    assert lines[-2].startswith("  c18 ")
    assert lines[-1] == "  … and 11 more"


def test_normalize_is_by_the_training_part(tmp_path):
    data = image_folder(plant(tmp_path, "a", "b", count=5), 8)
    pixels = data.normalize(data.train_images)
    assert torch.allclose(pixels.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(pixels.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)
