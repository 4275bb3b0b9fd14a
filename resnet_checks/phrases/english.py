"""The sentences in English.

An entry is a sentence, or a sentence and its hint; `{names}` are filled in.
"""

from resnet_checks.phrases.english_alone import ALONE, FORMULA
from resnet_checks.phrases.english_joints import JOINTS
from resnet_checks.phrases.english_layers import LAYERS, SHORTCUT, Entries

_NAMES: Entries = {
    "basic block": "basic block",
    "bottleneck block": "bottleneck block",
    "pre-activation block": "pre-activation block",
    "squeeze-and-excitation block": "squeeze-and-excitation block",
    "subject basic block": "Basic block",
    "subject bottleneck block": "Bottleneck block",
    "subject pre-activation block": "Pre-activation block",
    "subject squeeze-and-excitation block": "Squeeze-and-excitation block",
    "passed": "passed",
    "fault found": "fault found",
    "hint": "Hint",
    "shortcut": "shortcut",
    "block": "block",
    "network": "network",
    "ResNet": "ResNet",
    "ordinals": "first second third fourth fifth sixth seventh eighth",
    "numbers": "no one two three four five six",
    "and": "{first} and {last}",
    "name of convolution": "{ordinal} convolution",
    "name of linear layer": "{ordinal} linear layer",
    "name of stem": "convolution",
    "projection": "projection",
    "norm of": "batch norm after the {name}",
    "norm of x": "batch norm before the first convolution",
    "convolution": "convolution",
    "linear layer": "linear layer",
    "batch norm": "batch norm",
    "group norm": "group norm",
    "layer norm": "layer norm",
    "instance norm": "instance norm",
    "home basic block": "the first",
    "home bottleneck block": "the 3×3 convolution, or on the first 1×1",
    "home pre-activation block": "the first",
    "home squeeze-and-excitation block": "the first",
    "same": "where the shapes agree",
    "changed": "where the shape changes",
    "channels changed": "where only the channels change",
    "stride changed": "where only the stride changes",
    "input of": "for an input of {height}×{width}",
    "one image": "for a batch of one image",
    "x": "x",
    "projected x": "projection(x)",
    "meta": "on the meta device, without values",
    "nested": "nested",
    "sparse": "sparse",
    "output of": "the {name}",
    "output of relu": "the {ordinal} ReLU",
}

_PASSED: Entries = {
    "runs": "it runs, and the shape is right",
    "layers basic block": "two 3×3 convolutions without bias, each with its own batch norm",
    "layers bottleneck block": "1×1, 3×3 and 1×1 convolution without bias, each with its own batch "
    "norm; the middle is a quarter as wide as the output",
    "layers pre-activation block": "two 3×3 convolutions without bias, each behind a batch norm "
    "of its own",
    "layers squeeze-and-excitation block": "two 3×3 convolutions without bias, each with its own "
    "batch norm, and two linear layers for the gate",
    "out relu(F + s)": "the output is ReLU(F(x) + x), and x is left as it was",
    "out F + s": "the output is F(x) + x, and x is left as it was",
    "eval": "the same in eval mode, with running statistics",
    "gradient passes": "the gradient passes through the branch and through the shortcut",
    "parameters": "{number} parameters, all of them used",
    "the same with a projection": "{case}: the same, with a projection; {rest}",
    "strided first": "the stride stands on the first 1×1, as in the authors' release; ",
    "strided second": "the stride stands on the 3×3, as in torchvision (v1.5); ",
    "projected 1": "a 1×1 convolution and a batch norm, {number} parameters, all of them used",
    "projected strided": "a 1×1 convolution with stride {stride} and a batch norm, {number} "
    "parameters, all of them used",
    "plain 1": "x itself",
    "plain strided": "every second value of x",
    "zeros": ", {number} channels of zeros {side}",
    "zeros behind": "behind the old ones",
    "zeros before": "before the old ones",
    "zeros on both sides": "on both sides",
    "no parameters": ", no parameters",
    "built": "make(branch) builds something that can be called",
    "shape kept": "the shape stays as it is, and so does x itself",
    "formula": "the result is F(x) + x",
    "called once": "the branch is called once",
    "formula elsewhere": "the same in eval mode, for a vector, a single number and in double "
    "precision",
    "parameters of branch": "the module's parameters are the branch's",
}

_RUNS: Entries = {
    "forward pass": "The forward pass",
    "first run": "The first run",
    "call": "The call",
    "training step": "A training step",
    "raises": "{action} raises {kind}: {message}{place}.",
    "in": " (in {name})",
    "in line": " (in {name}, at `{line}`)",
    "no message": "no message",
    "unreadable message": "its message cannot be read",
    "too long": (
        "{action} takes longer than {seconds} seconds: it does not seem to end.",
        "Look for a loop whose condition stays true, and for code that waits for something.",
    ),
    "return missing": "Is a `return` missing?",
    "called as": "It is called as {call}.",
    "made None": "{call} returned None.",
    "made other": (
        "{call} returned an object of type {kind}, not an nn.Module, so an optimizer could not "
        "find its parameters.",
        "Derive the class from nn.Module.",
    ),
    "made script": (
        "{call} returned TorchScript, which this check cannot look into.",
        "Check the module before it is scripted or traced.",
    ),
    "on meta": (
        "The module's parameters are on the meta device: they have no values.",
        "Build it on the CPU, without torch.device('meta').",
    ),
    "forward pass returned None": (
        "The forward pass returned None.",
        "Is a `return` missing in forward?",
    ),
    "forward pass returned other": "The forward pass returned an object of type {kind}, not a "
    "tensor.",
    "returned strange": "What comes out is a tensor that is {kind}. It should hold plain values.",
    "shape": "The output has the shape {found}, not {right}.",
    "dtype": "The type of the values changed from {before} to {after}.",
    "not finite": "Some values of the output are NaN or infinite.",
    "late parameters": (
        "The parameter `{name}` is created in the first forward pass: an optimizer that was built "
        "before does not know it.",
        "Create every layer in the constructor.",
    ),
    "built anew": (
        "A {kind} is built anew in each forward pass, with new random weights: it would not train.",
        "Create every layer in the constructor, and call it in forward.",
    ),
    "random": (
        "Two runs on the same x give different results: something random is inside.",
        "Look for dropout. A {block} has none.",
    ),
    "in eval": "In eval mode: {fault}",
    "concatenated": "The output has the shape {found}, not {right}. It looks as if F(x) and x were "
    "concatenated, not added.",
    "hint one image": "Look for squeeze(), which drops the batch too, and for code that depends on "
    "the number of images.",
    "hint super": "Call super().__init__() first in the constructor.",
    "hint forward": "Give the class a method named forward, at the same indentation as __init__.",
    "hint module called": "An imported module is called there. F is torch.nn.functional: call the "
    "branch instead.",
    "hint in place": "Look for inplace=True and for += on a value that an earlier layer still "
    "needs.",
    "hint channels": "The in_channels of a convolution do not fit what it reads.",
    "hint norm channels": "The channels of a batch norm do not fit what it reads.",
    "hint norm dimensions": "Images go through nn.BatchNorm2d.",
    "hint pooling": "Average over all positions, however many: nn.AdaptiveAvgPool2d(1), or "
    "mean(dim=(2, 3)).",
    "hint sizes": "Two tensors are added whose shapes do not agree.",
    "hint graph kept": "Compute the loss anew in each step, and look for values that are kept "
    "between steps.",
    "hint no graph": "Look for no_grad, detach, .data or .item() between the model and backward().",
    "hint device": "The check's model is on the CPU. Take the device from the model: "
    "next(model.parameters()).device.",
}

ENGLISH: Entries = _NAMES | _PASSED | _RUNS | LAYERS | SHORTCUT | JOINTS | ALONE | FORMULA
