"""The port mapper: its protocol, a client, and a server that real Erlang nodes can use.

Import from the modules: ``beamish.epmd.client`` (register, port_please, names), ``beamish.epmd.start`` (ensure_epmd)
and ``beamish.epmd.server`` (EpmdServer). Nothing is imported here, so that the daemon stays small.
"""
