"""The English sentences for faults of a shortcut alone and of the residual formula."""

from resnet_checks.phrases.english_layers import Entries

_IN_PLACE = "Look for inplace=True, or a function that ends in _, on x itself."
_NO_PROJECTION = (
    "x has the shape {found}, and F(x) has {right}.",
    "A projection is a 1×1 convolution with the stride, then a batch norm. It belongs where the "
    "channels or the stride change.",
)

ALONE: Entries = {
    "overwritten shortcut": (
        "The shortcut overwrites its input x, which the branch reads too.",
        _IN_PLACE,
    ),
    "hint identity": "Where nothing is to be done, return nn.Identity().",
    "no projection C": "There is no projection, though option C has one in every block, also where "
    "the shapes agree.",
    "no projection A": "There is no projection. What comes out is option A: every second value of "
    "x, and zeros for the new channels.",
    "no projection x": (
        f"There is no projection: x comes out as it went in. {_NO_PROJECTION[0]}",
        _NO_PROJECTION[1],
    ),
    "no projection seen": (
        f"There is no projection: no convolution was seen. {_NO_PROJECTION[0]}",
        _NO_PROJECTION[1],
    ),
    "activation after": "{activation} follows the batch norm. The shortcut has no activation: the "
    "last ReLU of a block comes after the addition.",
    "x added too": "x itself is added too. The shortcut only projects; the block adds.",
    "scaled": "The shortcut is scaled: it puts out {factor}·{s}.",
    "other than norm": "The shortcut puts out something else than the batch norm does: {gap}.",
    "right x": "Here the shortcut is x itself.",
    "right A": "Option A takes every second value of x and pads with zeros.",
    "holds projection C": "The shortcut holds a convolution. A projection everywhere is option C. "
    "{rest}",
    "holds projection B": "The shortcut holds a convolution. A projection is option B. {rest}",
    "holds norm": "The shortcut holds a {kind}. {rest}",
    "holds parameter": "The shortcut has a parameter, `{name}`. It should have none. {rest}",
    "zeros alone": "The shortcut puts out zeros alone: x is lost.",
    "activation on shortcut": "{activation} is applied on the shortcut. The shortcut has no "
    "activation.",
    "not option A": "What comes out is not option A of x: {gap}.",
    "not x": "What comes out is not x: {gap}.",
    "shape of x": "The output has the shape {found}, not {right}. x comes out as it went in.",
    "no new channels": (
        "The output has the shape {found}, not {right}. The new channels are missing.",
        "Pad them with zeros: F.pad.",
    ),
    "no stride A": (
        "The output has the shape {found}, not {right}. The channels are padded, but the stride is "
        "forgotten.",
        "Take every second value: x[:, :, ::stride, ::stride].",
    ),
    "repeated channels": "The new channels repeat the old ones. In option A they are zero.",
    "channels not zero": "The new channels are not zero. In option A they are.",
    "average pooled A": "Average pooling shrinks x. Option A takes every second value of x.",
    "max pooled A": "Max pooling shrinks x. Option A takes every second value of x.",
    "shifted A": "Every second value is taken, but not from the first value on.",
}

FORMULA: Entries = {
    "one argument": "It gets one argument, the branch.",
    "input images": "a batch of images",
    "input vector": "a vector",
    "input one image": "a batch of one image",
    "input number": "a single number",
    "input double": "double precision",
    "calling": "Calling the module on {name}",
    "random formula": (
        "Two calls on the same x give different results.",
        "Is there dropout?",
    ),
    "not callable": (
        "make(branch) returned an object of type {kind}, which cannot be called on x.",
        "make(branch) builds the module; the module is called on x later.",
    ),
    "module returned None": ("The module returned None.", "Is a `return` missing?"),
    "module returned other": "The module returned an object of type {kind}, not a tensor.",
    "shape changed": (
        "The shape changed from {before} to {after}.",
        "F(x) and x are added, value by value: not concatenated, not averaged.",
    ),
    "shape changed for one": (
        "For a batch of one image the shape changed from {before} to {after}.",
        "Look for squeeze(), which drops the batch too.",
    ),
    "result not finite": "Some values of the result are NaN or infinite.",
    "x changed": (
        "The input x is changed in place.",
        "Look for += on x, or a function that ends in _: write x = x + ... or out = ...",
    ),
    "hint both added": "Both are added, each once: F(x) + x.",
    "multiplied formula": "F(x) and x are multiplied. The formula adds them: F(x) + x.",
    "branch twice": "The branch is applied twice, one after the other: F(F(x)) + x.",
    "activation of sum": "{activation} is applied to the sum. The formula ends with F(x) + x.",
    "activation of F": "{activation} is applied to F(x): the result is {activation}(F(x)) + x.",
    "activation of x": "{activation} is applied to x: the result is F(x) + {activation}(x).",
    "branch given other": (
        "The branch is given something else than x.",
        "F and the shortcut share one x.",
    ),
    "result": "The result differs from {right}: {gap}.",
    "branch not called": "The branch that was given is never called.",
    "hint call branch": "Call the branch itself, no copy.",
    "hint copy": "Is it called as a copy?",
    "branch called often": (
        "The branch is called {number} times for one x. Its batch norms would count each.",
        "Call it once and keep the result in a variable.",
    ),
    "formula differs for": "For {name} the result differs from F(x) + x: {gap}.",
    "no gradient formula": (
        "No gradient passes: the result is cut off from x and from the branch.",
        "Look for no_grad, detach, .data or a round trip through numpy.",
    ),
    "no gradient formula shortcut": (
        "No gradient passes through the shortcut.",
        "Look for detach or .data on x.",
    ),
    "no gradient formula F": (
        "No gradient passes through the branch, so it would not train.",
        "Look for detach, .data or no_grad around the branch.",
    ),
    "gradient formula": "The gradient of the result differs from F′(x) + 1: {gap}.",
    "own parameter": "The module has a parameter of its own, `{name}`. F(x) + x has none.",
    "branch not registered": (
        "The branch is not registered in the module, so an optimizer would not find its "
        "parameters.",
        "Assign it in the constructor, as self.branch = branch, and not inside a list.",
    ),
}
