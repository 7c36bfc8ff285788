"""A real Erlang that formats, reads and prints terms for us, asked over its standard input."""

from __future__ import annotations

import base64
import shutil
import subprocess
from typing import Any

import pytest

from beamish.io.measure import Style, write

_LOOP = r"""
Terms = fun(Text) ->
    {ok, Tokens, _} = erl_scan:string(Text ++ "."),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term
end,
Answer = fun(Line) ->
    Text = unicode:characters_to_list(base64:decode(string:trim(Line))),
    try
        case Terms(Text) of
            {format, Pattern, Args} -> io_lib:format(Pattern, Args);
            {text, Chardata} -> case unicode:characters_to_list(Chardata) of
                    List when is_list(List) -> List;
                    {Fault, _, _} -> "!" ++ atom_to_list(Fault)
                end;
            {consult, Source} ->
                {ok, Tokens, _} = erl_scan:string(Source),
                {ok, Term} = erl_parse:parse_term(Tokens),
                io_lib:format("~tw", [Term])
        end
    catch _:_ -> "!badarg"
    end
end,
Loop = fun(Loop) ->
    case io:get_line("") of
        eof -> halt();
        Line ->
            Bin = case unicode:characters_to_binary(Answer(Line)) of
                Made when is_binary(Made) -> Made;
                _ -> <<"!badarg">>
            end,
            io:format("~s~n", [base64:encode(Bin)]),
            Loop(Loop)
    end
end,
Loop(Loop).
"""


class ErlangOracle:
    """One running `erl`; `format` is its io_lib:format, "!badarg" standing for an error."""

    def __init__(self, *, printable_unicode: bool) -> None:
        flags = ["+pc", "unicode"] if printable_unicode else []
        self.process = subprocess.Popen(
            ["erl", *flags, "-noshell", "-eval", _LOOP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"HOME": "/tmp", "PATH": "/usr/bin:/bin:/usr/local/bin", "LANG": "C.UTF-8"},
        )

    def ask(self, source: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(base64.b64encode(source.encode()) + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the Erlang side stopped"
        return base64.b64decode(line).decode()

    def format(self, pattern: str, arguments: list[Any]) -> str:
        quoted = write(list(map(ord, pattern)))
        return self.ask(f"{{format,{quoted},{write(arguments, style=Style(unicode=True))}}}")

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def needs_erlang() -> None:
    if shutil.which("erl") is None:
        pytest.skip("Erlang is not installed")
