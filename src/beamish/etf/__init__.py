"""The External Term Format: Erlang's terms as bytes."""

from beamish.etf._decode import decode
from beamish.etf._encode import encode
from beamish.etf.limits import DEFAULT, Limits

__all__ = ["DEFAULT", "Limits", "decode", "encode"]
