"""A training with worker processes started by spawn, for test_train_stopping.py to interrupt.

    python spawned.py FOLDER

Prints "training" after its second step, and in the end what became of it.
"""

import sys
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from toy_training import cnn, task

from resnet_lib.train import Checkpoints, TrainConfig, World, fit


class Slow(nn.Sequential):
    steps = 0

    def forward(self, x):
        self.steps += 1
        if self.steps == 3:
            print("training", flush=True)
        time.sleep(0.05)
        return super().forward(x)


if __name__ == "__main__":
    options = {"num_workers": 2, "multiprocessing_context": "spawn"}
    loader = DataLoader(TensorDataset(*task(4000)), 2, **options)
    run = {"checkpoints": Checkpoints(sys.argv[1]), "world": World(torch.device("cpu"))}
    try:
        fit(Slow(*cnn()), loader, config=TrainConfig(epochs=1), progress=False, **run)
    except KeyboardInterrupt as error:
        print(error, flush=True)
