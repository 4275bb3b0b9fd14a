"""Every fault that `checks.pipeline` names, planted and found; and what passes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torchvision import transforms

import resnet_checks as checks
from resnet_lib import data, prediction

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def upright(file):
    picture = ImageOps.exif_transpose(Image.open(file)).convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture).convert("RGB")


def fitted(picture, size, how=Image.Resampling.BILINEAR):
    return ImageOps.fit(picture, (size, size), how)


def fractions(picture):
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255  # (3, H, W)


def normal(pixels, card):
    return transforms.Normalize(card.mean, card.std)(pixels)


def image_of(file, card, opened=upright, size=fitted, pixels=fractions, scale=normal):
    """One picture as the network takes it, with one station of its own."""
    return scale(pixels(size(opened(file), card.image[1])), card)


def asked(
    mode=lambda model: model.eval(),
    given=lambda image: image[None],
    scores=lambda model, batch: model(batch),
    answer=lambda scores, card: card.classes[scores.argmax(dim=1).item()],
    **stations,
):
    """A prediction, put together so that one piece can be wrong."""

    def predict(model, file, card):
        mode(model)
        with torch.no_grad():
            return answer(scores(model, given(image_of(file, card, **stations))), card)

    return predict


def loaded(label=lambda name, card: card.classes.index(name), **stations):
    def load(folder, card):
        files = sorted(folder.rglob("*.png"))
        images = torch.stack([image_of(file, card, **stations) for file in files])
        return images, torch.tensor([label(file.parent.name, card) for file in files])

    return load


def scale(function):
    return lambda pixels, card: function(pixels, *map(per_channel, (card.mean, card.std)))


def per_channel(values):
    return torch.tensor(values)[:, None, None]


def mapped(function):
    """The right numbers of other pixels."""
    return lambda pixels, card: normal(function(pixels), card)


def squeezed(picture, size):
    return picture.resize((size, size))


def nearest(picture, size):
    return fitted(picture, size, Image.Resampling.NEAREST)


def left(picture, size):
    side = min(picture.size)
    return picture.crop((0, 0, side, side)).resize((size, size))


def only_cropped(picture, size):
    return transforms.CenterCrop(size)(picture)


def aliased(picture, size):
    square = transforms.CenterCrop(min(picture.size))(picture)
    pixels = F.interpolate(fractions(square)[None], (size, size), mode="bilinear")[0]
    return (255 * pixels).round().byte().permute(1, 2, 0).numpy()


def own(pixels, card):
    mean, std = pixels.mean((1, 2), keepdim=True), pixels.std((1, 2), keepdim=True)
    return (pixels - mean) / std


def reshaped(picture):
    return torch.from_numpy(np.array(picture)).reshape(3, *picture.size) / 255


def grey(picture, size):
    return fitted(picture, size).convert("L").convert("RGB")


def twice(pixels, card):
    return normal(normal(pixels, card), card)


def doubled(model, batch):
    model(batch)
    return model(batch)


def trained(model):
    model.eval()
    with torch.no_grad():
        model.fc.bias += 1


def converted(file):
    return Image.open(file).convert("RGB")


def flat(file):
    return ImageOps.exif_transpose(Image.open(file)).convert("RGB")


def lying(file):
    picture = upright(file)
    return picture.rotate(90) if "turned" in file.name else picture


def places(file):
    opened = Image.open(file)
    if opened.mode != "P":
        return upright(file)
    return Image.fromarray(np.array(opened)[..., None].repeat(3, axis=2))


def named(function):
    return asked(answer=lambda scores, card: function(int(scores.argmax()), card.classes))


FAULTS = {
    "raises": (lambda model, file, card: 1 / 0, "of the network's size, raises ZeroDivisionError"),
    "two arguments": (lambda model, file: "pear", "raises TypeError"),
    "no model": (lambda model, file, card: "pear", "The model that was given is never called"),
    "no normalisation": (asked(scale=lambda p, card: p), "between 0 and 1: the card's mean and"),
    "bytes": (asked(scale=lambda p, card: 255 * p), "neither divided by 255 nor normalised"),
    "bytes normalised": (
        asked(scale=mapped(lambda p: 255 * p)),
        "its bytes are normalised without being divided by 255",
    ),
    "normalised twice": (asked(scale=twice), "it is normalised twice"),
    "divided twice": (asked(scale=mapped(lambda p: p / 255)), "it is divided by 255 twice"),
    "mean only": (asked(scale=scale(lambda p, m, s: p - m)), "nothing is divided by the deviation"),
    "deviation only": (asked(scale=scale(lambda p, m, s: p / s)), "the mean is not taken off"),
    "mean and deviation": (asked(scale=scale(lambda p, m, s: (p - s) / m)), "each other's place"),
    "multiplied": (asked(scale=scale(lambda p, m, s: (p - m) * s)), "by the deviation, not divid"),
    "ImageNet's": (
        asked(scale=lambda p, card: transforms.Normalize(*IMAGENET)(p)),
        "ImageNet's mean and deviation, not the card's",
    ),
    "a half": (asked(scale=lambda p, card: 2 * p - 1), "with 0.5 and 0.5, not with the card's"),
    "its own": (asked(scale=own), "with its own mean and deviation, not with the card's"),
    "other channels' mean": (
        asked(scale=scale(lambda p, m, s: (p - m.flip(0)) / s.flip(0))),
        "in another order of the channels",
    ),
    "blue, green, red": (asked(scale=mapped(lambda p: p.flip(0))), "red and blue are swapped"),
    "swapped, not normalised": (
        asked(scale=lambda p, card: p.flip(0)),
        "are not applied, and red and blue are swapped",
    ),
    "rows and columns": (asked(scale=mapped(lambda p: p.mT)), "rows and columns are swapped"),
    "mirrored": (asked(scale=mapped(lambda p: p.flip(2))), "it is mirrored"),
    "upside down": (asked(scale=mapped(lambda p: p.flip(1))), "it stands upside down"),
    "grey": (asked(size=grey), "its colours are gone"),
    "reshaped": (asked(pixels=reshaped), "are reshaped to (3, H, W), not permuted"),
    "noise": (asked(scale=lambda p, card: p.cos()), "it is not the picture as the card says"),
    "squeezed": (asked(size=squeezed), "wider than high: it is squeezed into a square"),
    "left side": (asked(size=left), "it is cropped at its left side"),
    "cropped alone": (asked(size=only_cropped), "to its middle, and not made smaller before"),
    "nearest": (asked(size=nearest), "it is made smaller by leaving pixels out"),
    "aliased": (asked(size=aliased), "it is made smaller without antialiasing"),
    "not resized": (
        asked(size=lambda picture, size: picture),
        "wider than high the model is given (1, 3, 64, 96), not (1, 3, 16, 16)",
    ),
    "another size": (asked(size=lambda p, size: fitted(p, 32)), "is given (1, 3, 32, 32), not"),
    "channels last": (
        asked(given=lambda image: image.permute(1, 2, 0)[None]),
        "of the network's size the model is given (1, 16, 16, 3), not (1, 3, 16, 16)",
    ),
    "on meta": (asked(given=lambda image: image[None].to("meta")), "raises RuntimeError"),
    "NaN": (asked(scale=lambda p, card: p * torch.nan), "is not the picture as the card says"),
    "exits": (lambda model, file, card: exit(1), "raises SystemExit: 1"),
    "no batch": (asked(given=lambda image: image), "is given (3, 16, 16), not (1, 3, 16, 16)"),
    "double precision": (asked(given=lambda image: image[None].double()), "raises RuntimeError"),
    "train mode": (asked(mode=lambda model: model.train()), "The model is in train mode"),
    "no mode": (asked(mode=lambda model: None), "The model is in train mode"),
    "runs twice": (asked(scores=doubled), "The model runs 2 times for one picture"),
    "trains": (asked(mode=trained), "The model's weights or running statistics change"),
    "colour under alpha": (asked(opened=flat), "with the colour under what is transparent"),
    "no alpha, no orientation": (asked(opened=converted), "the colour under what is transparent"),
    "lies on its side": (asked(opened=lying), "not turned as the file says"),
    "palette": (asked(opened=places), "the numbers of its palette's places"),
    "a number": (named(lambda place, classes: place), "an object of type int, not the name"),
    "nothing": (named(lambda place, classes: None), "It returns None, not the name of a class"),
    "shifted": (named(lambda place, classes: classes[place - 1]), "the classes are shifted"),
    "alphabet": (
        named(lambda place, classes: sorted(classes)[place]),
        "in the order of the alphabet, not in that of card.classes",
    ),
    "lowest": (
        asked(answer=lambda scores, card: card.classes[scores.argmin()]),
        "It returns the class with the lowest score",
    ),
    "always one": (named(lambda place, classes: "pear"), "It returns 'pear' where the highest"),
}

LOADED = {
    "not alike": (
        loaded(scale=lambda p, card: p),
        "Training and use are not alike. A picture of the network's size: in training its numbers "
        "lie between 0 and 1: the card's mean and deviation are not applied; in use it is as the "
        "card says.",
    ),
    "not alike in size": (
        loaded(size=squeezed),
        "wider than high: in training it is squeezed into a square; in use it is as the card says",
    ),
    "one more": (
        loaded(label=lambda name, card: card.classes.index(name) + 1),
        "The labels are shifted: for the first picture it is 2, not 1",
    ),
    "alphabet": (
        loaded(label=lambda name, card: sorted(card.classes).index(name)),
        "The labels follow the order of the alphabet, not that of card.classes",
    ),
    "other labels": (loaded(label=lambda name, card: len(name) % 4), "The labels do not fit"),
    "names": (lambda folder, card: (1, 2, 3), "returned tuple, not images and labels"),
    "lists": (lambda folder, card: ([], []), "returned images list, not (8, 3, 16, 16)"),
    "an array of labels": (
        lambda folder, card: (torch.zeros(8, 3, 16, 16), np.zeros(8, dtype=int)),
        "returned labels that are no (8,) whole numbers",
    ),
    "shares": (
        lambda folder, card: (torch.zeros(8, 3, 16, 16), torch.zeros(8)),
        "returned labels that are no (8,) whole numbers",
    ),
    "black": (
        lambda folder, card: (torch.zeros(8, 3, 16, 16), torch.zeros(8, dtype=torch.long)),
        "returned an image that is no picture as the card says",
    ),
    "raises": (lambda folder: None, "load(folder, card) raises TypeError"),
}


def library(model, file, card):
    return prediction.predict(model, file, card)[0].classes[0]


def of_torchvision(model, file, card):
    size = card.image[1]
    way = [transforms.Resize(size), transforms.CenterCrop(size), transforms.ToTensor()]
    image = transforms.Compose([*way, transforms.Normalize(card.mean, card.std)])(upright(file))
    return card.classes[model.eval()(image[None]).softmax(1).argmax()]


def filtered(name):
    how = Image.Resampling[name]
    return asked(size=lambda picture, size: fitted(picture, size, how))


def library_load(folder, card):
    files = sorted(folder.rglob("*.png"), reverse=True)
    images = torch.stack([data.read_picture(file, card.image[1]) for file in files])
    labels = [card.classes.index(file.parent.name) for file in files]
    return data.Normalize(card.mean, card.std)(images), torch.tensor(labels)


RIGHT = {
    "by hand": (asked(), None),
    "the library's": (library, None),
    "the library's, with its loader": (library, library_load),
    "torchvision's": (of_torchvision, loaded()),
    **{name: (filtered(name), None) for name in ("BOX", "HAMMING", "BICUBIC", "LANCZOS")},
}


@pytest.mark.parametrize(("predict", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_found(predict, words):
    report = checks.pipeline(predict)
    assert not report
    assert words in report.fault, report.fault


@pytest.mark.parametrize(("load", "words"), LOADED.values(), ids=LOADED.keys())
def test_fault_of_the_training_is_found(load, words):
    report = checks.pipeline(library, load)
    assert not report
    assert words in report.fault, report.fault


def test_fault_on_both_sides_is_said_to_be_on_both():
    report = checks.pipeline(asked(size=squeezed), loaded(size=squeezed))
    assert ", in training and in use: it is squeezed into a square" in report.fault
    assert "keep the middle square" in report.hint


@pytest.mark.parametrize(("predict", "load"), RIGHT.values(), ids=RIGHT.keys())
def test_right_pipeline_passes(predict, load):
    report = checks.pipeline(predict, load)
    assert report.passed, report.fault
    assert len(report.passed_checks) == (5 if load else 4)


@pytest.mark.parametrize("wrong", [None, "predict", torch.nn.Linear(2, 2), torch.nn.Linear])
def test_what_is_no_function_is_refused(wrong):
    with pytest.raises(TypeError, match=r"predict must be a function that is called as predict"):
        checks.pipeline(wrong)
    if wrong is not None:
        with pytest.raises(TypeError, match=r"load must be a function that is called as load"):
            checks.pipeline(library, wrong)
