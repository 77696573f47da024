"""Check a PATRIOT invoice without PATRIOT: this one file, Python 3.9 or newer, nothing installed.

    python verify_invoice.py invoice.json
    python verify_invoice.py invoice.json --head HASH      (the seal printed on the invoice, or published)

The file holds every event of one account that the invoice was computed from. This program checks that nothing in it
was changed, dropped, added or moved (each event carries the SHA-256 of itself and of the event before it), then
computes the fee again from the first deposit on, and compares every figure. It trusts no sum that it can compute.

The rules (docs/adr/0007-high-water-mark.md of PATRIOT says why):
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
from typing import Any, NoReturn

FORMAT = "patriot-invoice-proof/1"
NAMESPACE = uuid.UUID("5f0a3c52-3c0e-5a4b-9d0e-7a5d2f6b8c11")  # of PATRIOT's derived stream ids
EVENT_FIELDS = (  # what a hash covers, in this order
    *("stream_type", "stream_id", "stream_version", "event_id", "event_type", "schema_version", "occurred_at"),
    *("correlation_id", "causation_id", "user_id", "account_id", "actor_type", "actor_id", "data"),
)
HALF_WINDOW = timedelta(hours=12)
LARGEST_SAMPLE_GAP = timedelta(minutes=65)
PAYMENT_TERM = timedelta(days=14)
WORTHLESS_NAV = Fraction(1, 1_000_000)  # below it, old units are dropped at the next transfer
PLAIN_NUMBER = re.compile(r"-?\d{1,60}(\.\d{1,60})?")
MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


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
    if proof.get("format") != FORMAT:
        raise ProofBroken(f"expected format {FORMAT}, found {proof.get('format')!r}")
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
    _, _, samples = money_facts(proof["balance"], proof["account_id"])
    period = samples[0].at.strftime("%Y-%m")
    for month in proof["months"]:
        if month["period"] != period:
            raise ProofBroken(f"expected the month {period}, found {month['period']}")
        report += check_month(proof, month, ledger)
        period = month_end(period).strftime("%Y-%m")
    last = proof["months"][-1]
    if last["period"] != proof["period"]:
        raise ProofBroken(f"the invoice is for {proof['period']}, the last month in the file is {last['period']}")
    if ledger.known != len(proof["balance"]):
        raise ProofBroken(f"the invoice knew {ledger.known} account events, the file has {len(proof['balance'])}")
    if proof["invoice"] != invoice_of(last["events"]):
        raise ProofBroken("the invoice at the head of the file is not the one in its events")
    return report + payments(last["events"], proof["invoice"])


def check_month(proof: dict[str, Any], month: dict[str, Any], ledger: Ledger) -> list[str]:
    """Compute one month, compare it with what was booked, and say how it came about."""
    types = [event["event_type"] for event in month["events"][:3]]
    if types[:2] != ["billing.period_closed", "billing.fee_assessed"]:
        raise ProofBroken(f"month {month['period']} does not begin with its books: {types}")
    if any(event["schema_version"] != 1 for event in month["events"]):
        raise ProofBroken(f"month {month['period']} holds an event of a version unknown to this program")
    closed, assessed, invoice = (json.loads(event["data"]) for event in month["events"][:3])
    terms = terms_known(proof["terms"], closed["terms_hash"], proof["account_id"], month["period"])
    booked = compute_month(proof, month["period"], closed, ledger)
    booked["user_id"] = terms["user_id"]
    rate = number(terms["fee_rate"])
    for line in booked["lines"]:
        line["fee"] = round(rate * line["units"] * max(Fraction(0), line["nav"] - line["high_water_mark"]), 2)
    common = {key: booked[key] for key in ("account_id", "user_id", "period", "lines")}
    total = sum((line["fee"] for line in booked["lines"]), Fraction(0))
    compare("period_closed", {k: v for k, v in booked.items() if k != "lines"}, closed)
    compare(
        "fee_assessed", {**common, "fee_rate": rate, "fee_amount": total, "assessed_at": booked["closed_at"]}, assessed
    )
    number_text = f"{month['period']}-{derived_id('billing', proof['account_id'], month['period'])[-12:].upper()}"
    common.update({"number": number_text, "asset": booked["asset"], "fee_rate": rate, "total": total})
    check_invoice(month, common, booked, invoice)
    ledger.seal = month["events"][2]["event_hash"]
    return explain(month["period"], booked, rate, total)


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


# ---------------------------------------------------------------- 4. samples and transfers of a month


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


# ---------------------------------------------------------------- 5. the account in units


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


# ---------------------------------------------------------------- 6. what was booked


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
        compare("invoice_issued", {**common, **issued}, issue)


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


# ---------------------------------------------------------------- 7. numbers, times, names


def number(text: Any) -> Fraction:
    """Return an amount, exactly."""
    if not isinstance(text, str) or not PLAIN_NUMBER.fullmatch(text):
        raise ProofBroken(f"expected an amount such as '12.50', found {str(text)[:40]!r}")
    return Fraction(text)


def rounded(value: Fraction) -> Fraction:
    """Round a quotient to 18 decimals, half to even."""
    return round(value, 18)


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


def month_end(period: str) -> datetime:
    """Return the first moment after a month such as 2022-01."""
    if not MONTH.fullmatch(period):
        raise ProofBroken(f"expected a month such as 2022-01, found {period!r}")
    year, month = int(period[:4]), int(period[5:])
    return datetime.fromisoformat(f"{year + month // 12:04}-{month % 12 + 1:02}-01T00:00:00+00:00")


def derived_id(*parts: str) -> str:
    """Return the id of a stream, which is made of what the stream is about."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))


# ---------------------------------------------------------------- 8. the program


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
