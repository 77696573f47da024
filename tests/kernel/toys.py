"""A domain small enough to read at a glance, for tests of the machinery: accounts that are credited and debited."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import assert_never
from uuid import UUID

from patriot.kernel.aggregate import Decider
from patriot.kernel.bus import CommandBus, Gate, Handler
from patriot.kernel.codec import event
from patriot.kernel.errors import CommandRefused
from patriot.kernel.eventstore import Context, StreamKey


@event("toy.credited")
@dataclass(frozen=True, slots=True)
class Credited:
    account_id: UUID
    amount: Decimal


@event("toy.debited")
@dataclass(frozen=True, slots=True)
class Debited:
    account_id: UUID
    amount: Decimal


@event("toy.reserved")
@dataclass(frozen=True, slots=True)
class Reserved:
    amount: Decimal


ToyEvent = Credited | Debited


@dataclass(frozen=True, slots=True)
class Credit:
    account_id: UUID
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Debit:
    account_id: UUID
    amount: Decimal
    allowed: bool = True


@dataclass(frozen=True, slots=True)
class Reserve:
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Account:
    balance: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Limit:
    left: Decimal = Decimal(100)


def decide(account: Account, command: Credit | Debit) -> list[ToyEvent]:
    match command:
        case Credit() if not command.amount:
            return []
        case Credit():
            return [Credited(command.account_id, command.amount)]
        case Debit() if not command.allowed or command.amount > account.balance:
            raise CommandRefused(f"debit of {command.amount} from {account.balance}")
        case Debit():
            return [Debited(command.account_id, command.amount)]
        case _:
            assert_never(command)


def evolve(account: Account, happened: ToyEvent) -> Account:
    match happened:
        case Credited():
            return replace(account, balance=account.balance + happened.amount)
        case Debited():
            return replace(account, balance=account.balance - happened.amount)
        case _:
            assert_never(happened)


def decide_limit(limit: Limit, command: Reserve) -> list[Reserved]:
    """Small amounts pass without a reservation, others are reserved while they fit."""
    reserves = 1 < command.amount <= limit.left
    return [Reserved(command.amount)] if reserves else []


def evolve_limit(limit: Limit, happened: Reserved) -> Limit:
    return replace(limit, left=limit.left - happened.amount)


ACCOUNT: Decider[Account, Credit | Debit, ToyEvent] = Decider(Account(), decide, evolve)
LIMIT: Decider[Limit, Reserve, Reserved] = Decider(Limit(), decide_limit, evolve_limit)
LIMIT_STREAM = StreamKey("LIMIT", UUID(int=1))
CONTEXT = Context(UUID(int=7))


def account_stream(account_id: UUID) -> StreamKey:
    return StreamKey("TOY", account_id)


def admit(command: Debit, reserved: list[Reserved]) -> Debit:
    return replace(command, allowed=bool(reserved) or command.amount <= 1)


def register(bus: CommandBus) -> CommandBus:
    """Give a bus both commands; a debit has the limit as its gate."""
    gate: Gate[Debit] = Gate(lambda _: LIMIT_STREAM, LIMIT, lambda c: Reserve(c.amount), admit)
    bus.handle(Credit, Handler(lambda c: account_stream(c.account_id), ACCOUNT))
    bus.handle(Debit, Handler(lambda c: account_stream(c.account_id), ACCOUNT, gate))
    return bus
