"""The paper's networks for CIFAR-10: thin, and of almost any depth."""

import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_positive
from resnet_lib.blocks import BasicBlock, conv3x3
from resnet_lib.nets.initialisation import he_init
from resnet_lib.nets.resnet import make_stage


class CifarResNet(nn.Module):
    """Residual network for 32 × 32 images (He et al. 2015, section 4.2), of depth 6n + 2.

    A 3×3 stem, three stages of n basic blocks with 16, 32 and 64 channels, the mean over
    positions, a linear classifier. The paper's depths are 20, 32, 44, 56, 110 and 1202.

    Shapes: (N, in_channels, H, W) to (N, num_classes), for any H and W from 1 up
    (in train mode batch norm asks for more than one value per channel: N > 1 up to 4 × 4).

    Args:
        depth: layers with weights: the stem, two per block and the classifier. 8, 14, 20, ...
        num_classes: outputs of the classifier.
        in_channels: channels of the input.
        shortcut: option "A" (the paper's choice here), "B", "C" or "A-both", see
            `blocks.make_shortcut`.
        residual: False gives the plain twin: the same network without the additions.

    Raises:
        TypeError, ValueError: a number is not a positive whole number, depth is not 6n + 2, or
            the shortcut option is unknown.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        shortcut: str = "A",
        residual: bool = True,
    ):
        super().__init__()
        check_positive(depth=depth, num_classes=num_classes, in_channels=in_channels)
        blocks, rest = divmod(depth - 2, 6)
        if blocks < 1 or rest:
            raise ValueError(
                f"depth must be 6n + 2 with n at least 1 (8, 14, 20, ...), got {depth}"
            )
        options = {"shortcut": shortcut, "residual": residual}

        self.conv1 = conv3x3(in_channels, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = make_stage(BasicBlock, 16, 16, blocks, stride=1, **options)
        self.layer2 = make_stage(BasicBlock, 16, 32, blocks, stride=2, **options)
        self.layer3 = make_stage(BasicBlock, 32, 64, blocks, stride=2, **options)
        self.fc = nn.Linear(64, num_classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)  # (N, 16, H, W)
        x = self.layer1(x)  # (N, 16, H, W)
        x = self.layer2(x)  # (N, 32, H/2, W/2)
        x = self.layer3(x)  # (N, 64, H/4, W/4)
        return self.fc(x.mean(dim=(2, 3)))  # (N, num_classes)
