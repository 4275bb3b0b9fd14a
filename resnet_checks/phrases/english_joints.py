"""The English sentences for faults in how a block's layers are joined, and how it would train.

A key with ≠ holds what an equation should be and what was found.
"""

from resnet_checks.phrases.english_layers import Entries

_DETACH = "Look for detach, .data or no_grad."
_IN_PLACE = "Look for inplace=True, or a function that ends in _, on x itself."
_MULTIPLIED = "F(x) and {s} are multiplied, not added."
_BOTH_RELUS = "A ReLU stands on both sides of the addition. {order}"

JOINTS: Entries = {
    "overwritten": (
        "The block overwrites its input x, which the layer before it still holds.",
        "Look for += on x, or an in-place function on x: write out = out + x.",
    ),
    "overwritten by relu": (
        "An in-place ReLU overwrites x before x is added: the shortcut carries ReLU(x), not x.",
        _IN_PLACE,
    ),
    "overwritten early": (
        "Something in place overwrites x before x is added: the shortcut carries the changed "
        "values, not x.",
        _IN_PLACE,
    ),
    "pre-activation": "A batch norm stands before the first convolution. That is the later "
    "pre-activation block; the {block} begins with the convolution.",
    "first reads activation": "{activation} is applied to x before the first convolution, which "
    "should read x itself.",
    "first reads other": "The first convolution does not read the block's input x as it came.",
    "projection reads activation": "The projection does not read the block's input x as it came: "
    "{activation} is applied to it.",
    "projection reads other": "The projection does not read the block's input x as it came.",
    "other reads": "The {name} does not read {equation}.",
    "value relu(norm_x)": "ReLU of the first batch norm",
    "value mean(norm_second)": "the mean over all positions of what the branch puts out",
    "value relu(squeeze)": "ReLU of the first linear layer",
    "norms": "There is one {kind} too many.",
    "norms out": "There is one {kind} too many, after the addition.",
    "norms shortcut": "There is one {kind} too many, on the shortcut.",
    "norms alone": "There is one norm too many. A projection has one, behind it.",
    "middle": "in the middle",
    "between": "between the {before} and the {name}",
    "middle is norm": (
        "The ReLU {place} is missing: the {name} reads the batch norm's output directly.",
        "Between two convolutions stand a batch norm and a ReLU.",
    ),
    "middle is activation": "The activation {place} is {activation}. It should be ReLU.",
    "middle and x": "x is added in the middle too, before the {name}.",
    "middle is other": (
        "The {name} does not read ReLU of the {before} batch norm.",
        "Nothing else stands between two convolutions.",
    ),
    "end": "Look at the end of forward. It should compute {right}.",
    "end with gate": "Look at the gate. It is the sigmoid of its second linear layer, and "
    "multiplies the branch; then comes {right}.",
    "gate without sigmoid": "The gate has no sigmoid: it is not between 0 and 1.",
    "gate is activation": "The gate ends with {activation}. It should be sigmoid.",
    "gate unused": "The gate is never multiplied in: the output is that of the block without it.",
    "gate added": "The gate is added to the branch. It should multiply it.",
    "gate alone": "The gate stands in place of the branch. It should multiply it.",
    "gate on shortcut": "The gate multiplies the shortcut. It should multiply the branch.",
    "gate on sum": "The gate multiplies the sum. It should multiply the branch alone.",
    "order": "It belongs before it: {right}.",
    "relu(F + s) ≠ F + s": "The ReLU after the addition is missing: the output is F(x) + {s}.",
    "relu(F + s) ≠ relu(F) + s": "The addition comes after the last ReLU. {order}",
    "relu(F + s) ≠ relu(relu(F) + s)": "A ReLU stands on the branch before the addition: F(x) "
    "could only add, never subtract. The branch ends with its batch norm.",
    "relu(F + s) ≠ relu(F + relu(s))": "A ReLU stands on the shortcut. The shortcut has none.",
    "relu(F + s) ≠ F + relu(s)": "A ReLU stands on the shortcut, and none after the addition.",
    "relu(F + s) ≠ relu(F) + relu(s)": _BOTH_RELUS,
    "relu(F + s) ≠ relu(relu(F) + relu(s))": _BOTH_RELUS,
    "relu(F + s) ≠ F * s": _MULTIPLIED,
    "relu(F + s) ≠ relu(F * s)": _MULTIPLIED,
    "relu(F + s) ≠ activation": "The last activation is {activation}. It should be ReLU.",
    "F + s ≠ relu(F + s)": "A ReLU stands after the addition. In a {block} nothing does.",
    "F + s ≠ relu(F) + s": "A ReLU stands on the branch before the addition: F(x) could only add, "
    "never subtract.",
    "F + s ≠ F + relu(s)": "A ReLU stands on the shortcut. The shortcut has none.",
    "F + s ≠ relu(F) + relu(s)": "A ReLU stands on both sides of the addition. There is none.",
    "F + s ≠ F * s": _MULTIPLIED,
    "F + s ≠ activation": "{activation} stands after the addition. In a {block} nothing does.",
    "other start": "What is added is the output of {name}, not x.",
    "output": "The output differs from {right}: {gap}.",
    "gap": "the largest difference is {gap}",
    "gap at": "the largest difference is {gap} at index {place}",
    "sum 0 0": "The result is zero everywhere.",
    "sum F alone": "The addition is missing: the result is {total} alone.",
    "sum 2 0": "x has no part in the result, which is {total}: F(x) is added to itself.",
    "sum s alone": "The branch has no part in the result, which is {total} alone.",
    "sum sign": "A sign is wrong: the result is {total}.",
    "sum 1 2": "The shortcut is counted twice: the result is {total}.",
    "sum 2 1": "The branch is counted twice: the result is {total}.",
    "sum weighted": "The sum is weighted: the result is {total}.",
    "running in train": (
        "In train mode the {norm} uses running statistics.",
        "Look for eval(), or training=False, inside the block.",
    ),
    "batch in eval": (
        "In eval mode the {norm} still uses the batch's own statistics.",
        "Look for track_running_stats=False, or F.batch_norm with training=True.",
    ),
    "statistics lost": (
        "The running statistics of the {norm} are copies: what training puts there is lost.",
        "Hand over the module's own buffers, without clone().",
    ),
    "statistics swapped": "The {norm} is given its running mean and its running variance in the "
    "wrong order.",
    "statistics still": (
        "The running statistics of the {norm} do not move in train mode.",
        "Look for momentum=0.",
    ),
    "statistics in eval": (
        "The running statistics of the {norm} change in eval mode.",
        "Look for code in forward that writes to them.",
    ),
    "statistics wrong": "The running statistics of the {norm} do not move towards the batch's.",
    "no gradient": ("No gradient passes through the {name}.", _DETACH),
    "no gradient branch": (
        "No gradient passes through the branch, so it would not train.",
        _DETACH,
    ),
    "no gradient at x": ("No gradient reaches x at all.", _DETACH),
    "gradient": "The gradient at x is not that of the formula: {gap}.",
}
