"""What Erlang knows: its flags, its applications, its kernel's settings.

Source  ERTS Reference Manual: erl, init; Kernel Reference Manual: kernel_app (OTP 25 to 28).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


KERNEL_KEYS: Final = _words("""
    backend boot_server_slaves connect_all dist_auto_connect dist_listen distributed epmd_module erl_epmd_listen_port
    erl_epmd_node_listen_port error_logger error_logger_format_depth global_groups inet_backend
    inet_default_connect_options inet_default_listen_options inet_dist_connect_options inet_dist_listen_max
    inet_dist_listen_min inet_dist_listen_options inet_dist_use_interface inet_parse_error_log inetrc
    logger logger_level logger_metadata logger_sasl_compatible net_setuptime net_tickintensity net_ticktime permissions
    os_cmd_shell prevent_overlapping_partitions process_limits raw_files shell_history shell_history_drop
    shell_history_file_bytes shell_history_path shell_docs_ansi shutdown_func shutdown_timeout source_search_rules
    standard_io_encoding start_boot_server start_disk_log start_distribution start_pg start_timer
    sync_nodes_mandatory sync_nodes_optional sync_nodes_timeout
    """)
"""Configuration parameters of Erlang's kernel application."""

APPLICATIONS: Final = _words("""
    asn1 common_test compiler crypto debugger dialyzer eldap elixir erts ex_unit ftp hex iex inets logger megaco mix
    mnesia observer odbc os_mon parsetools phoenix public_key reltool runtime_tools sasl snmp ssh ssl stdlib
    syntax_tools tftp tools wx xmerl
    """)
BEAM_ONLY: Final[Mapping[str, int | None]] = {
    # flag: how many words belong to it; None for all up to the next flag
    "-async_shell_start": 0, "-boot": 1, "-boot_var": 2, "-code_path_cache": 0, "-code_path_choice": 1,
    "-compile": None,
    "-cover_enabled": 0, "-detached": 0, "-embedded": 0, "-emu_args": 0, "-emu_args_exit": 0, "-emu_flavor": 1,
    "-emu_type": 1, "-env": 2, "-eval": 1, "-heart": 0, "-hosts": None, "-id": 1, "-init_debug": 0, "-instr": 0,
    "-loader": 1, "-make": 0, "-man": None, "-mode": 1, "-noinput": 0, "-nouser": 0, "-nohup": 0, "-noshell": 0,
    "-nostick": 0, "-oldshell": 0, "-pa": None, "-path": None, "-proto_dist": 1, "-pz": None, "-release": 1,
    "-root": 1, "-rsh": 1, "-run": None, "-s": None, "-S": None, "-shutdown_time": 1, "-sasl": None, "-smp": None,
    "-ssl_dist_opt": None, "-ssl_dist_optfile": 1, "-start_epmd": 1, "-bindir": 1, "-progname": 1, "-home": 1,
    "-user": 1, "-version": 0, "-noconfig": 0, "-elixir_root": 1, "-kernel_start_timeout": 1, "-master": None,
}  # fmt: skip
OURS: Final = (
    "-args_file", "-config", "-connect_all", "-dist_listen", "-epmd_module", "-erl_epmd_port", "-extra", "-hidden",
    "-kernel", "-name", "-remsh", "-setcookie", "-sname",
)  # fmt: skip
EMULATOR: Final = "aAcdefhiIJKlLMnOpPQrRsStTvVWzBC"
