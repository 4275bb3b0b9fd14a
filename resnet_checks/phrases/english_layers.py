"""The English sentences for faults in a block's layers and on its shortcut."""

Entries = dict[str, str | tuple[str, str]]

_DETACH = "Look for detach, .data or no_grad."
_NORM_FIRST = "The order is batch norm, ReLU, convolution."
_SEEN = "Only nn.BatchNorm2d and F.batch_norm are seen."
_SHRINKS = (
    "The projection has stride {found}, though stride {stride} was asked for: {kind} pooling "
    "shrinks x in its place."
)

LAYERS: Entries = {
    "no convolution": (
        "No convolution was seen in the forward pass. The branch has {right}.",
        "Only nn.Conv2d and F.conv2d are seen.",
    ),
    "number 1": "The branch has only one convolution. In a {block} it has {right}.",
    "number": "The branch has {found} convolutions. In a {block} it has {right}.",
    "number with gate": "The branch has {found} layers that mix channels, convolutions and linear "
    "ones. In a {block} it has {right}: two convolutions, and the gate's two linear layers.",
    "gate of x": "The gate is computed from x. It should be computed from what the branch puts "
    "out.",
    "unread": (
        "The {name} convolution does not read what the {before} one puts out.",
        "Look at the variable that the {name} convolution is called on.",
    ),
    "shared weight": (
        "One convolution is used twice: both share their weights.",
        "Create two convolutions, under two names.",
    ),
    "projection in branch": "The projection reads a value of the branch. It should read x.",
    "branch on projection": (
        "The branch reads what the projection puts out. Both start at the block's input x.",
        "Keep the projected x in a variable of its own.",
    ),
    "kernel": "The {name} has a {height}×{width} kernel. It should be {size}×{size}.",
    "kernels": "The kernels are {found}. In a {block} they are {right}.",
    "dilated": "The {name} is dilated. It should have dilation 1.",
    "padding": "The {name} has padding {found}. A {size}×{size} kernel needs padding {fits} to "
    "keep height and width.",
    "uneven stride": "The {name} has stride {found}. Height and width should shrink alike.",
    "padding mode": (
        "The {name} pads with other values than zeros.",
        "Look for padding_mode='{mode}'.",
    ),
    "groups": "The {name} is split into groups. It should have groups=1.",
    "other groups": "The {name} has groups={found}. It should have groups={right}.",
    "width": "The {name} puts out {found} channels, not {right}.",
    "no width": "The {name} puts out no channels where the block has {channels}.",
    "width as output": "The {name} puts out {found} channels, not {right}. The middle of a {block} "
    "is as wide as its output.",
    "width of quarter": (
        "The {name} puts out {found} channels, not {right}. The middle of a {block} is a quarter "
        "as wide as its output.",
        "Here out_channels is what comes out of the block. torchvision's class is called with the "
        "width of the middle.",
    ),
    "both strided": (
        "Both convolutions have stride {stride}. Only the first should have it.",
        "The second convolution keeps height and width: stride 1.",
    ),
    "several strided": (
        "The {names} convolution have stride {stride} each. One of them should have it.",
        "The stride belongs on {home}. The others keep height and width: stride 1.",
    ),
    "wrong stride home": "The stride stands on the {name}. It belongs on {home}.",
    "no stride": (
        "The {name} has stride 1, though stride {stride} was asked for.",
        "Pass `stride` on to the {name}.",
    ),
    "other stride": "The {name} has stride {found}. It should have stride {right}.",
    "bias": (
        "The {name} has a bias. The batch norm after it takes the bias out again.",
        "Create the convolution with bias=False.",
    ),
    "bias alone": ("The {name} has a bias.", "Create the convolution with bias=False."),
    "affine": (
        "The batch norm after the {name} has no scale and shift to learn.",
        "Look for affine=False.",
    ),
    "affine of x": (
        "The batch norm before the first convolution has no scale and shift to learn.",
        "Look for affine=False.",
    ),
    "other norm": "{kind} follows the {name}. It should be batch norm.",
    "norm behind relu": "The batch norm after the {name} stands behind the ReLU. {order}",
    "norm before": "The batch norm stands before the {name}. {order}",
    "convolution first": "The order is convolution, batch norm, ReLU.",
    "norm first": _NORM_FIRST,
    "norm of sum": "The addition comes before the batch norm of the {name}. It belongs after it: "
    "the batch norm is part of F(x).",
    "no norm": (
        "There is no batch norm after the {name}.",
        f"Each convolution has one directly behind it. {_SEEN}",
    ),
    "no norm of x": ("There is no batch norm before the first convolution.", _SEEN),
    "norm of x behind activation": "{activation} stands before the first batch norm. "
    f"{_NORM_FIRST}",
    "norm of x reads other": "The batch norm before the first convolution does not read the "
    "block's input x as it came.",
    "shared norm": (
        "The {earlier} and the {name} share one batch norm. Each needs its own: their means and "
        "variances differ.",
        "Create one batch norm per convolution.",
    ),
    "unregistered": "The parameters of the {layer} are not registered in the module: they would "
    "not train, and not move to a GPU.",
    "hidden": "A Python list, tuple or dict hides layers. Assign them to self directly, or use "
    "nn.Sequential or nn.ModuleList.",
    "not assigned": "Assign the layer to an attribute of self in the constructor. A weight of your "
    "own is an nn.Parameter.",
    "computed weight": (
        "The weight of the {layer} is computed anew in each run, as weight_norm does.",
        "Here each layer's weight is a parameter itself.",
    ),
    "detached weight": (
        "The weight of the {layer} is cut off from its parameter: no gradient reaches it, and it "
        "would not train.",
        _DETACH,
    ),
    "extra parameters": (
        "The {whole} has {total} parameters. {number} of them belong to no convolution and no "
        "batch norm that runs: {names}.",
        "Is a layer created that the forward pass does not use?",
    ),
}

SHORTCUT: Entries = {
    "option C": (
        "The shortcut holds a convolution although the shapes agree. A projection everywhere is "
        "option C: legal, but in this block the shortcut is x itself.",
        "Build the projection only where the stride or the channels change.",
    ),
    "projections": "The shortcut holds {number} convolutions. A projection has one.",
    "projection average pooled": (
        _SHRINKS.replace("{kind}", "average"),
        "The later ResNet-D does so. Here the 1×1 convolution has the stride.",
    ),
    "projection max pooled": (
        _SHRINKS.replace("{kind}", "max"),
        "Here the 1×1 convolution has the stride.",
    ),
    "projection stride": (
        "The projection has stride {found}, though stride {stride} was asked for. The shortcut "
        "must shrink x as the branch does.",
        "Pass `stride` on to the 1×1 convolution of the shortcut too.",
    ),
    "option A": "The shortcut takes every second value and pads with zeros. That is option A: "
    "legal, but this block projects with a 1×1 convolution (option B).",
    "no projection": (
        "There is no projection on the shortcut. x has {in_channels} channels of {height}×{width} "
        "and F(x) has {out_channels} of {high}×{wide}.",
        "Bring x to the shape of F(x) with a 1×1 convolution that has the stride, and a batch "
        "norm.",
    ),
    "left out": "With projection=False this check leaves the case out.",
}
