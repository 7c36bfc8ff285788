"""Record what a real Erlang writes for a list of terms: tests/golden/otpNN.json.

    python scripts/record_golden.py

Run it with the OTP release whose bytes are wanted on PATH; the release names the file. Each entry has the Erlang
expression and two encodings: as `term_to_binary/1` of that release writes it, and with UTF-8 atoms (minor_version 2),
which is what nodes send each other. tests/etf/test_etf_golden.py holds the codec to them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"

TERMS = [
    "0",
    "255",
    "256",
    "-1",
    "-2147483648",
    "2147483647",
    "2147483648",
    "-2147483649",
    "(1 bsl 64) - 1",
    "-(1 bsl 64)",
    "1 bsl 2040",
    "-(1 bsl 3000)",
    "1.5",
    "-0.0",
    "1.0e300",
    "5.0e-324",
    "ok",
    "true",
    "false",
    "nil",
    "undefined",
    "''",
    "'hello world'",
    "list_to_atom([233])",
    "list_to_atom(lists:duplicate(255, 16#65E5))",
    "{}",
    "{ok, {1, 2}}",
    "list_to_tuple(lists:seq(1, 260))",
    "[]",
    '"abc"',
    "[1, 2, 256]",
    "[a, [b], []]",
    "[1 | 2]",
    "[a, b | <<99>>]",
    "<<>>",
    "<<1, 2, 3>>",
    "<<5:3>>",
    "<<255, 1:1>>",
    "#{}",
    "#{a => 1}",
    "#{<<97>> => [1.5]}",
    "#{1 => a, 1.0 => b}",
    "#{[] => x, #{} => y}",
    "fun lists:map/2",
    'list_to_pid("<0.1.0>")',
    'list_to_ref("#Ref<0.1.2.3>")',
    'list_to_port("#Port<0.5>")',
    "#{'__struct__' => 'Elixir.Date', calendar => 'Elixir.Calendar.ISO', year => 2024, month => 2, day => 29}",
    "#{'__struct__' => 'Elixir.Range', first => 1, last => 10, step => 3}",
    "#{'__struct__' => 'Elixir.MapSet', map => #{1 => [], a => []}, version => 2}",
    "#{'__struct__' => 'Elixir.Decimal', sign => -1, coef => 1234, exp => -2}",
]

# Every term on its own, so that a release that lacks one says which.
PROGRAM = r"""
Value = fun(Source) ->
    {ok, Tokens, _} = erl_scan:string(Source ++ "."),
    {ok, Forms} = erl_parse:parse_exprs(Tokens),
    {value, Term, _} = erl_eval:exprs(Forms, []),
    Term
end,
Hex = fun(Bin) -> binary:encode_hex(Bin) end,
io:format("~s ~s~n", [erlang:system_info(otp_release), erlang:system_info(version)]),
lists:foreach(fun(Source) ->
    Term = Value(Source),
    io:format("~s ~s~n", [Hex(term_to_binary(Term)), Hex(term_to_binary(Term, [{minor_version, 2}]))])
end, init:get_plain_arguments()),
halt(0).
"""


def main() -> int:
    """Record; 0 if the file was written."""
    command = ["erl", "-noshell", "-boot", "start_clean", "-eval", PROGRAM, "-extra", *TERMS]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        print("record_golden: no erl on PATH; install Erlang/OTP", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"record_golden: erl failed:\n{error.stdout}{error.stderr}", file=sys.stderr)
        return 1
    first, *lines = done.stdout.splitlines()
    release, erts = first.split()
    entries = [
        {"erlang": source, "plain": line.split()[0].lower(), "utf8": line.split()[1].lower()}
        for source, line in zip(TERMS, lines, strict=True)
    ]
    target = GOLDEN / f"otp{release}.json"
    GOLDEN.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"release": release, "erts": erts, "terms": entries}, indent=1) + "\n")
    print(f"{target}: {len(entries)} terms of OTP {release}, erts {erts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
