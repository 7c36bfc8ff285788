from typing import Any

from typing_extensions import Buffer

from beamish.etf.limits import Limits

FAULTS: dict[int, str]

class Decoder:
    @property
    def limits(self) -> Limits: ...
    def terms(self, data: bytes, refs: tuple[Any, ...] = ()) -> list[Any]: ...

def decode(data: Buffer, *, limits: Limits = ...) -> Any: ...
