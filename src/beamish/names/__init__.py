"""Global names and locks: Erlang's `global`, and the full mesh that it keeps."""
