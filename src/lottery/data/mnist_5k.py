"""The 5,000 MNIST digits that come with this package, 500 of each class."""

from __future__ import annotations

from pathlib import Path

from lottery.data.checksums import MNIST, KnownFile
from lottery.data.dataset import Dataset
from lottery.data.request import Request
from lottery.data.splits import Examples, assemble

BUNDLED = Path(__file__).parent / "bundled"
"""Where the installed package has them."""
FILES = (
    KnownFile(
        "mnist-5k.images-idx3-ubyte.gz",
        3_920_016,
        "a4a9358b9ba319305e7cd69b2c7410e463401e152d7e9e60189b94a3f159d012",
    ),
    KnownFile(
        "mnist-5k.labels-idx1-ubyte.gz",
        5_008,
        "704256e87519240fd1d7ecdf681fe209864691e252c6642aeadc21f3c4d44b41",
    ),
)
"""Images and labels; scripts/make_mnist_5k.py made them."""
TEST_EXAMPLES = 1_000
"""How many of the digits are test examples."""


def load_mnist_5k(request: Request) -> Dataset:
    """The bundled digits: 1,000 test examples, chosen at random but fixed; the rest for training.

    Raises:
        DataError: the installed files are damaged, or too many examples are to be held out.
    """
    images, labels = (file.read(BUNDLED / file.name) for file in FILES)
    test, training = Examples(images, labels).split_off(TEST_EXAMPLES, "mnist-5k", "test")
    return assemble(
        "mnist-5k",
        training,
        test,
        validation=request.validation,
        classes=MNIST.classes,
        scale=MNIST.scale,
    )
