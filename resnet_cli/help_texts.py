"""What the help says of each command: what it does, how it is called, examples."""

ABOUT = {
    "train": "Train a network and keep the run in a folder.",
    "evaluate": "Loss, accuracy and confusions of trained weights on a data set.",
    "predict": "What a trained network takes your pictures for.",
    "publish": "Put a trained network into a repository of models, as their newest version.",
    "serve": "Answer requests with the models of a repository, until Ctrl-C.",
    "summary": "Layers, shapes, parameters and multiply-adds of a network.",
}
USAGES = {
    "train": ("--net NAME --data DATA --out DIR [option ...]", "--resume DIR"),
    "evaluate": ("--run DIR [option ...]", "--weights FILE --data DATA [option ...]"),
    "predict": (
        "--run DIR [option ...] PICTURE [PICTURE ...]",
        "--weights FILE [option ...] PICTURE [PICTURE ...]",
    ),
    "publish": (
        "REPOSITORY --name MODEL --run DIR [option ...]",
        "REPOSITORY --name MODEL --weights FILE [option ...]",
    ),
    "serve": ("REPOSITORY [option ...]",),
    "summary": ("--net NAME [--input C H W] [--num-classes K]", "--run DIR"),
}
EXAMPLES = {
    "": """\
examples:
  python -m resnet_lib train --net resnet8 --data digits --epochs 5 --out runs/digits
  python -m resnet_lib evaluate --run runs/digits --per-class
  python -m resnet_lib predict --run runs/pets cat.jpg
  python -m resnet_lib summary --net resnet50
  Each command has its own help: python -m resnet_lib train --help""",
    "train": """\
examples:
  python -m resnet_lib train --net resnet8 --data digits --epochs 5 --out runs/digits
  python -m resnet_lib train --net resnet20 --data cifar10 --epochs 30 --schedule onecycle \\
      --learning-rate 0.4 --weight-decay 5e-4 --precision bf16 --channels-last --out runs/r20
  python -m resnet_lib train --resume runs/r20
  python -m resnet_lib train --config pets.toml --out runs/from_file
  torchrun --nproc-per-node=2 -m resnet_lib train --net resnet20 --data cifar10 --out runs/two

in the folder of a run:
  run.json           every setting, versions, the command
  checkpoints/       the newest two states, with which a stopped or killed run goes on
  history.json       losses, accuracies and seconds, epoch by epoch; the test result
  model.safetensors  the final weights, with the network's name, the classes, the images' size and
                     the normalisation""",
    "evaluate": """\
examples:
  python -m resnet_lib evaluate --run runs/digits --per-class
  python -m resnet_lib evaluate --run runs/pets --data more_pets
  python -m resnet_lib evaluate --net resnet20 --weights cifar10 --data cifar10""",
    "predict": """\
examples:
  python -m resnet_lib predict --run runs/pets cat.jpg
  python -m resnet_lib predict --run runs/pets --csv new_pictures
  python -m resnet_lib predict --net resnet20 --weights cifar10 --top 5 cat.jpg""",
    "publish": """\
examples:
  python -m resnet_lib publish models --name pets --run runs/pets
  python -m resnet_lib publish models --name pets --run runs/longer --note "more epochs"
  python -m resnet_lib publish models --name cifar --net resnet20 --weights cifar10

It needs the packages onnx, onnxscript and onnxruntime.""",
    "serve": """\
examples:
  python -m resnet_lib serve models
  python -m resnet_lib serve models --port 9000

It needs the packages mlserver and onnxruntime.""",
    "summary": """\
examples:
  python -m resnet_lib summary --net resnet50
  python -m resnet_lib summary --run runs/pets
  python -m resnet_lib summary --net resnet20 --input 1 8 8 --num-classes 10""",
}
