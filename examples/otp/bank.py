"""A bank: an application, its tree, a process per account, a state machine per card, and a crash that nobody has to mind.

    python examples/otp/bank.py

prints

    ann has 100, bob has 20
    ann pays bob 30
    ann has 70, bob has 50
    ann pays eve 500: ann has only 70
    ann's account gets an order that nobody understands
    its process ended with ValueError: what is half a coin?
    ann has 70 again: another process, read from the ledger
    the card wants 1234 and gets 1111, 2222, 3333: wrong, wrong, blocked
    then the right one: blocked
    a while later: welcome, and 10 less
    ann has 60
    the registry is killed; what depends on it is started again
    ann has 60, bob has 50
    the bank is closed: 2 bookings in the ledger

    Bank                         the application
    └── bank (rest_for_one)      whoever is started later depends on those before
        ├── Ledger               every booking that was ever confirmed
        ├── accounts             registry: which process is whose account
        └── account_processes    dynamic supervisor
            ├── Account "ann"    what the ledger says of one customer, and the rules
            └── Account "bob"
"""

from __future__ import annotations

import logging
import math
from typing import Any

import beamish
from beamish import (
    Application,
    DynamicSupervisor,
    GenServer,
    GenStateMachine,
    Process,
    Registry,
    Supervisor,
    atom,
    call,
    cast,
    monitor,
    receive,
    whereis,
)
from beamish.errors import AlreadyStarted
from beamish.gen_state_machine import Keep, Next, StateTimeout, on


class Refused(Exception):
    """The customer asked for something that the bank does not do; no fault of the program."""


class Ledger(GenServer):
    """All bookings. It does little, so that little can go wrong; a real one would write to a database."""

    def init(self) -> None:
        self.bookings: list[tuple[str, str, int]] = []

    @call
    def book(self, payer: str, payee: str, amount: int) -> None:
        """Confirm a payment."""
        self.bookings.append((payer, payee, amount))

    @call
    def balance(self, owner: str) -> int:
        """What the bookings come to for one customer."""
        opening = {"ann": 100, "bob": 20}.get(owner, 0)
        return opening + sum(
            amount * ((payee == owner) - (payer == owner)) for payer, payee, amount in self.bookings
        )

    @call
    def count(self) -> int:
        """How many bookings there are."""
        return len(self.bookings)


class Account(GenServer):
    """One customer's account. What it must not lose is in the ledger; a fresh one reads it there."""

    async def init(self, owner: str) -> None:
        self.owner = owner
        self.amount = await Ledger.at("ledger").balance(owner)

    @call
    def balance(self) -> int:
        """Coins."""
        return self.amount

    @call(raises=(Refused,))
    async def pay(self, payee: str, amount: int) -> None:
        """Pay somebody. Raises Refused, at the caller, who may ask for anything."""
        if amount > self.amount:
            raise Refused(f"{self.owner} has only {self.amount}")
        await Ledger.at("ledger").book(self.owner, payee, amount)
        self.amount -= amount
        if payee_account := Registry.whereis("accounts", payee):
            Account.at(payee_account).receive(amount)

    @cast
    def receive(self, amount: float) -> None:
        """Money has come."""
        if amount != math.floor(amount):
            raise ValueError("what is half a coin?")
        self.amount += int(amount)


class Card(GenStateMachine):
    """A card: three wrong numbers block it for a while."""

    initial = "ready"

    def init(self, owner: str, pin: str) -> None:
        self.owner = owner
        self.pin = pin
        self.wrong = 0

    @on.call(state="ready")
    async def withdraw(self, pin: str, amount: int) -> Keep[str] | Next[str]:
        """Take money out of the machine."""
        if pin == self.pin:
            self.wrong = 0
            await (await account(self.owner)).pay("cash", amount)
            return Keep(reply="welcome")
        self.wrong += 1
        if self.wrong == 3:
            return Next("blocked", reply="blocked")
        return Keep(reply="wrong")

    @on.enter("blocked")
    def start_waiting(self) -> Keep:
        """It opens by itself."""
        return Keep(StateTimeout(0.2))

    @on.call("withdraw", state="blocked")
    def refuse(self, pin: str, amount: int) -> str:
        """Whatever the number."""
        return "blocked"

    @on.state_timeout("blocked")
    def open_again(self) -> Next:
        """The customer has had time to remember."""
        self.wrong = 0
        return Next("ready")


class Bank(Application):
    """The application: started and stopped as a whole."""

    name = "bank"

    async def start(self, start_type: str, args: Any) -> Any:
        """Start the tree and give its top."""
        return await Supervisor.start_link(
            [
                Ledger.child_spec(name="ledger"),
                Registry.child_spec(name="accounts"),
                DynamicSupervisor.child_spec(name="account_processes"),
            ],
            strategy="rest_for_one",
            name="bank",
        )


async def account(owner: str) -> Account:
    """The process of somebody's account, started if it is not there."""
    name = Registry.via("accounts", owner)
    if Registry.whereis("accounts", owner) is None:
        try:
            await DynamicSupervisor.start_child("account_processes", Account.child_spec(owner, name=name))
        except AlreadyStarted:
            pass  # somebody else has started it just now
    return Account.at(name)


async def balances(*owners: str) -> str:
    """Who has what."""
    return ", ".join([f"{owner} has {await (await account(owner)).balance()}" for owner in owners])


async def main() -> None:
    """A day at the bank."""
    await Application.ensure_all_started(Bank)
    print(await balances("ann", "bob"))

    ann = await account("ann")
    print("ann pays bob 30")
    await ann.pay("bob", 30)
    print(await balances("ann", "bob"))
    try:
        await ann.pay("eve", 500)
    except Refused as refusal:
        print(f"ann pays eve 500: {refusal}")

    before = ann.pid
    ref = monitor(before)
    print("ann's account gets an order that nobody understands")
    GenServer.cast(ann, (atom.receive, 0.5))
    reason = (await receive(ref))[4]
    print(f"its process ended with {reason[0].head}")
    while Registry.whereis("accounts", "ann") in (None, before):
        await Process.sleep(0.01)
    print(f"{await balances('ann')} again: another process, read from the ledger")

    card = await Card.start_link("ann", "1234")
    tried = [await card.withdraw(pin, 10) for pin in ("1111", "2222", "3333")]
    print(f"the card wants 1234 and gets 1111, 2222, 3333: {', '.join(tried)}")
    print(f"then the right one: {await card.withdraw('1234', 10)}")
    await Process.sleep(0.3)
    print(f"a while later: {await card.withdraw('1234', 10)}, and 10 less")
    print(await balances("ann"))

    print("the registry is killed; what depends on it is started again")
    ledger, registry = whereis("ledger"), whereis("accounts")
    assert registry is not None
    Process.exit(registry, atom.kill)
    while whereis("accounts") in (None, registry) or whereis("account_processes") is None:
        await Process.sleep(0.01)
    assert whereis("ledger") == ledger, "nothing that the ledger depends on has ended"
    print(await balances("ann", "bob"))

    count = await Ledger.at("ledger").count()
    await Application.stop("bank")
    print(f"the bank is closed: {count} bookings in the ledger")


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR, format="    | %(levelname)s %(message)s")
    beamish.run(main)
