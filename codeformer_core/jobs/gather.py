"""Faces of several pictures in one pass of the network: faces fill a batch, not files."""

from threading import Lock
from typing import Any

import torch
from torch import Tensor

from ..models.restorer import Restorer
from ..networks import Fidelity
from ..runtime import Runtime


class Request:
    """Faces of one picture that wait for their pass."""

    def __init__(self, crops: Tensor, fidelity: Fidelity, adain: bool | None) -> None:
        self.crops = crops
        self.fidelity = fidelity
        self.adain = adain
        self.result: Tensor | None = None
        self.error: Exception | None = None

    @property
    def answered(self) -> bool:
        """Whether there is a result, or an error."""
        return self.result is not None or self.error is not None

    def fits(self, other: "Request") -> bool:
        """Whether both can be restored in one pass."""
        if isinstance(self.fidelity, Tensor) or isinstance(other.fidelity, Tensor):
            return False
        settings = (self.fidelity, self.adain, self.crops.dtype, self.crops.shape[1:])
        return settings == (other.fidelity, other.adain, other.crops.dtype, other.crops.shape[1:])


class Gathering:
    """A restorer that several threads call at once, and that does together what waits together.

    While one pass runs, the faces of other pictures queue up for the next one, so that passes are
    as large as the work allows and nobody waits for work that may not come.
    """

    def __init__(self, network: Restorer, runtime: Runtime | None = None) -> None:
        """Gather for a network whose weights stay where they are."""
        self._network = network
        self._runtime = runtime or Runtime()
        self._waiting: list[Request] = []
        self._queue, self._turn = Lock(), Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def __call__(
        self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None, /
    ) -> Tensor:
        """As of the network."""
        request = Request(crops, fidelity, adain)
        with self._queue:
            self._waiting.append(request)
        with self._turn:  # whoever gets it works for all who wait
            while not request.answered:
                self._pass(self._next())
        if request.error is not None:
            raise request.error
        assert request.result is not None
        return request.result

    def _next(self) -> list[Request]:
        """The first request and all that fit to it, within what the memory holds."""
        most = self._runtime.batch_size(self._network, self._network.bytes_per_face)  # type: ignore[arg-type]
        with self._queue:
            together, faces = self._waiting[:1], len(self._waiting[0].crops)
            for request in self._waiting[1:]:
                if faces + len(request.crops) <= most and request.fits(together[0]):
                    together.append(request)
                    faces += len(request.crops)
            self._waiting = [request for request in self._waiting if request not in together]
        return together

    def _pass(self, requests: list[Request]) -> None:
        first = requests[0]
        try:
            crops = torch.cat([request.crops for request in requests])
            with torch.no_grad():
                results = self._network(crops, first.fidelity, first.adain)
            if results.device.type == "cuda":  # until then the next pass shall gather
                torch.cuda.current_stream(results.device).synchronize()
        except Exception as error:
            self._apart(requests, error)
            return
        parts = results.split([len(request.crops) for request in requests])
        for request, part in zip(requests, parts, strict=True):
            request.result = part

    def _apart(self, requests: list[Request], error: Exception) -> None:
        """After a failure, each on its own: only those that fail by themselves have failed."""
        if len(requests) == 1:
            requests[0].error = error
            return
        self._runtime.release_memory()
        for request in requests:
            self._pass([request])
