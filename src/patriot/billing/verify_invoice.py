"""Check a PATRIOT invoice without PATRIOT: this one file, Python 3.9 or newer, nothing installed.

    python verify_invoice.py invoice.json
    python verify_invoice.py invoice.json --head HASH      (the seal printed on the invoice, or published)

The file holds every event of one account that the invoice was computed from. This program checks that nothing in it
was changed, dropped, added or moved (each event carries the SHA-256 of itself and of the event before it), then
computes the fee again from the beginning on, and compares every figure. It trusts no sum that it can compute.

The rule (docs/adr/0018-trading-result.md of PATRIOT says why): you pay a share of what our trading has earned you in
total, each time that total is higher than ever before.
 1. The result R is what our trades brought since you first agreed to terms: what we sold for, less what we bought for,
    less commission, plus funding and charges, plus what we still hold at its mark price. Money that you pay in or take
    out is not in it.
 2. A trade of our orders moves our position; what it takes out of yours the other way closes that, at the price of the
    trade, for the exchange holds one position. Any other trade (yours, or one that the exchange forced) first reduces
    your own position, then ours; what is left of it is yours. What you held when you linked the account is yours.
    Commission on our orders is ours. Other commission, funding and charges on what belongs to both of us are divided by
    size; a charge on no symbol is divided as the commission paid until then.
 3. A month counts with the lower of two figures: R at its end, and the average of R over the 24 hours before, looked at
    each five minutes (or since the terms began, if that is later). Nothing that happens later matters. The mark prices
    are in the file, and you can ask the exchange for them.
 4. Fee = rate x what the counted R stands above the highest one counted before (H, at first 0). Then H rises to it.
    A loss is never forgotten.
 5. The sum of all fees is rounded to the cent, half to even; a month's fee is what that sum grew by.
 6. What became known late corrects the month it belongs to, by a line on the next invoice. What you paid too much is a
    credit that the next fees use up.
 7. Quotients (averages and divided amounts) are rounded to 18 decimals, half to even. Nothing else is rounded.

Months that were closed before this rule, and files of format 1, are checked by the rule of their time
(docs/adr/0007-high-water-mark.md). If you had such months, R begins at the end of the last one, and H at what your
deposits then stood below their marks. The old rule:
 1. The account is divided into units. At its first sample of equity, one unit is worth 1 (its "NAV").
 2. A deposit buys units at the NAV right before it, and opens a lot. The lot remembers that NAV as its high-water
    mark.
 3. A withdrawal redeems the same fraction of every lot. Redeemed units are charged then, at the NAV right before it.
 4. At the end of a month, the NAV is averaged over 12 hours before and 12 hours after. Every lot whose mark is lower
    is charged: rate x units x (average NAV - mark), rounded to the cent. Its mark rises to the average NAV.
 5. Quotients are rounded to 18 decimals, a fee to 2, always half to even. Nothing else is rounded.

One file alone cannot show that somebody rewrote the whole history consistently. The seal can: it is the hash of the
invoice's own event, which seals everything below it. Compare it with the one on the invoice you were sent: --head.
"""

from __future__ import annotations

import argparse
import bisect
import copy
import hashlib
import json
import re
import sys
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

OLD_FORMAT = "patriot-invoice-proof/1"  # every month in it was closed by the old rule
FORMAT = "patriot-invoice-proof/2"  # its last month, at least, was closed by the new rule
NAMESPACE = uuid.UUID("5f0a3c52-3c0e-5a4b-9d0e-7a5d2f6b8c11")  # of PATRIOT's derived stream ids
EVENT_FIELDS = (  # what a hash covers, in this order
    *("stream_type", "stream_id", "stream_version", "event_id", "event_type", "schema_version", "occurred_at"),
    *("correlation_id", "causation_id", "user_id", "account_id", "actor_type", "actor_id", "data"),
)
HALF_WINDOW = timedelta(hours=12)
LARGEST_SAMPLE_GAP = timedelta(minutes=65)
WINDOW = timedelta(hours=24)  # of the new rule: before the end of a month
STEP = timedelta(minutes=5)
LARGEST_MARK_GAP = timedelta(minutes=10)
LARGEST_SAMPLE_AGE = timedelta(minutes=65)  # at the end of the record: samples are hourly
PAYMENT_TERM = timedelta(days=14)
WORTHLESS_NAV = Fraction(1, 1_000_000)  # below it, old units are dropped at the next transfer
PLAIN_NUMBER = re.compile(r"-?\d{1,60}(\.\d{1,60})?")
MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
REWRITTEN = ("billing.period_closed", "billing.fee_assessed", "billing.invoice_drafted", "billing.invoice_issued")
HAPPENED_AT = {  # the events of an account's books, and which field says when they moved R; None: they never do
    "account.trade_booked": "traded_at",
    "funding.paid": "funding_time",
    "account.charge_booked": "booked_at",
    "account.equity_sampled": "sampled_at",
    "account.ledger_opened": None,
    "account.transfer_recorded": None,
    "account.reconciled": None,
}
V = TypeVar("V")


class ProofBroken(Exception):
    """The file does not prove its invoice; the message says where."""


def verify(content: bytes, head: str | None = None) -> list[str]:
    """Return the explanation of a sound proof, line by line.

    Errors: ProofBroken with the first thing that does not fit.
    """
    try:
        proof = read_file(content)
        check_chains(proof)
        report = check_head(proof, head)
        return report + check_months(proof)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ProofBroken(f"the file is malformed: {type(error).__name__}: {error}") from error


# ---------------------------------------------------------------- 1. the file


def read_file(content: bytes) -> dict[str, Any]:
    """Read the file, which has exactly one way to be written: one changed character anywhere is seen."""
    text = content.decode("utf-8")
    proof = json.loads(text, parse_float=refuse_number, parse_constant=refuse_number)
    if proof.get("format") not in (OLD_FORMAT, FORMAT):
        raise ProofBroken(f"expected format {FORMAT} or {OLD_FORMAT}, found {proof.get('format')!r}")
    if set(proof) != {"format", "account_id", "period", "invoice", "terms", "balance", "months"}:
        raise ProofBroken(f"the file has other parts than expected: {sorted(proof)}")
    if json.dumps(proof, sort_keys=True, separators=(",", ":")) + "\n" != text:
        raise ProofBroken("the file was edited: it is not written the way PATRIOT writes it")
    return dict(proof)


def refuse_number(text: str) -> NoReturn:
    """Amounts are texts; a number with a fraction or an exponent has no place in the file."""
    raise ProofBroken(f"expected whole numbers only, found {text}")


# ---------------------------------------------------------------- 2. the hashes


def check_chains(proof: dict[str, Any]) -> None:
    """Check that each list of events is one whole stream of this account, from its first event on."""
    account = proof["account_id"]
    check_chain(proof["terms"], "BILLING_TERMS", account)
    check_chain(proof["balance"], "BALANCE", derived_id("balance", account))
    for month in proof["months"]:
        if set(month) != {"period", "events"}:
            raise ProofBroken(f"a month has other parts than expected: {sorted(month)}")
        check_chain(month["events"], "BILLING", derived_id("billing", account, month["period"]))


def check_chain(events: list[dict[str, Any]], stream_type: str, stream_id: str) -> None:
    """Check one stream: numbers 1, 2, 3, ... and every hash over the one before."""
    previous = bytes(32)
    for version, event in enumerate(events, start=1):
        name = f"{stream_type} event {version}"
        if set(event) != {*EVENT_FIELDS, "previous_hash", "event_hash"}:
            raise ProofBroken(f"{name} has other fields than expected: {sorted(event)}")
        if (event["stream_type"], event["stream_id"]) != (stream_type, stream_id):
            raise ProofBroken(f"{name} belongs to another stream")
        if event["stream_version"] != version:
            raise ProofBroken(
                f"{name} says that it is number {event['stream_version']}: one is missing, added or moved"
            )
        if event["previous_hash"] != previous.hex():
            raise ProofBroken(f"{name} does not follow the event before it")
        header = [str(event[key]) for key in EVENT_FIELDS]
        if any("\n" in part for part in header[:-1]):
            raise ProofBroken(f"{name} has a line break where none can be")
        previous = hashlib.sha256(previous + "\n".join(header).encode()).digest()
        if event["event_hash"] != previous.hex():
            raise ProofBroken(f"{name} ({event['event_type']}) was changed: its hash does not fit")


def check_head(proof: dict[str, Any], head: str | None) -> list[str]:
    """Compare the seal with the one that the reader brought."""
    seal = proof["months"][-1]["events"][2]["event_hash"]
    balance = proof["balance"][-1]["event_hash"]
    streams = f"{len(proof['balance'])} account events, {len(proof['terms'])} terms, {len(proof['months'])} months"
    report = [f"{streams}: every hash fits", f"seal of the invoice: {seal}"]
    if head is None:
        return [*report, "not compared with a seal from elsewhere (--head): a history rewritten as a whole would pass"]
    if head.lower() == seal:
        return [*report, "this is the seal you gave: nothing below it was rewritten"]
    if head.lower() == balance:
        return [*report, "your hash is the end of the account's events: these were not rewritten"]
    raise ProofBroken("the history was rewritten or is another one: the hash you gave is not in the file")


# ---------------------------------------------------------------- 3. the months


def check_months(proof: dict[str, Any]) -> list[str]:
    """Compute every month again, from the first to the one of the invoice."""
    ledger, report = Ledger(), []
    books = books_of(proof) if proof["format"] == FORMAT else []
    period = first_month(proof, ledger)
    for month in proof["months"]:
        if month["period"] != period:
            raise ProofBroken(f"expected the month {period}, found {month['period']}")
        report += check_month(proof, month, ledger, books)
        period = month_end(period).strftime("%Y-%m")
    last = proof["months"][-1]
    if last["period"] != proof["period"]:
        raise ProofBroken(f"the invoice is for {proof['period']}, the last month in the file is {last['period']}")
    if ledger.known != len(proof["balance"]):
        raise ProofBroken(f"the invoice knew {ledger.known} account events, the file has {len(proof['balance'])}")
    if proof["invoice"] != invoice_of(last["events"]):
        raise ProofBroken("the invoice at the head of the file is not the one in its events")
    if proof["format"] == FORMAT and not ledger.result.months:
        raise ProofBroken(f"expected format {OLD_FORMAT} where every month was closed by the old rule, found {FORMAT}")
    return report + payments(last["events"], proof["invoice"])


def first_month(proof: dict[str, Any], ledger: Ledger) -> str:
    """Return the month that the file must begin with: by the new rule the one in which the terms began."""
    first = proof["months"][0]["events"][0]
    if proof["format"] == OLD_FORMAT or first["schema_version"] == 1:
        known = len(proof["balance"])
        if proof["format"] == FORMAT:
            known = int(json.loads(first["data"])["facts"]["last_version"])
        _, _, samples = money_facts(proof["balance"][:known], proof["account_id"])
        return samples[0].at.strftime("%Y-%m")
    terms = json.loads(proof["terms"][0]["data"])
    ledger.result.begins_at = max(moment(terms["agreed_at"]), month_start(terms["effective_from"]))
    return ledger.result.begins_at.strftime("%Y-%m")


def check_month(proof: dict[str, Any], month: dict[str, Any], ledger: Ledger, books: list[dict[str, Any]]) -> list[str]:
    """Compute one month, compare it with what was booked, and say how it came about."""
    period = month["period"]
    types = [event["event_type"] for event in month["events"][:3]]
    if types[:2] != ["billing.period_closed", "billing.fee_assessed"]:
        raise ProofBroken(f"month {period} does not begin with its books: {types}")
    new = rule_of(proof, month, ledger)
    closed, assessed, invoice = (json.loads(event["data"]) for event in month["events"][:3])
    terms = terms_known(proof["terms"], closed["terms_hash"], proof["account_id"], period)
    rate = number(terms["fee_rate"])
    if new:
        booked = compute_result(proof, period, closed, ledger, books, rate)
    else:
        booked = compute_month(proof, period, closed, ledger)
        for line in booked["lines"]:
            line["fee"] = round(rate * line["units"] * max(Fraction(0), line["nav"] - line["high_water_mark"]), 2)
        ledger.result.begin_after(booked)
    booked["user_id"] = terms["user_id"]
    common = {key: booked[key] for key in ("account_id", "user_id", "period", "lines")}
    total = sum((line["fee"] for line in booked["lines"]), Fraction(0))
    compare("period_closed", {k: v for k, v in booked.items() if k != "lines"}, closed)
    compare(
        "fee_assessed", {**common, "fee_rate": rate, "fee_amount": total, "assessed_at": booked["closed_at"]}, assessed
    )
    number_text = f"{period}-{derived_id('billing', proof['account_id'], period)[-12:].upper()}"
    common.update({"number": number_text, "asset": booked["asset"], "fee_rate": rate, "total": total})
    check_invoice(month, common, booked, invoice)
    ledger.seal = month["events"][2]["event_hash"]
    return explain_result(booked, rate, total) if new else explain(period, booked, rate, total)


def rule_of(proof: dict[str, Any], month: dict[str, Any], ledger: Ledger) -> bool:
    """Tell whether a month was closed by the new rule; its events are then of their second version.

    A draft of the old rule may have been approved after the new one came: its invoice is of the second version.
    """
    new = bool(proof["format"] == FORMAT and month["events"][0]["schema_version"] == 2)
    if not new and ledger.result.months:
        raise ProofBroken(f"month {month['period']} was closed by the old rule, and one before it by the new rule")
    for index, event in enumerate(month["events"]):
        kind, version = event["event_type"], event["schema_version"]
        approved = kind == "billing.invoice_issued" and index > 2
        expected = [2] if new and kind in REWRITTEN else [1, 2] if approved else [1]
        if version not in expected:
            raise ProofBroken(f"month {month['period']} holds an event of a version unknown to this program")
    return new


def terms_known(events: list[dict[str, Any]], terms_hash: str, account: str, period: str) -> dict[str, Any]:
    """Return the terms of a month: the last ones agreed up to the sealed event that hold from that month or before."""
    found: dict[str, Any] = {}
    for event in events:
        terms = json.loads(event["data"])
        if (
            event["event_type"] != "billing.terms_agreed"
            or event["schema_version"] != 1
            or terms["account_id"] != account
        ):
            raise ProofBroken("the terms are of another account, or of a version unknown to this program")
        if terms["effective_from"] <= period:
            found = {**terms}
        if event["event_hash"] == terms_hash:
            if not found:
                raise ProofBroken(f"no terms were agreed for {period}")
            return {**found, "user_id": terms["user_id"]}
    raise ProofBroken(f"the terms that {period} was closed with are not in the file")


def compute_month(proof: dict[str, Any], period: str, closed: dict[str, Any], ledger: Ledger) -> dict[str, Any]:
    """Return the books of a month in the words of its event, with lines that have no fee yet; move the ledger on."""
    known = int(closed["facts"]["last_version"])
    events = proof["balance"][:known]
    asset, flows, samples = money_facts(events, proof["account_id"])
    closed_at, final = moment(closed["closed_at"]), closed["final"] is True
    end = min(month_end(period), closed_at) if final else month_end(period)
    window_end = month_end(period) + HALF_WINDOW
    window_end = min(window_end, closed_at) if final else window_end
    if closed_at < window_end or known < ledger.known:
        raise ProofBroken(f"month {period} was closed before its time")
    open_flows = [flow for flow in flows if flow.version not in ledger.settled]
    late = any(
        ledger.closed_at and flow.transferred_at <= ledger.closed_at and flow.version > ledger.known
        for flow in open_flows
    )
    samples = [s for s in samples if (ledger.closed_at is None or s.at > ledger.closed_at) and s.at <= window_end]
    opening = ledger.account.equity
    curve = [Point(ledger.closed_at, ledger.account.nav(), ledger.account.series)] if ledger.closed_at else []
    account, lines, net, settled = play(ledger.account, open_flows, samples, end, curve)
    ledger.settled |= settled
    before = [lot.as_claimed() for lot in account.lots]
    window = (end - HALF_WINDOW, window_end)
    nav = average_nav(curve, account, window) if account.lots else None
    gap = largest_gap(curve, window) if account.lots else timedelta(0)
    if nav is not None:
        for lot in account.lots:
            lines.append(line_of("PERIOD_END", lot, end, lot.units, nav))
            lot.mark = max(lot.mark, nav)
    previous_seal = ledger.seal
    ledger.account, ledger.closed_at, ledger.known = account, end, known
    return {
        "account_id": proof["account_id"],
        "period": period,
        "asset": asset,
        "final": final,
        "period_end": end,
        "window_start": window[0],
        "window_end": window[1],
        "opening_equity": opening,
        "closing_equity": account.equity,
        "net_deposits": net,
        "crystallization_nav": nav,
        "largest_gap_seconds": gap // timedelta(seconds=1),
        "review_reasons": ["SAMPLE_GAP"] * (gap > LARGEST_SAMPLE_GAP) + ["LATE_TRANSFER"] * late,
        "lots_before": before,
        "lots_after": [lot.as_claimed() for lot in account.lots],
        "lots_opened": account.lots_opened,
        "series": account.series,
        "unsettled_flows": sorted(flow.version for flow in open_flows if flow.version not in ledger.settled),
        "facts": {
            "first_version": 1,
            "last_version": known,
            "first_event_id": events[0]["event_id"],
            "last_event_id": events[-1]["event_id"],
            "head_hash": events[-1]["event_hash"],
        },
        "terms_hash": closed["terms_hash"],  # looked up by terms_known
        "previous_close_hash": previous_seal,
        "closed_at": closed_at,
        "lines": lines,
    }


# ---------------------------------------------------------------- 4. the old rule: samples and transfers of a month


@dataclass
class Sample:
    """What the exchange said the account was worth."""

    version: int
    equity: Fraction
    at: datetime


@dataclass
class Flow:
    """A transfer in (positive) or out (negative), and the sample that was taken because of it."""

    version: int
    amount: Fraction
    transferred_at: datetime
    sample: Sample | None


@dataclass
class Point:
    """The NAV from a sample on, until the next one; nothing while no unit is out."""

    at: datetime
    nav: Fraction | None
    series: int


def money_facts(events: list[dict[str, Any]], account: str) -> tuple[str, list[Flow], list[Sample]]:
    """Return asset, transfers, and samples in order of time.

    The sample taken for a transfer is the first of its kind behind it in the stream (or any, if there is none): it
    contains the transfer, whatever the clocks say. Other samples dated between the two are left out.
    """
    asset, samples, certain, transfers = "", [], [], []
    for event in events:
        kind, data, version = event["event_type"], json.loads(event["data"]), event["stream_version"]
        if kind not in ("account.equity_sampled", "account.transfer_recorded"):
            continue  # funding and reconciliations are inside the equity
        if event["schema_version"] != 1 or data["account_id"] != account:
            raise ProofBroken(f"BALANCE event {version} is of another account, or of a version unknown to this program")
        if kind == "account.transfer_recorded":
            transfers.append((version, data))
            continue
        asset = asset or data["asset"]
        samples.append(Sample(version, number(data["equity"]), moment(data["sampled_at"])))
        if data["reason"] in ("TRANSFER", "LINKED"):
            certain.append(samples[-1])
    flows = []
    for version, data in transfers:
        if data["asset"] == asset:
            behind = [s for s in certain if s.version > version] or [s for s in samples if s.version > version]
            own = behind[0] if behind else None
            flows.append(Flow(version, number(data["amount"]), moment(data["transferred_at"]), own))
    sure = [sample for sample in samples if not any(is_doubtful(sample, flow) for flow in flows)]
    return asset, flows, sorted(sure, key=lambda sample: (sample.at, sample.version))


def is_doubtful(sample: Sample, flow: Flow) -> bool:
    """Tell whether nobody can say if a sample contains a transfer: it is dated between this and its own sample."""
    if sample is flow.sample or sample.at < flow.transferred_at:
        return False
    return flow.sample is None or sample.at <= flow.sample.at


def contains(sample: Sample, flow: Flow) -> bool:
    """Tell whether a sample contains a transfer: it is the transfer's own, or later."""
    return flow.sample is not None and (flow.sample.at, flow.sample.version) <= (sample.at, sample.version)


def play(
    account: Account, flows: list[Flow], samples: list[Sample], end: datetime, curve: list[Point]
) -> tuple[Account, list[dict[str, Any]], Fraction, set[int]]:
    """Walk through the samples; return the account, lines, net deposits and settled transfers as the period ends.

    The samples after the end only draw the NAV curve on: what they settle belongs to the next month.
    """
    running = copy.deepcopy(account)
    at_end, lines, net, settled = running, [], Fraction(0), set()
    for sample in samples:
        contained = [flow for flow in flows if contains(sample, flow)]
        flows = [flow for flow in flows if not contains(sample, flow)]
        if sample.at > end and at_end is running:
            running = copy.deepcopy(running)
        deposited, redeemed = running.take_sample(sample.equity, contained, sample.at)
        curve.append(Point(sample.at, running.nav(), running.series))
        if sample.at <= end:
            net += deposited
            lines += redeemed
            settled |= {flow.version for flow in contained}
    return at_end, lines, net, settled


def average_nav(curve: list[Point], account: Account, window: tuple[datetime, datetime]) -> Fraction | None:
    """Average the NAV over the window, each value weighted with the time from its sample to the next."""
    weighted, weight = Fraction(0), 0
    for index, point in enumerate(curve):
        until = curve[index + 1].at if index + 1 < len(curve) else window[1]
        time = (min(until, window[1]) - max(point.at, window[0])) // timedelta(microseconds=1)
        if time > 0 and point.nav is not None and point.series == account.series:
            weighted += point.nav * time
            weight += time
    return rounded(weighted / weight) if weight else account.nav()


def largest_gap(curve: list[Point], window: tuple[datetime, datetime]) -> timedelta:
    """Return the longest time without a sample that reaches into the window."""
    largest = timedelta(0)
    for index, point in enumerate(curve):
        until = curve[index + 1].at if index + 1 < len(curve) else window[1]
        if until > window[0]:
            largest = max(largest, until - point.at)
    return largest


# ---------------------------------------------------------------- 5. the old rule: the account in units


@dataclass
class Lot:
    """What one deposit bought."""

    number: int
    opened_at: datetime
    units: Fraction
    mark: Fraction

    def as_claimed(self) -> dict[str, Any]:
        """Return the lot in the words of the events."""
        return {
            "number": self.number,
            "opened_at": self.opened_at,
            "units": self.units,
            "high_water_mark": self.mark,
        }


@dataclass
class Account:
    """The account between two samples; `series` counts how often it began again with NAV 1."""

    lots: list[Lot] = field(default_factory=list)
    lots_opened: int = 0
    series: int = 0
    equity: Fraction = Fraction(0)

    def units(self) -> Fraction:
        """Return the units of all lots."""
        return sum((lot.units for lot in self.lots), Fraction(0))

    def nav(self) -> Fraction | None:
        """Return what one unit is worth; nothing while there is none."""
        return rounded(self.equity / self.units()) if self.lots else None

    def take_sample(self, equity: Fraction, flows: list[Flow], at: datetime) -> tuple[Fraction, list[dict[str, Any]]]:
        """Settle the transfers that a sample contains; return the net deposit and what was redeemed (rules 1 to 3)."""
        net = sum((flow.amount for flow in flows), Fraction(0))
        before, units = equity - net, self.units()
        if not self.lots:
            net = equity - self.equity  # with no unit out, all there is is capital
        if not self.lots or (flows and rounded(before / units) < WORTHLESS_NAV):
            self.begin(equity, at)
            return net, []
        nav = rounded(before / units)
        redeemed = []
        running = before
        for flow in flows:
            if flow.amount > 0:
                self.lots_opened += 1
                bought = rounded(flow.amount * units / before)
                self.lots.append(Lot(self.lots_opened, at, bought, nav))
            elif flow.amount < 0:
                redeemed += self.redeem(-flow.amount, running, nav, at)
            self.lots = [lot for lot in self.lots if lot.units > 0]
            running += flow.amount
        self.equity = equity
        return net, redeemed

    def begin(self, equity: Fraction, at: datetime) -> None:
        """Start with one lot at NAV 1."""
        self.lots, self.equity = [], equity
        if equity > 0:
            self.lots_opened += 1
            self.series += 1
            self.lots = [Lot(self.lots_opened, at, equity, Fraction(1))]

    def redeem(self, amount: Fraction, equity: Fraction, nav: Fraction, at: datetime) -> list[dict[str, Any]]:
        """Take the same fraction of units out of every lot."""
        lines = []
        for lot in self.lots:
            units = lot.units if amount >= equity else rounded(lot.units * amount / equity)
            lines.append(line_of("REDEMPTION", lot, at, units, nav))
            lot.units -= units
        return lines


def line_of(kind: str, lot: Lot, at: datetime, units: Fraction, nav: Fraction) -> dict[str, Any]:
    """Return an invoice line without its fee."""
    return {"kind": kind, "lot": lot.number, "at": at, "units": units, "high_water_mark": lot.mark, "nav": nav}


@dataclass
class Ledger:
    """What is carried from month to month."""

    account: Account = field(default_factory=Account)
    closed_at: datetime | None = None
    known: int = 0  # number of account events when the last month was closed
    settled: set[int] = field(default_factory=set)
    seal: str = ""
    result: ResultLedger = field(default_factory=lambda: ResultLedger())


# ---------------------------------------------------------------- 6. the new rule: the account's books


@dataclass
class Steps(Generic[V]):
    """A value that changes at moments, each a pair of (time, number of the event)."""

    start: V
    moments: list[tuple[datetime, int]] = field(default_factory=list)
    values: list[V] = field(default_factory=list)

    def change(self, when: tuple[datetime, int], value: V) -> None:
        """Let the value be another one from a moment on, which is later than those before."""
        self.moments.append(when)
        self.values.append(value)

    def at(self, when: tuple[datetime, int]) -> V:
        """Return the value at a moment, what changed at that very moment included."""
        index = bisect.bisect_right(self.moments, when)
        return self.values[index - 1] if index else self.start


@dataclass
class Holding:
    """One symbol: our position, and our share of what was held last by both (yours counts as the rest)."""

    ours: Steps[Fraction] = field(default_factory=lambda: Steps(Fraction(0)))
    share: Steps[Fraction] = field(default_factory=lambda: Steps(Fraction(0)))


@dataclass
class Course:
    """How R went: cash, and each symbol's holding, over time."""

    cash: Steps[Fraction]
    holdings: dict[str, Holding]

    def held(self, at: datetime) -> dict[str, Fraction]:
        """Return what we held at a moment, by symbol; only what is not zero."""
        found = {symbol: holding.ours.at((at, LAST)) for symbol, holding in self.holdings.items()}
        return {symbol: quantity for symbol, quantity in sorted(found.items()) if quantity}


LAST = sys.maxsize  # after every event of a moment


def books_of(proof: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the account's events, with their number and the time at which they moved R (None if they did not)."""
    books, trades = [], set()
    for event in proof["balance"]:
        kind, version, data = event["event_type"], event["stream_version"], json.loads(event["data"])
        if kind not in HAPPENED_AT:
            raise ProofBroken(f"BALANCE event {version} ({kind}) is of a kind unknown to this program")
        if event["schema_version"] != 1 or data["account_id"] != proof["account_id"]:
            raise ProofBroken(f"BALANCE event {version} is of another account, or of a version unknown to this program")
        name = HAPPENED_AT[kind]
        moves = name is not None and (kind != "account.equity_sampled" or data["reason"] == "LINKED")
        when = (moment(data[name]), version) if name is not None and moves else None
        books.append({"kind": kind, "version": version, "when": when, "data": data})
        if kind == "account.trade_booked":
            trade = (data["symbol"], data["trade_id"])
            if trade in trades:
                raise ProofBroken(f"BALANCE event {version}: the trade {trade[1]} of {trade[0]} is booked twice")
            trades.add(trade)
    return books


def course_of(books: list[dict[str, Any]], asset: str) -> Course:
    """Return how R went by what is in the books: first who held what (rule 2), then what it brought (rules 1 and 2)."""
    facts = sorted((fact for fact in books if fact["when"]), key=lambda fact: fact["when"])
    holdings, moved = holdings_of(facts)
    paid, all_paid = Steps(Fraction(0)), Steps(Fraction(0))
    cash = Steps(Fraction(0))
    for fact in facts:
        when, data, kind = fact["when"], fact["data"], fact["kind"]
        amount = Fraction(0)
        if kind == "account.trade_booked":
            ours, quantity, commission = moved[when], number(data["quantity"]), number(data["commission_value"])
            share = Fraction(1) if data["origin"] == "PATRIOT" else abs(ours) / quantity if quantity else Fraction(0)
            fee = portion(commission, share)
            paid.change(when, paid.at(when) + fee)
            all_paid.change(when, all_paid.at(when) + commission)
            amount = -ours * number(data["price"]) - fee
        elif kind == "funding.paid" and data["asset"] == asset:
            amount = portion(number(data["amount"]), share_of(holdings, data["symbol"], when))
        elif kind == "account.charge_booked":
            whole = all_paid.at(when)
            by_commission = paid.at(when) / whole if whole else Fraction(0)
            share = share_of(holdings, data["symbol"], when) if data["symbol"] else by_commission
            amount = portion(number(data["value"]), share)
        if amount:
            cash.change(when, cash.at(when) + amount)
    return Course(cash, holdings)


def holdings_of(facts: list[dict[str, Any]]) -> tuple[dict[str, Holding], dict[tuple[datetime, int], Fraction]]:
    """Return each symbol's holding over time, and how much each trade moved our position."""
    holdings: dict[str, Holding] = {}
    yours: dict[str, Fraction] = {}
    moved: dict[tuple[datetime, int], Fraction] = {}
    for fact in facts:
        when, data = fact["when"], fact["data"]
        touched: dict[str, Fraction] = {}  # what our position moves by
        if fact["kind"] == "account.trade_booked":
            symbol = data["symbol"]
            signed = {"BUY": 1, "SELL": -1}[data["side"]] * number(data["quantity"])
            ours = holdings[symbol].ours.at(when) if symbol in holdings else Fraction(0)
            from_ours = our_part(data["origin"], signed, ours, yours.get(symbol, Fraction(0)))
            moved[when] = touched[symbol] = from_ours
            yours[symbol] = yours.get(symbol, Fraction(0)) + signed - from_ours
        elif fact["kind"] == "account.equity_sampled":
            for position in data["positions"]:
                symbol = position["symbol"]
                touched[symbol] = Fraction(0)
                ours = holdings[symbol].ours.at(when) if symbol in holdings else Fraction(0)
                yours[symbol] = number(position["quantity"]) - ours
        for symbol, change in touched.items():
            holding = holdings.setdefault(symbol, Holding())
            ours = holding.ours.at(when) + change
            whole = abs(ours) + abs(yours.get(symbol, Fraction(0)))
            holding.ours.change(when, ours)
            if whole:
                holding.share.change(when, abs(ours) / whole)
    return holdings, moved


def our_part(origin: str, signed: Fraction, ours: Fraction, yours: Fraction) -> Fraction:
    """Return how much of a trade moves our position (rule 2)."""
    if origin == "PATRIOT":
        return signed - closing(yours, ours + signed)
    if origin not in ("CLIENT", "EXCHANGE"):
        raise ProofBroken(f"nobody is known by the name {origin!r}, to whom a trade is said to belong")
    return closing(ours, signed - closing(yours, signed))


def closing(held: Fraction, signed: Fraction) -> Fraction:
    """Return how much of a trade brings a position nearer to zero."""
    if signed > 0:
        return min(signed, max(-held, Fraction(0)))
    return max(signed, min(-held, Fraction(0)))


def share_of(holdings: dict[str, Holding], symbol: str, when: tuple[datetime, int]) -> Fraction:
    """Return our share of a symbol's position, as it is or was last held."""
    return holdings[symbol].share.at(when) if symbol in holdings else Fraction(0)


def portion(amount: Fraction, share: Fraction) -> Fraction:
    """Return our part of an amount: all of it, or rounded to 18 decimals."""
    return amount if share == 1 else rounded(amount * share)


# ---------------------------------------------------------------- 7. the new rule: R at the cut and in the day before


@dataclass
class Cut:
    """A month by the new rule: when it is counted, and what was billed for it so far."""

    period: str
    rate: Fraction
    begins_at: datetime
    at: datetime
    billed: Fraction = Fraction(0)

    def window_start(self) -> datetime:
        """Return from when R is averaged."""
        return max(self.begins_at, self.at - WINDOW)

    def looks(self) -> tuple[list[datetime], list[datetime]]:
        """Return the moments, each five minutes back from the cut, and the same with the window's start before them."""
        looks = [self.at]
        while looks[-1] - STEP >= self.window_start():
            looks.append(looks[-1] - STEP)
        looks.reverse()
        return looks, looks if looks[0] == self.window_start() else [self.window_start(), *looks]


@dataclass
class Marks:
    """The mark prices in the file, by symbol and minute; None where the exchange has none."""

    prices: dict[tuple[str, datetime], Fraction | None] = field(default_factory=dict)

    def take(self, series: dict[str, Any]) -> None:
        """Take in a series; where two say a price, the later close holds."""
        for index, price in enumerate(series["prices"]):
            minute = moment(series["first_at"]) + index * STEP
            self.prices[series["symbol"], minute] = None if price is None else number(price)

    def latest(self, symbol: str, at: datetime, since: datetime) -> tuple[Fraction, timedelta]:
        """Return the price at a moment, or the last one before it in the window, and how old it is."""
        minute = minute_of(at)
        while minute >= minute_of(since):
            price = self.prices.get((symbol, minute))
            if price is not None:
                return price, minute_of(at) - minute
            minute -= STEP
        raise ProofBroken(f"no mark price of {symbol} is known at {minute_of(at).isoformat()}")


def minute_of(at: datetime) -> datetime:
    """Return the minute that a moment lies in."""
    return at.replace(second=0, microsecond=0)


def marks_needed(course: Course, cuts: list[Cut], marks: Marks) -> list[tuple[str, datetime, int]]:
    """Return the series (symbol, first minute, count) that a close needs and the ones before it did not bring."""
    needed = set()
    for cut in cuts:
        grid, looks = cut.looks()
        for at in {cut.begins_at, *looks}:
            first, count = (at, 1) if at == cut.begins_at else (grid[0], len(grid))
            for symbol in course.held(at):
                if (symbol, minute_of(at)) not in marks.prices:
                    needed.add((symbol, minute_of(first), count))
    return sorted(needed)


def check_marks(period: str, needed: list[tuple[str, datetime, int]], claimed: list[dict[str, Any]]) -> None:
    """Check that a month brings the mark prices that it needs, no fewer and no more, in their order."""
    if any(set(series) != {"symbol", "first_at", "prices"} for series in claimed):
        raise ProofBroken(f"the mark prices of {period} have other parts than expected")
    found = [(series["symbol"], moment(series["first_at"]), len(series["prices"])) for series in claimed]
    for what, rest in (("lacks", needed), ("has needless", found)):
        others = found if rest is needed else needed
        for symbol, first, count in rest:
            if (symbol, first, count) not in others:
                raise ProofBroken(f"{period} {what} mark prices of {symbol}: {count} from {first.isoformat()} on")
    if found != needed:
        raise ProofBroken(f"the mark prices of {period} are repeated or in another order")


def result_of(course: Course, cut: Cut, marks: Marks) -> tuple[Fraction, Fraction, timedelta]:
    """Return R at a cut, its mean over the window, and the longest time that a mark price was old (rules 1 and 3)."""
    gaps = [timedelta(0)]

    def worth(at: datetime) -> Fraction:
        value = course.cash.at((at, LAST))
        since = at if at == cut.begins_at else cut.window_start()
        for symbol, quantity in course.held(at).items():
            price, age = marks.latest(symbol, at, since)
            gaps.append(age)
            value += quantity * price
        return value

    base = worth(cut.begins_at)
    _, looks = cut.looks()
    results = [worth(at) - base for at in looks]
    area = Fraction(0)
    for index in range(1, len(looks)):
        area += results[index - 1] * ((looks[index] - looks[index - 1]) // timedelta(microseconds=1))
    length = (looks[-1] - looks[0]) // timedelta(microseconds=1)
    return results[-1], rounded(area / length) if length else results[-1], max(gaps)


# ---------------------------------------------------------------- 8. the new rule: what is owed


@dataclass
class ResultLedger:
    """What the new rule carries from month to month."""

    begins_at: datetime = field(init=False)  # known before the first month
    high: Fraction = Fraction(0)  # H before the first month
    credit: Fraction = Fraction(0)
    months: list[Cut] = field(default_factory=list)
    marks: Marks = field(default_factory=Marks)

    def begin_after(self, booked: dict[str, Any]) -> None:
        """Begin where a month of the old rule ended, with what its lots stood below their marks as a loss."""
        self.begins_at = booked["period_end"]
        nav = booked["crystallization_nav"] or Fraction(0)
        below = [lot["units"] * (lot["high_water_mark"] - nav) for lot in booked["lots_after"]]
        self.high = sum((loss for loss in below if loss > 0), Fraction(0))


def compute_result(
    proof: dict[str, Any],
    period: str,
    closed: dict[str, Any],
    ledger: Ledger,
    books: list[dict[str, Any]],
    rate: Fraction,
) -> dict[str, Any]:
    """Return the books of a month in the words of its event, and its lines; move the ledger on."""
    result, known = ledger.result, int(closed["facts"]["last_version"])
    closed_at, final = moment(closed["closed_at"]), closed["final"] is True
    end = moment(closed["period_end"]) if final else month_end(period)
    if min(closed_at, month_end(period)) < end or end < result.begins_at or known < ledger.known:
        raise ProofBroken(f"month {period} was closed before its time")
    asset = next(
        fact["data"]["asset"] for fact in books if fact["kind"] in ("account.ledger_opened", "account.equity_sampled")
    )
    course = course_of(books[:known], asset)
    cut = Cut(period, rate, result.begins_at, end)
    cuts = [*result.months, cut]
    check_marks(period, marks_needed(course, cuts, result.marks), closed["marks"])
    for series in closed["marks"]:
        result.marks.take(series)
    figures = [result_of(course, one, result.marks) for one in cuts]
    lines, high, fees = fee_lines(result, cuts, figures)
    credit = settle_credit(result.credit, lines)
    at_cut, mean, gap = figures[-1]
    billed = {line["period"] for line in lines if line["kind"] != "CREDIT"}  # this month, and those it corrects
    gaps = [figures[index][2] for index, one in enumerate(cuts) if one.period in billed]
    events = proof["balance"][:known]
    booked = {
        "account_id": proof["account_id"],
        "period": period,
        "rule": "RESULT",
        "asset": asset,
        "final": final,
        "begins_at": cut.begins_at,
        "window_start": cut.window_start(),
        "period_end": end,
        "result_at_cut": at_cut,
        "mean_result": mean,
        "counted_result": min(at_cut, mean),
        "high_before": lines[0]["high_before"],
        "high_after": high,
        "fees": fees,
        "credit_before": result.credit,
        "credit_after": credit,
        "marks": closed["marks"],  # checked by check_marks
        "largest_gap_seconds": gap // timedelta(seconds=1),
        "review_reasons": reasons_to_review(books[:known], end, max(gaps), final=final),
        "facts": {
            "first_version": 1,
            "last_version": known,
            "first_event_id": events[0]["event_id"],
            "last_event_id": events[-1]["event_id"],
            "head_hash": events[-1]["event_hash"],
        },
        "terms_hash": closed["terms_hash"],  # looked up by terms_known
        "previous_close_hash": ledger.seal,
        "closed_at": closed_at,
        "lines": lines,
    }
    result.months, result.credit, ledger.known = cuts, credit, known
    return booked


def fee_lines(
    result: ResultLedger, cuts: list[Cut], figures: list[tuple[Fraction, Fraction, timedelta]]
) -> tuple[list[dict[str, Any]], Fraction, Fraction]:
    """Return the month's own line and then the corrections of earlier months, H after, and all fees (rules 4 to 6).

    What each month was billed so far is kept with it.
    """
    high, fees, lines = result.high, Fraction(0), []
    for index, cut in enumerate(cuts):
        at_cut, mean, _ = figures[index]
        counted = min(at_cut, mean)
        owed = fees + cut.rate * max(Fraction(0), counted - high)
        due = round(owed, 2) - round(fees, 2) - cut.billed
        own = cut is cuts[-1]
        if own or due:
            line = {"kind": "PERFORMANCE" if own else "CORRECTION", "period": cut.period, "counted_result": counted}
            line.update({"high_before": high, "fee_rate": cut.rate, "fee": due})
            lines.append(line)
        cut.billed += due
        high, fees = max(high, counted), owed
    return [lines[-1], *lines[:-1]], high, fees


def settle_credit(credit: Fraction, lines: list[dict[str, Any]]) -> Fraction:
    """Add the line that uses credit up, or keeps it for later; return the credit that is left (rule 6)."""
    left = max(Fraction(0), credit - sum((line["fee"] for line in lines), Fraction(0)))
    if left != credit:
        lines.append({**lines[0], "kind": "CREDIT", "fee": left - credit})
    return left


def reasons_to_review(books: list[dict[str, Any]], end: datetime, gap: timedelta, *, final: bool) -> list[str]:
    """Return why a person must look at the invoice before it goes out."""
    unexplained, behind = False, True
    since = end - LARGEST_SAMPLE_AGE if final else end
    for fact in books:
        if fact["kind"] == "account.reconciled":
            unexplained = number(fact["data"]["unexplained"]) != 0
        elif fact["kind"] == "account.equity_sampled" and moment(fact["data"]["sampled_at"]) >= since:
            behind = False
    found = {"UNEXPLAINED_MONEY": unexplained, "BOOKS_BEHIND": behind, "MARK_GAP": gap > LARGEST_MARK_GAP}
    return [reason for reason, holds in found.items() if holds]


# ---------------------------------------------------------------- 9. what was booked


def check_invoice(month: dict[str, Any], common: dict[str, Any], booked: dict[str, Any], first: dict[str, Any]) -> None:
    """Compare the invoice, or its draft and then the invoice, with what was computed."""
    issues = [json.loads(e["data"]) for e in month["events"] if e["event_type"] == "billing.invoice_issued"]
    drafted = month["events"][2]["event_type"] == "billing.invoice_drafted"
    if drafted != bool(booked["review_reasons"]) or len(issues) > 1 or (not drafted and not issues):
        raise ProofBroken(f"month {month['period']} does not lead to one invoice")
    if drafted:
        draft = {**common, "review_reasons": booked["review_reasons"], "drafted_at": booked["closed_at"]}
        compare("invoice_drafted", draft, first)
    for issue in issues:
        issued_at = moment(issue["issued_at"]) if drafted else booked["closed_at"]
        approved_by = issue["approved_by"] if drafted else ""
        issued = {"approved_by": approved_by, "issued_at": issued_at, "due_at": issued_at + PAYMENT_TERM}
        compare("invoice_issued", {**common, **issued, "lines": lines_as_issued(month, common)}, issue)


def lines_as_issued(month: dict[str, Any], common: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines as the invoice names them: one approved after the new rule came shows a lot in its words."""
    versions = [e["schema_version"] for e in month["events"] if e["event_type"] == "billing.invoice_issued"]
    lines: list[dict[str, Any]] = common["lines"]
    if versions != [2] or month["events"][0]["schema_version"] == 2:
        return lines
    return [
        {
            "kind": line["kind"],
            "period": common["period"],
            "counted_result": line["units"] * line["nav"],
            "high_before": line["units"] * line["high_water_mark"],
            "fee_rate": common["fee_rate"],
            "fee": line["fee"],
        }
        for line in lines
    ]


def invoice_of(events: list[dict[str, Any]]) -> Any:
    """Return the issued invoice of a month, or its draft."""
    issued = [event for event in events if event["event_type"] == "billing.invoice_issued"]
    return json.loads((issued or [events[2]])[-1]["data"])


def payments(events: list[dict[str, Any]], invoice: dict[str, Any]) -> list[str]:
    """Check what is left to pay after each payment, and say it."""
    left = number(invoice["total"])
    for event in events:
        if event["event_type"] == "billing.payment_recorded":
            payment = json.loads(event["data"])
            left -= number(payment["amount"])
            if number(payment["outstanding"]) != left:
                raise ProofBroken(f"payment {payment['reference']}: {shown(left)} is left, the file says otherwise")
    report = [f"invoice {invoice['number']}: total {invoice['total']} {invoice['asset']}, {shown(left)} not yet paid"]
    for event in events:
        if event["event_type"] in ("billing.invoice_voided", "billing.invoice_written_off"):
            report.append("  nothing is owed: " + event["event_type"].removeprefix("billing.").replace("_", " "))
    return report


def explain(period: str, booked: dict[str, Any], rate: Fraction, total: Fraction) -> list[str]:
    """Say how the fee of a month came about."""
    nav = booked["crystallization_nav"]
    report = [
        f"{period}: equity {shown(booked['opening_equity'])} -> {shown(booked['closing_equity'])}"
        f" with net deposits of {shown(booked['net_deposits'])}"
    ]
    if nav is not None:
        report.append(f"  NAV averaged from {booked['window_start']} to {booked['window_end']}: {shown(nav)}")
    if booked["final"]:
        report.append(f"  the record ends at {booked['closed_at']}: the month, or its window, was cut there")
    if booked["review_reasons"]:
        report.append(f"  a person had to review it: {', '.join(booked['review_reasons'])}")
    for line in booked["lines"]:
        what = "units redeemed" if line["kind"] == "REDEMPTION" else "units"
        figures = f"{shown(line['units'])} {what}, NAV {shown(line['nav'])}, mark {shown(line['high_water_mark'])}"
        fee = f"{shown(line['fee'], 2)} {booked['asset']}"
        report.append(f"  lot {line['lot']}: {figures}: {shown(rate)} x units x gain above the mark = {fee}")
    return [*report, f"  fee {shown(total, 2)} {booked['asset']}"]


def explain_result(booked: dict[str, Any], rate: Fraction, total: Fraction) -> list[str]:
    """Say how the fee of a month came about by the new rule. Figures are shown to 6 decimals, and compared with all."""
    asset, end = booked["asset"], f"{booked['period_end']:%Y-%m-%d %H:%M:%S} UTC"
    counted, high = brief(booked["counted_result"]), brief(booked["high_before"])
    report = [
        f"{booked['period']}: what trading brought since {booked['begins_at']:%Y-%m-%d %H:%M:%S} UTC",
        f"  R at the cut, {end}: {brief(booked['result_at_cut'])} {asset}",
        f"  mean of R since {booked['window_start']:%Y-%m-%d %H:%M:%S} UTC: {brief(booked['mean_result'])} {asset}",
        f"  counted, the lower of both: {counted} {asset}; H, the highest counted before: {high} {asset}",
    ]
    for series in booked["marks"]:
        count, first = len(series["prices"]), series["first_at"]
        report.append(f"  mark prices of {series['symbol']}: {count}, each five minutes, from {first} on")
    if booked["final"]:
        report.append(f"  the record ends at {booked['period_end']}: the month was cut there")
    if booked["review_reasons"]:
        report.append(f"  a person had to review it: {', '.join(booked['review_reasons'])}")
    for line in booked["lines"]:
        fee = f"{shown(line['fee'], 2)} {asset}"
        if line["kind"] == "PERFORMANCE":
            report.append(f"  performance: {shown(rate)} x what {counted} is above {high} = {fee}")
        elif line["kind"] == "CORRECTION":
            figures = f"counted {brief(line['counted_result'])}, H before {brief(line['high_before'])}"
            report.append(f"  correction of {line['period']}, by what is known now ({figures}): {fee}")
        else:
            report.append(f"  {'kept as your credit' if line['fee'] > 0 else 'paid by your credit'}: {fee}")
    before, after = shown(booked["credit_before"], 2), shown(booked["credit_after"], 2)
    if booked["credit_before"] or booked["credit_after"]:
        report.append(f"  your credit was {before} {asset} and is now {after} {asset}")
    return [*report, f"  fee {shown(total, 2)} {asset}"]


def compare(name: str, computed: Any, claimed: Any) -> None:
    """Compare a computed value with the one in the file, field by field."""
    if isinstance(computed, dict):
        if set(computed) != set(claimed):
            raise ProofBroken(f"{name} has other fields than expected: {sorted(set(computed) ^ set(claimed))}")
        for key, value in computed.items():
            compare(f"{name}.{key}", value, claimed[key])
    elif isinstance(computed, list):
        if len(computed) != len(claimed):
            raise ProofBroken(f"{name}: computed {len(computed)} entries, the file says {len(claimed)}")
        for index, value in enumerate(computed):
            compare(f"{name}[{index + 1}]", value, claimed[index])
    elif isinstance(computed, Fraction):
        if number(claimed) != computed:
            raise ProofBroken(f"{name}: computed {shown(computed)}, the file says {claimed}")
    elif isinstance(computed, datetime):
        if moment(claimed) != computed:
            raise ProofBroken(f"{name}: computed {computed.isoformat()}, the file says {claimed}")
    elif computed != claimed or type(computed) is not type(claimed):
        raise ProofBroken(f"{name}: computed {computed!r}, the file says {claimed!r}")


# ---------------------------------------------------------------- 10. numbers, times, names


def number(text: Any) -> Fraction:
    """Return an amount, exactly."""
    if not isinstance(text, str) or not PLAIN_NUMBER.fullmatch(text):
        raise ProofBroken(f"expected an amount such as '12.50', found {str(text)[:40]!r}")
    return Fraction(text)


def rounded(value: Fraction) -> Fraction:
    """Round a quotient to 18 decimals, half to even."""
    return round(value, 18)


def brief(value: Fraction) -> str:
    """Write a number to 6 decimals at most, for reading."""
    return shown(round(value, 6), 2)


def shown(value: Fraction, places: int = 0) -> str:
    """Write a number of at most 36 decimals without loss, and without needless zeros."""
    whole, rest = divmod(abs(value) * 10**36, 10**36)
    decimals = f"{int(rest):036}".rstrip("0").ljust(places, "0")
    return ("-" if value < 0 else "") + str(whole) + ("." + decimals if decimals else "")


def moment(text: str) -> datetime:
    """Return a time; all times are UTC."""
    if not text.endswith("Z"):
        raise ProofBroken(f"expected a time that ends with Z, found {text!r}")
    return datetime.fromisoformat(text[:-1] + "+00:00")


def month_start(period: str) -> datetime:
    """Return the first moment of a month such as 2022-01."""
    if not MONTH.fullmatch(period):
        raise ProofBroken(f"expected a month such as 2022-01, found {period!r}")
    return datetime.fromisoformat(f"{period}-01T00:00:00+00:00")


def month_end(period: str) -> datetime:
    """Return the first moment after a month such as 2022-01."""
    if not MONTH.fullmatch(period):
        raise ProofBroken(f"expected a month such as 2022-01, found {period!r}")
    year, month = int(period[:4]), int(period[5:])
    return datetime.fromisoformat(f"{year + month // 12:04}-{month % 12 + 1:02}-01T00:00:00+00:00")


def derived_id(*parts: str) -> str:
    """Return the id of a stream, which is made of what the stream is about."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))


# ---------------------------------------------------------------- 11. the program


def main(arguments: list[str] | None = None) -> int:
    """Check one file; return 0 if it proves its invoice, 1 if not."""
    parser = argparse.ArgumentParser(description="Check a PATRIOT invoice from its exported events alone.")
    parser.add_argument("file", help="the JSON file that came with the invoice")
    parser.add_argument("--head", metavar="HASH", help="the seal printed on the invoice, or published")
    options = parser.parse_args(arguments)
    try:
        lines = [*verify(Path(options.file).read_bytes(), options.head), "VERIFIED"]
        status = 0
    except (ProofBroken, OSError) as error:
        lines, status = [f"NOT VERIFIED: {error}"], 1
    sys.stdout.write("\n".join(lines) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
