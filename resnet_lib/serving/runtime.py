"""What MLServer calls to answer a request: the network, and what stands before it.

A request has one input: "images", bytes (N, C, H, W) as UINT8, or "pictures", N picture files as
BYTES. Each is checked and made one batch of bytes before it meets other requests, so that a faulty
one spoils none of them.
"""

import asyncio
from typing import Any

import numpy as np
import torch
from mlserver import MLModel
from mlserver.batching import load_batching
from mlserver.codecs import StringCodec
from mlserver.codecs.numpy import NumpyCodec
from mlserver.errors import MLServerError
from mlserver.types import InferenceRequest, InferenceResponse, RequestInput
from mlserver.utils import get_model_uri

from resnet_lib.data import Normalize
from resnet_lib.export import OnnxNetwork
from resnet_lib.serving.requests import Refused, images_of

BUSY = 503
# More requests than this, for one version, wait for no answer that is still wanted.
MOST_WAITING = 128


class OnnxRuntime(MLModel):
    """A version of the repository, served."""

    async def load(self) -> bool:
        """Load the network; requests wait meanwhile.

        MLServer names a version as the newest before it is loaded. Whoever asked in between would
        be refused, so nothing here lets others go first.
        """
        about: dict[str, Any] = self.settings.parameters.extra
        self._about = about
        self._network = OnnxNetwork(await get_model_uri(self.settings), threads=about["threads"])
        self._normalize = Normalize(about["mean"], about["std"])
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._alone = self.predict
        if about["max_batch_size"] > 1:
            # Here and not in MLServer's own settings: those gather requests before they are
            # checked, and are forgotten when a version is loaded anew.
            self.settings.max_batch_size = about["max_batch_size"]
            self.settings.max_batch_time = about["max_batch_time"]
            await load_batching(self)
        self._answer = self.predict
        self.predict = self._admit  # type: ignore[method-assign]
        return True

    async def _admit(self, payload: InferenceRequest) -> InferenceResponse:
        """Check a request, and have it answered, alone or with others."""
        if self._waiting >= MOST_WAITING:
            raise MLServerError(f"{self.name} is busy: {self._waiting} requests wait", BUSY)
        self._waiting += 1
        try:
            try:
                images = await asyncio.to_thread(images_of, payload.inputs, self._about["image"])
            except Refused as error:
                raise MLServerError(str(error)) from None
            # Several images are a batch already; so a batch has at most max_batch_size images.
            answer = self._answer if len(images) == 1 else self._alone
            return await answer(_plain(payload.id, images))
        finally:
            self._waiting -= 1

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer a request that `_plain` made, or several of them put together."""
        given = payload.inputs[0]
        content = getattr(given.data, "root", given.data)
        images = np.frombuffer(content, np.uint8).reshape(given.shape)
        async with self._turn:  # two runs at once would fight for the same threads
            scores = await asyncio.to_thread(self._scores, images)
        names = [self._about["classes"][row] for row in scores.argmax(1)]
        return InferenceResponse(
            model_name=self.name,
            model_version=self.version,
            outputs=[
                NumpyCodec.encode_output("scores", scores),
                StringCodec.encode_output("classes", names),
            ],
        )

    def _scores(self, images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self._network(self._normalize(torch.from_numpy(images.copy()))).numpy()


def _plain(identifier: str | None, images: np.ndarray) -> InferenceRequest:
    """A request of nothing but bytes, which MLServer joins with others at no cost."""
    given = RequestInput(
        name="images", datatype="UINT8", shape=list(images.shape), data=images.tobytes()
    )
    return InferenceRequest(id=identifier, inputs=[given])
