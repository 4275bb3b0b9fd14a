"""Distillation: the loss against its formula and its limits, and batches that a teacher labels."""

import pytest
import torch
from torch import nn

from resnet_lib import compression, data, nets, train

CPU = train.World(torch.device("cpu"))


def test_the_loss_is_hintons_formula():
    torch.manual_seed(0)
    scores, teacher = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    for temperature in (0.5, 1, 3.0):
        q, p = (scores / temperature).softmax(1), (teacher / temperature).softmax(1)
        expected = temperature**2 * (p * (p / q).log()).sum(1).mean()
        found = compression.distillation_loss(scores, teacher, temperature)
        torch.testing.assert_close(found, expected)
    assert compression.distillation_loss(teacher, teacher).abs() < 1e-12
    assert torch.equal(
        compression.distillation_loss(scores, teacher),
        compression.distillation_loss(scores, teacher, 4.0),
    )


def test_a_high_temperature_matches_the_scores_themselves():
    # Hinton et al. 2015, equation 4: the gradient goes to (score − teacher) / K, both less their
    # mean.
    torch.manual_seed(0)
    scores = torch.randn(1, 6, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(1, 6, dtype=torch.float64)
    compression.distillation_loss(scores, teacher, 1e4).backward()
    centred = [x - x.mean() for x in (scores.detach(), teacher)]
    torch.testing.assert_close(scores.grad, (centred[0] - centred[1]) / 6, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_a_temperature_out_of_range_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature must be"):
        compression.distillation_loss(torch.zeros(1, 2), torch.zeros(1, 2), temperature)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"teacher must have the scores' shape \(1, 2\), got"):
        compression.distillation_loss(torch.zeros(1, 2), torch.zeros(1, 3))


def toy(seed: int = 0) -> data.Batches:
    torch.manual_seed(0)
    images, labels = torch.randn(12, 1, 8, 8), torch.arange(12) % 10
    return data.Batches(images, labels, 4, shuffle=True, transform=data.RandomCrop(1), seed=seed)


def test_the_teacher_sees_what_the_student_sees():
    teacher = nets.CifarResNet(8, in_channels=1)
    teacher.bn1.eval()
    taught = compression.Taught(toy(), teacher)
    assert len(taught) == 3
    orders = []
    for epoch in (0, 1):
        found = []
        for batches in (taught, toy()):
            batches.set_epoch(epoch)
            torch.manual_seed(epoch)  # the shifts
            found.append(list(batches))
        for (images, scores), (same, _) in zip(*found, strict=True):
            assert torch.equal(images, same)
            assert not scores.requires_grad
            assert scores.shape == (4, 10)
        orders.append(images)
    assert not torch.equal(*orders)
    assert teacher.training
    assert not teacher.bn1.training
    before = teacher.bn1.running_mean.clone(), teacher.layer1[0].bn1.running_mean.clone()
    images, scores = next(iter(taught))
    assert torch.equal(teacher.eval()(images), scores)
    assert torch.equal(before[0], teacher.bn1.running_mean)
    assert torch.equal(before[1], teacher.layer1[0].bn1.running_mean)


def test_a_student_comes_to_agree_with_its_teacher():
    torch.manual_seed(1)
    teacher, student = (nets.CifarResNet(8, in_channels=1) for _ in range(2))
    digits = data.digits()
    images, labels = digits.train_images[:64], digits.train_labels[:64]
    batches = data.Batches(images, labels, 32, transform=digits.normalize)
    taught = compression.Taught(batches, teacher)
    config = train.TrainConfig(epochs=15, learning_rate=0.02, schedule="constant")
    loss = compression.distillation_loss
    history = train.fit(student, taught, config=config, loss=loss, world=CPU, progress=False)
    first, last = history["train_loss"][0], history["train_loss"][-1]
    assert last < first / 3


def test_a_taught_run_goes_on_exactly(tmp_path):
    torch.manual_seed(2)
    teacher = nets.CifarResNet(8, in_channels=1)
    ends = []
    for cut in (False, True):
        torch.manual_seed(3)
        student = nets.CifarResNet(8, in_channels=1)
        how = {"config": train.TrainConfig(epochs=2, learning_rate=0.01), "world": CPU}
        how |= {"loss": compression.distillation_loss, "progress": False}
        if cut:

            def stop(row):
                raise InterruptedError

            kept = train.Checkpoints(tmp_path)
            with pytest.raises(InterruptedError):
                train.fit(
                    student, compression.Taught(toy(), teacher), checkpoints=kept,
                    on_epoch=stop, **how,
                )  # fmt: skip
            student = nets.CifarResNet(8, in_channels=1)
            how["checkpoints"] = kept
        train.fit(student, compression.Taught(toy(), teacher), **how)
        ends.append(student.state_dict())
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_a_teacher_without_batch_norm_serves_too():
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    _, scores = next(iter(compression.Taught(toy(), teacher)))
    assert scores.shape == (4, 10)


def test_a_teacher_without_parameters_and_a_loader_of_torch_serve_too():
    class Constant(nn.Module):
        def forward(self, x):
            return x.new_ones(len(x), 10)

    told = []

    class Sampler(torch.utils.data.SequentialSampler):
        def set_epoch(self, epoch):
            told.append(epoch)

    images = torch.utils.data.TensorDataset(torch.randn(4, 1, 8, 8), torch.arange(4))
    loader = torch.utils.data.DataLoader(images, 2, sampler=Sampler(images))
    taught = compression.Taught(loader, Constant())
    taught.set_epoch(3)
    assert told == [3]
    assert [scores.shape for _, scores in taught] == [(2, 10), (2, 10)]
    compression.Taught([(torch.zeros(1, 1, 8, 8), None)], Constant()).set_epoch(0)
