"""OTP's client modules called on our node by rpc: the answers and exits are those of an Elixir node that is called so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from oracle import Oracle

from beam import COOKIE, RealEpmd, unique_name
from beamish.application import Application, ApplicationSpec
from beamish.boot import start_node
from beamish.node.runtime import Runtime
from beamish.term import atom

SCRIPTS = {
    "gen_server": """
        s = start_named.(5, :called); {on.(:gen_server, :call, [s, :value]), on.(:gen_server, :call, [:called, :value]),
         on.(:gen_server, :cast, [:called, {:add, 1}]), on.(:gen_server, :call, [{:called, node_of.()}, :value, 1000]),
         on.(:gen_server, :multi_call, [[node_of.()], :called, :value]),
         on.(:gen_server, :abcast, [[node_of.()], :called, {:add, 1}]),
         on.(:gen_server, :call, [:called, :value, :infinity]), on.(:gen_server, :stop, [:called])}
    """,
    "gen_server's exits": """
        s = start.(5); {on.(:gen_server, :call, [:absent, :value]), on.(:gen_server, :call, [s, :never, 20]),
         on.(:gen_server, :call, [{:absent, :nope@localhost}, 1]), on.(:gen_server, :call, [{:global, :absent}, 1, 100]),
         on.(:gen_server, :call, [s, {:stop, :bad}]), on.(:gen_server, :stop, [s]),
         on.(:gen_server, :stop, [:absent, :normal, 100])}
    """,
    "GenServer": """
        s = start_named.(5, :called); {on.(GenServer, :call, [:called, :value]), on.(GenServer, :cast, [:called, {:add, 1}]),
         on.(GenServer, :whereis, [:called]), on.(GenServer, :whereis, [:absent]), on.(GenServer, :call, [:absent, 1]),
         on.(GenServer, :call, [s, :never, 20]), on.(GenServer, :multi_call, [[node_of.()], :called, :value]),
         on.(GenServer, :stop, [:called]), on.(GenServer, :stop, [:called])}
    """,
    "global names": """
        start_global.(5, :everywhere); {on.(:gen_server, :call, [{:global, :everywhere}, :value]),
         on.(GenServer, :call, [{:via, :global, :everywhere}, :value]), on.(GenServer, :whereis, [{:global, :everywhere}]),
         on.(GenServer, :stop, [{:global, :everywhere}])}
    """,
    "supervisor": """
        s = supervisor.(%{}); {on.(:supervisor, :start_child, [s, child.(:a, 1, %{})]), on.(:supervisor, :which_children, [s]),
         on.(:supervisor, :count_children, [s]), on.(:supervisor, :restart_child, [s, :a]),
         on.(:supervisor, :terminate_child, [s, :a]),
         on.(:supervisor, :restart_child, [s, :a]), on.(:supervisor, :delete_child, [s, :a]),
         on.(:supervisor, :get_childspec, [s, :b]),
         on.(:supervisor, :which_children, [:absent])}
    """,
    "Supervisor": """
        s = supervisor.(%{}); {on.(Supervisor, :start_child, [s, child.(:a, 1, %{})]), on.(Supervisor, :which_children, [s]),
         on.(Supervisor, :count_children, [s]), on.(Supervisor, :terminate_child, [s, :a]),
         on.(Supervisor, :restart_child, [s, :a]),
         on.(Supervisor, :delete_child, [s, :a]), on.(Supervisor, :which_children, [:absent])}
    """,
    "DynamicSupervisor": """
        s = dynamic.(%{}); {:ok, a} = on.(DynamicSupervisor, :start_child, [s, child.(:a, 1, %{})])
        {on.(DynamicSupervisor, :which_children, [s]), on.(DynamicSupervisor, :count_children, [s]),
         on.(DynamicSupervisor, :terminate_child, [s, a]), on.(DynamicSupervisor, :terminate_child, [s, a]),
         on.(DynamicSupervisor, :start_child, [s, child.(:a, 1, %{restart: :x})]) |> elem(0)}
    """,
    "stopping supervisors": """
        Process.flag(:trap_exit, true); s = supervisor.(%{}); d = dynamic.(%{})
        {on.(Supervisor, :stop, [s]), on.(DynamicSupervisor, :stop, [d, :shutdown]), on.(Supervisor, :stop, [s])}
    """,
    "sys": """
        s = start.(5); {on.(:sys, :get_state, [s]), on.(:sys, :get_state, [s, 1000]), on.(:sys, :suspend, [s]),
         on.(:sys, :change_code, [s, Counter, "1", :x]), on.(:sys, :resume, [s]), on.(:sys, :get_state, [s]),
         on.(:sys, :log, [s, true]), on.(:sys, :log, [s, :get]), on.(:sys, :statistics, [s, :get]), on.(:sys, :trace, [s, false]),
         on.(:sys, :no_debug, [s]), on.(:sys, :replace_state, [s, &:lists.reverse/1]) |> is_tuple(),
         on.(:sys, :get_status, [s]) |> elem(0), on.(:sys, :terminate, [s, :normal])}
    """,
    "sys's exits": """
        s = start.(5); :sys.suspend(s); {on.(:sys, :get_state, [:absent]), on.(:sys, :get_state, [:absent, 100]),
         on.(:sys, :suspend, [:absent]), on.(:sys, :log, [:absent, :get]), on.(:sys, :terminate, [:absent, :bye])}
    """,
    "proc_lib": """
        s = start.(5); p = :proc_lib.spawn_link(node_of.(), :timer, :sleep, [50_000]); Process.sleep(20)
        {on.(:proc_lib, :translate_initial_call, [p]), on.(:proc_lib, :initial_call, [p]), Process.info(self(), :links),
         on.(:proc_lib, :stop, [s])}
    """,
    "proc_lib sets ancestors": """
        p = :proc_lib.spawn(node_of.(), :timer, :sleep, [50_000]); Process.sleep(20)
        {:dictionary, d} = on.(:erlang, :process_info, [p, :dictionary])
        {d[:"$ancestors"], d[:"$initial_call"]}
    """,
    "applications": """
        running = for {name, _, vsn} <- on.(:application, :which_applications, []), do: {name, is_list(vsn)}
        loaded = for {name, text, _} <- on.(:application, :loaded_applications, []), do: {name, is_list(text)}
        {running[:kernel], running[:stdlib], loaded[:kernel], on.(:application, :get_env, [:absent, :key]),
         on.(:application, :get_env, [:absent, :key, 1]), on.(:application, :get_all_env, [:absent]),
         on.(:application, :get_key, [:absent, :vsn]), on.(:application, :start, [:kernel]),
         on.(:application, :ensure_started, [:kernel]),
         on.(:application, :stop, [:absent]), on.(Application, :get_env, [:absent, :key]),
         on.(Application, :fetch_env, [:absent, :key]),
         on.(Application, :spec, [:absent, :vsn]), on.(Application, :ensure_all_started, [:kernel])}
    """,
    "environments": """
        {on.(:application, :set_env, [:absent, :key, {1, [2]}]), on.(:application, :get_env, [:absent, :key]),
         on.(:application, :get_all_env, [:absent]), on.(Application, :get_env, [:absent, :key]),
         on.(Application, :fetch_env!, [:absent, :key]),
         on.(Application, :put_env, [:absent, :key, 5]), on.(:application, :get_env, [:absent, :key, 1]),
         on.(:application, :unset_env, [:absent, :key]), on.(Application, :fetch_env, [:absent, :key])}
    """,
    "wrong arguments": """
        for {m, f, a} <- [{:gen_server, :call, [5, 1]}, {:gen_server, :multi_call, [:a, :b, :c]},
                        {:proc_lib, :translate_initial_call, [:a]}],
            do: match?({:badrpc, {:EXIT, _}}, on.(m, f, a))
    """,
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_call_on_our_node_gives_what_it_gives_on_elixir_s(oracle: Oracle, script: str) -> None:
    prelude = "on = fn m, f, a -> :rpc.call(node_of.(), m, f, a) end; "
    theirs, ours = oracle.outcomes(prelude + SCRIPTS[script])
    assert ours == theirs


async def with_node(oracle: Oracle, epmd: RealEpmd, body: Any, exports: list[str]) -> None:
    """A node with a policy."""
    runtime = await start_node(unique_name("policy"), cookie=COOKIE, epmd_port=epmd.port, exports=exports)

    async def ask(module: str, function: str, args: str) -> Any:
        return await oracle.elixir.aeval(f':rpc.call(:"{runtime.node}", {module}, {function}, {args})')

    try:
        async with asyncio.timeout(20):
            await body(runtime, ask)
    finally:
        await runtime.stop()


def test_changing_the_node_is_up_to_its_exports(oracle: Oracle, real_epmd: RealEpmd) -> None:
    async def body(runtime: Runtime, ask: Any) -> None:
        for module, function, args in (
            (":init", ":stop", "[]"),
            ("System", ":stop", "[0]"),
            (":application", ":start", "[:shop]"),
            (":application", ":stop", "[:kernel]"),
            (":application", ":set_env", "[:kernel, :a, 1]"),
            ("Application", ":put_env", "[:kernel, :a, 1]"),
        ):
            kind, (_, ((notsup, why), _)) = await ask(module, function, args)
            assert (kind, notsup) == (atom.badrpc, atom.notsup)
            assert b"setting `exports`" in why
        assert isinstance(await ask(":application", ":which_applications", "[]"), list)
        assert await ask(":init", ":get_status", "[]") == (atom.started, atom.started)
        assert not runtime.closed

    oracle.runner.run(with_node(oracle, real_epmd, body, ["json"]))


def test_init_stop_stops_the_node_in_order(oracle: Oracle, real_epmd: RealEpmd) -> None:
    async def body(runtime: Runtime, ask: Any) -> None:
        assert (await ask(":init", ":stop", "[-1]"))[0] is atom.badrpc
        assert (await ask(":init", ":stop", "[:now]"))[0] is atom.badrpc
        assert await ask(":init", ":stop", "[]") is atom.ok
        await asyncio.shield(runtime.stopped)

    oracle.runner.run(with_node(oracle, real_epmd, body, ["init:stop"]))


def test_applications_are_started_and_stopped_by_peers_that_may(oracle: Oracle, real_epmd: RealEpmd) -> None:
    async def body(runtime: Runtime, ask: Any) -> None:
        spec = ApplicationSpec("shop", "cheese", "1.2", env={"limit": 5, "thing": object()})

        async def load() -> None:
            Application.load(spec)

        await runtime.run(load)
        assert await ask(":application", ":start", "[:shop]") is atom.ok
        assert await ask(":application", ":start", "[:shop]") == (atom.error, (atom.already_started, atom.shop))
        listed = await ask(":application", ":which_applications", "[]")
        assert (atom.shop, list(b"cheese"), list(b"1.2")) in listed
        assert await ask(":application", ":get_env", "[:shop, :limit]") == (atom.ok, 5)
        assert b"object" in (await ask("Application", ":get_env", "[:shop, :thing]"))
        assert await ask(":application", ":get_key", "[:shop, :vsn]") == (atom.ok, list(b"1.2"))
        assert await ask("Application", ":spec", "[:shop, :applications]") == []
        assert await ask(":application", ":stop", "[:shop]") is atom.ok
        assert await ask("Application", ":ensure_all_started", "[:shop]") == (atom.ok, [atom.shop])
        assert (await ask("Application", ":ensure_all_started", "[:absent]"))[0] is atom.error

    oracle.runner.run(with_node(oracle, real_epmd, body, ["application", "Elixir.Application", "json"]))
