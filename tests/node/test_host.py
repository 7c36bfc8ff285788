"""What this machine says about itself."""

from __future__ import annotations

import socket

import pytest

from beamish.errors import NodeError
from beamish.node import host


def test_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "pi.example.org")
    assert host.short_hostname() == "pi"
    assert host.full_hostname() == "pi.example.org"


def test_domain_from_the_resolver_only_if_it_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "pi")
    monkeypatch.setattr(socket, "getfqdn", lambda name: "pi.example.org")
    assert host.full_hostname() == "pi.example.org"
    monkeypatch.setattr(socket, "getfqdn", lambda name: "localhost.localdomain")
    assert host.full_hostname() == "pi"


def test_loopback() -> None:
    assert host.is_loopback("localhost")
    assert host.is_loopback("127.0.0.2")
    assert host.is_loopback_address("::1")
    assert not host.is_loopback_address("10.0.0.7")
    assert not host.is_loopback_address("fe80::1%eth0")
    assert not host.is_loopback_address("not an address")


def test_addresses_are_ordered_and_distinct(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [
            (socket.AF_INET6, 1, 6, "", ("fe80::1", 0)),
            (socket.AF_INET, 1, 6, "", ("10.0.0.7", 0)),
            (socket.AF_INET, 1, 6, "", ("10.0.0.7", 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    assert host.addresses("pi") == ["10.0.0.7", "fe80::1"]
    assert host.listen_addresses("pi") == ["10.0.0.7", "fe80::1"]
    assert not host.is_loopback("pi")


def test_unknown_host_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with pytest.raises(NodeError, match=r"'nowhere' does not resolve .*--name NAME@ADDRESS"):
        host.addresses("nowhere")
