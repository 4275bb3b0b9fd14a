"""Data: digits, CIFAR-10 and own pictures; augmentation on the batch; batches on the device."""

from resnet_lib.data.augment import Normalize, RandomCrop, RandomFlip
from resnet_lib.data.cifar import cifar10
from resnet_lib.data.color import ColorJitter
from resnet_lib.data.digits import SIZES, digits
from resnet_lib.data.folder import image_folder
from resnet_lib.data.image_data import ImageData
from resnet_lib.data.loader import Batches
from resnet_lib.data.pictures import read_picture
from resnet_lib.data.records import read_record
from resnet_lib.data.resized_crop import RandomResizedCrop
from resnet_lib.data.shapes import SHAPES, draw_shape

__all__ = [
    "SHAPES",
    "SIZES",
    "Batches",
    "ColorJitter",
    "ImageData",
    "Normalize",
    "RandomCrop",
    "RandomFlip",
    "RandomResizedCrop",
    "cifar10",
    "digits",
    "draw_shape",
    "image_folder",
    "read_picture",
    "read_record",
]
