"""A small network taught by a larger one."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_module, check_number


def distillation_loss(scores: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """How far a student's probabilities are from its teacher's (Hinton et al. 2015, section 2).

    The Kullback-Leibler divergence KL(p || q) = Σ p log(p/q) with p = softmax(teacher / T) and
    q = softmax(scores / T), mean over the batch, times T², which keeps the gradient's size about
    the same for any T.

    Shapes: scores and teacher (N, K), without softmax; the result has no dimensions.

    Args:
        scores: the student's scores.
        teacher: the teacher's.
        temperature: T, above 0; the higher, the more the classes beside the first one count.

    Raises:
        TypeError, ValueError: `temperature` is no number above 0, or the shapes differ.
    """
    check_number("temperature", temperature, 0, above=True)
    if scores.shape != teacher.shape:
        raise ValueError(
            f"teacher must have the scores' shape {tuple(scores.shape)}, got {tuple(teacher.shape)}"
        )
    student = F.log_softmax(scores / temperature, dim=1)
    target = F.log_softmax(teacher / temperature, dim=1)
    kl = F.kl_div(student, target, reduction="batchmean", log_target=True)
    return temperature**2 * kl


class Taught:
    """Batches whose labels are a teacher's scores of the same images, for `train.fit`.

    The teacher sees each image as the student does, shifted and mirrored alike (Beyer et al. 2022).
    `fit(student, Taught(batches, teacher), loss=distillation_loss)` is distillation without labels.

    Args:
        batches: batches of images (N, C, H, W) and labels, with a length: `data.Batches` or a
            DataLoader.
        teacher: gives scores (N, K); it is run in eval mode, and its own mode is put back. An
            `export.OnnxNetwork` serves too.

    Raises:
        TypeError: the teacher is no module.
    """

    def __init__(self, batches, teacher: nn.Module):
        check_module("teacher", teacher)
        self.batches, self.teacher = batches, teacher

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, _ in self.batches:
            yield images, self._scores(images)

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch's number on, from which batches, or their sampler, take their order."""
        for ordered in (self.batches, getattr(self.batches, "sampler", None)):
            if hasattr(ordered, "set_epoch"):
                ordered.set_epoch(epoch)

    @torch.no_grad()
    def _scores(self, images: Tensor) -> Tensor:
        modes = {module: module.training for module in self.teacher.modules()}
        device = next((p.device for p in self.teacher.parameters()), images.device)
        try:
            return self.teacher.eval()(images.to(device)).to(images.device)
        finally:
            for module, mode in modes.items():
                module.training = mode
