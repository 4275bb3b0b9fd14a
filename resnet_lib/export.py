"""Networks as ONNX files, in single precision and as INT8; and run again from there.

The packages onnx, onnxscript and onnxruntime are asked for where they are needed.
"""

import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from resnet_lib.arguments import (
    check_choice,
    check_images,
    check_module,
    check_path,
    check_positive,
)
from resnet_lib.files import write_whole

__all__ = ["OnnxNetwork", "quantize_onnx", "to_onnx"]

INPUT, OUTPUT = "images", "scores"


def to_onnx(
    model: nn.Module,
    path: str | Path,
    images: Tensor,
    inputs: Mapping[str, Tensor] | None = None,
    outputs: Sequence[str] = (),
) -> Path:
    """Write a network as one ONNX file, for batches of any length; return its path.

    The file's input is called "images", its output "scores". onnx has checked it before it gets its
    name. The exporter folds batch norm into the convolutions.

    Args:
        model: a network in eval mode that gives scores for images.
        path: where the file will lie; it is replaced whole.
        images: an example (N, C, H, W) on the model's device; C, H and W are then fixed.
        inputs: what the model takes after the images, by the names that the file gives them; their
            shapes are then fixed. None: nothing.
        outputs: names for what the model gives after the scores, nested ones in order.

    Raises:
        ImportError: onnx or onnxscript is not installed; the message says how to get it.
        TypeError, ValueError: `path` is no path, `model` no module, the images are none, or a layer
            is in train mode.
        OSError: the system cannot write there.
    """
    _require("onnx", "onnxscript")
    check_module("model", model)
    check_path("path", path)
    check_images(images)
    training = [name or "the network" for name, part in model.named_modules() if part.training]
    if training:
        raise ValueError(f"model must be in eval mode, but {training[0]} is in train mode")
    batch = torch.export.Dim("batch")
    example = images if len(images) > 1 else images.expand(2, *images.shape[1:])
    # Clones, because the exporter takes a tensor that comes twice for one input of the file.
    more = {name: value.clone() for name, value in (inputs or {}).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own future
        program = torch.onnx.export(
            model,
            (example, *more.values()),
            dynamo=True,
            dynamic_shapes=({0: batch}, *(None for _ in more)),
            input_names=[INPUT, *more],
            output_names=[OUTPUT, *outputs],
            external_data=False,
            verbose=False,
        )
    _write(program, Path(path))
    return Path(path)


def quantize_onnx(
    source: str | Path,
    target: str | Path,
    batches: Iterable | None,
    *,
    per_channel: bool = True,
    activations: str = "uint8",
    reduce_range: bool = True,
    leave_out: Sequence[str] = (),
) -> Path:
    """Write a file of `to_onnx` with weights and activations in 8 bits; return its path.

    Static quantisation as ONNX Runtime does it (Jacob et al. 2018 describe the arithmetic): each
    convolution and matrix product reads and writes whole numbers of 8 bits. The range of each
    activation is what `batches` made of it, weights are symmetric about zero.

    Args:
        source, target: the files.
        batches: images (N, C, H, W), or pairs of images and labels, normalised as the network's
            were; a few hundred images are enough. None: dynamic quantisation, which finds the range
            of each activation anew in every run.
        per_channel: whether each output channel of a weight has a scale of its own; in dynamic
            quantisation convolutions have one scale all the same, and unsigned weights.
        activations: "uint8" or "int8", for static quantisation. With "int8", ONNX Runtime leaves
            some layers in single precision on x86.
        reduce_range: whether static quantisation leaves one bit of the weights unused. x86
            processors without VNNI add two products in 16 bits and cut off what is larger; with 7
            bits nothing is. Where it will run with VNNI, False is more exact.
        leave_out: names of nodes of the file that stay in single precision.

    Raises:
        ImportError: onnx or onnxruntime is not installed; the message says how to get it.
        TypeError: `source` or `target` is no path, or a batch holds no tensor.
        ValueError: there are no batches, or no such type.
        OSError: the system cannot read or write there.
    """
    _require("onnx", "onnxruntime")
    check_path("source", source)
    check_path("target", target)
    check_choice("activations", activations, ("uint8", "int8"))
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        prepared, made = Path(folder) / "prepared.onnx", Path(folder) / "made.onnx"
        quant_pre_process(str(source), str(prepared))
        files = str(prepared), str(made)
        how = {"per_channel": per_channel, "nodes_to_exclude": list(leave_out)}
        if batches is None:  # ONNX Runtime has these convolutions for uint8 weights alone
            quantize_dynamic(*files, weight_type=QuantType.QUInt8, **how)
        else:
            how |= {"quant_format": QuantFormat.QDQ, "weight_type": QuantType.QInt8}
            how["reduce_range"] = reduce_range
            signed = QuantType.QInt8 if activations == "int8" else QuantType.QUInt8
            quantize_static(*files, _reader(batches), activation_type=signed, **how)
        write_whole(Path(target), made.read_bytes())
    return Path(target)


class OnnxNetwork(nn.Module):
    """A file of `to_onnx` or `quantize_onnx`, run by ONNX Runtime on the CPU.

    It takes and gives tensors, so `train.evaluate` and `prediction.predict` take it as they take
    any network. It has no parameters and no gradient.

    Shapes: (N, C, H, W), float32, to (N, num_classes).

    Args:
        path: the file.
        threads: CPU threads; None: as many as torch uses.

    Raises:
        ImportError: onnxruntime is not installed; the message says how to get it.
        TypeError: `path` is no path.
        OSError, ValueError: there is no such file, or it is no ONNX network.
    """

    def __init__(self, path: str | Path, threads: int | None = None):
        super().__init__()
        check_path("path", path)
        _require("onnxruntime")
        import onnxruntime

        threads = torch.get_num_threads() if threads is None else threads
        check_positive(threads=threads)
        content = Path(path).read_bytes()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors alone
        try:
            self.session = onnxruntime.InferenceSession(
                content,
                options,
                providers=["CPUExecutionProvider"],
                enable_fallback=0,  # which prints, and tries the same again
            )
        except Exception as error:  # its errors have no class in common
            raise ValueError(f"{path} is no network that ONNX Runtime reads: {error}") from None
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        given = {self.session.get_inputs()[0].name: images.detach().cpu().contiguous().numpy()}
        return torch.from_numpy(self.session.run(None, given)[0])


def _write(program, path: Path) -> None:
    """Write an exported program as one checked file, without what tells of this machine."""
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.onnx"
        program.save(str(made), external_data=False)
        network = onnx.load(made)
        for node in network.graph.node:
            del node.metadata_props[:]  # the exporter's: paths of its source files
        onnx.save(network, made)
        onnx.checker.check_model(str(made), full_check=True)
        write_whole(path, made.read_bytes())


def _reader(batches: Iterable):
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self, rows: Iterator):
            self.rows = rows

        def get_next(self):
            return next(self.rows, None)

    found = [batch[0] if isinstance(batch, tuple | list) else batch for batch in batches]
    if not found:
        raise ValueError("batches must have at least one batch of images, got none")
    if others := [type(images).__name__ for images in found if not isinstance(images, Tensor)]:
        raise TypeError(f"batches must hold tensors of images, got {others[0]}")
    return Reader({INPUT: images.cpu().contiguous().numpy()} for images in found)


def _require(*names: str) -> None:
    for name in names:
        try:
            __import__(name)
        except ImportError:
            raise ImportError(
                f"{name} is needed and not installed: pip install {' '.join(names)}"
            ) from None
