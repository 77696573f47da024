"""Sits on every line between a process and the exchange: sees whole messages, and damages some of them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Protocol

import msgspec

from patriot.orders.client_ids import parse_client_order_id
from patriot.simulation.faults import OF_LISTS, OF_REQUESTS, OF_STREAMS, Dice, Fault
from patriot.simulation.loop import Life, VirtualLoop
from patriot.simulation.pages import CODES_OF_FAILURE, lie_after, limit, page_after, page_before, proves_inaction
from patriot.simulation.wire import Answer, FrameReader, MessageReader, Request, answer_bytes, text_of

if TYPE_CHECKING:
    from patriot.simulation.network import Line

ORDER_PATHS = ("/fapi/v1/order", "/fapi/v1/algoOrder")
LIST_PATHS = ("/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders", "/fapi/v2/account")
PRIVATE_STREAM = "/private/"
CALL_SECONDS = 5.0  # a request without an answer is given up after it
UNHEARD_SECONDS = 35.0  # until a stream that tells nothing is looked into, at the latest
LAG_GRACE_SECONDS = 7.0
OLDEST_LIST_SECONDS = 10.0
MOST_SPENT_WITH_OTHERS = 2_100  # of 2,400: with nothing left at all nobody could find out what is naked
_USED_WEIGHT = re.compile(rb"(X-MBX-USED-WEIGHT-1M: )(\d+)")
OVERLOADED = (503, b'{"code":-1008,"msg":"Server is currently overloaded with other requests."}')
NO_SUCH_ORDER = b'{"code":-2013,"msg":"Order does not exist."}'


class Witness(Protocol):
    """Who takes down what went over the wire."""

    def sent(self, life: Life | None, uid: int | None, request: Request) -> None:
        """Take down a request that left its process."""
        ...

    def answered(self, uid: int | None, request: Request, *, proves_inaction: bool) -> None:
        """Take down an answer that its process gets."""
        ...


@dataclass(frozen=True, slots=True)
class RefusedRead:
    """One kind of read that the exchange refuses an account, for a symbol or at all, until a time."""

    name: str
    uid: int
    path: str
    symbol: str  # empty: whichever is asked for
    code: int
    until: float

    def meets(self, uid: int | None, request: Request) -> bool:
        """Tell whether a request is of its kind."""
        asked = (uid, request.method, request.path) == (self.uid, "GET", self.path)
        return asked and self.symbol in ("", request.parameters.get("symbol", ""))


@dataclass(slots=True)
class Wires:
    """What all lines of a run share."""

    loop: VirtualLoop
    dice: Dice
    witness: Witness
    uid_of_key: Callable[[str], int | None]
    uid_of_listen_key: Callable[[str], int | None]
    may_kill: Callable[[Life], bool]
    kill: Callable[[Life], None]
    lagging: dict[str, float] = field(default_factory=dict)  # client id -> until when a query does not know it
    lists: dict[str, deque[tuple[float, bytes]]] = field(default_factory=dict)
    others_weight: int = 0  # that the exchange counts for others at the same address
    others_until: float = 0.0
    overloaded_until: float = 0.0
    refused: list[RefusedRead] = field(default_factory=list)

    def with_weight_of_others(self, raw: bytes) -> bytes:
        """Return an answer that counts what others at the same address have asked for in this minute."""
        if self.loop.time() >= self.others_until:
            return raw

        def count_others(found: re.Match[bytes]) -> bytes:
            ours = int(found[2])
            return b"%b%d" % (found[1], max(ours, min(ours + self.others_weight, MOST_SPENT_WITH_OTHERS)))

        return _USED_WEIGHT.sub(count_others, raw, count=1)

    def is_overloaded(self) -> bool:
        """Tell whether the exchange takes no questions and no entries now."""
        return self.loop.time() < self.overloaded_until

    def turns_away(self, request: Request) -> bool:
        """Tell whether an overloaded exchange does not take a request: it takes orders that reduce, and streams."""
        if not self.is_overloaded() or not request.path.startswith(("/fapi/", "/sapi/")):
            return False
        reduces = request.method == "POST" and request.parameters.get("reduceOnly") == "true"
        return not (request.path in ORDER_PATHS and (reduces or request.method == "DELETE"))

    def refusals(self) -> list[RefusedRead]:
        """Return which reads are refused now."""
        return [one for one in self.refused if self.loop.time() < one.until]

    def between(self, line: Line) -> Tap:
        """Sit on a line."""
        return Tap(self, line)


@dataclass(slots=True)
class _Pending:
    """A request that waits for its answer, and what is to happen to that."""

    request: Request
    uid: int | None
    step: str
    name: str
    fault: Fault | None = None
    random: Random | None = None
    kill_name: str = ""


def client_id_of(request: Request) -> str:
    """Return the client order id that a request speaks of, empty if none."""
    named = request.parameters
    return next((named[key] for key in ("newClientOrderId", "clientAlgoId", "origClientOrderId") if key in named), "")


def step_of(request: Request) -> str:
    """Return the step of the order path that a request belongs to."""
    named = parse_client_order_id(client_id_of(request))
    return f"{request.name} {named.leg.value}" if named is not None else request.name


class Tap:
    """One line under watch."""

    def __init__(self, wires: Wires, line: Line) -> None:
        self._wires = wires
        self._line = line
        self._up, self._down = MessageReader(), MessageReader()
        self._pending: deque[_Pending] = deque()
        self._stream_uid: int | None = None
        self._frames: FrameReader | None = None
        self._held: list[bytes] = []
        self._silent_until = 0.0

    # Requests ---------------------------------------------------------------------------------------------------------

    def sent_up(self, data: bytes) -> None:
        if self._frames is not None:
            self._line.up.hand_on(data)
            return
        for request in self._up.requests(data):
            self._take_request(request)

    def _take_request(self, request: Request) -> None:
        wires, line = self._wires, self._line
        uid = wires.uid_of_key(request.headers.get("x-mbx-apikey", ""))
        step = step_of(request)
        name = wires.dice.numbered(f"{uid} {step}")
        pending = _Pending(request, uid, step, name)
        killed_before = self._may_kill_before(pending)
        if killed_before:
            return
        wires.witness.sent(line.life, uid, request)
        self._draw(pending)
        self._pending.append(pending)
        self._send(pending)
        if pending.kill_name and line.life is not None:
            wires.kill(line.life)

    def _may_kill_before(self, pending: _Pending) -> bool:
        wires, life = self._wires, self._line.life
        dice = wires.dice
        if life is None or Fault.KILL_AT_SEND not in dice.trouble.kinds or not wires.may_kill(life):
            return False
        if not dice.trouble.may_kill_at(pending.step):
            return False
        kill_name = f"kill {pending.name}"
        random = dice.falls(kill_name, dice.trouble.kills)
        if random is None:
            return False
        now = wires.loop.time()
        dice.note(kill_name, Fault.KILL_AT_SEND, pending.step, now, now, pending.uid)
        if random.random() < 0.5:
            wires.kill(life)
            return True
        pending.kill_name = kill_name
        return False

    def _draw(self, pending: _Pending) -> None:
        dice, request = self._wires.dice, pending.request
        of_order = request.path in ORDER_PATHS and request.method != "GET"
        chance = dice.trouble.of_orders if of_order else dice.trouble.of_requests
        random = dice.falls(pending.name, chance)
        if random is not None:
            pending.random, pending.fault = random, dice.among(random, OF_REQUESTS)
        if pending.fault is None and request.path in LIST_PATHS:
            pending.name = f"list {pending.name}"
            random = dice.falls(pending.name, dice.trouble.of_lists)
            if random is not None:
                pending.random, pending.fault = random, dice.among(random, OF_LISTS)

    def _note(self, pending: _Pending, seconds: float, *, for_all: bool = False) -> None:
        now, uid = self._wires.loop.time(), None if for_all else pending.uid
        if pending.fault is not None:
            self._wires.dice.note(pending.name, pending.fault, pending.step, now, now + seconds, uid)

    def _send(self, pending: _Pending) -> None:
        """Hand a request on, or do to it what the run has for it."""
        line, loop, raw, random = self._line, self._wires.loop, pending.request.raw, pending.random
        if self._wires.turns_away(pending.request):
            self._answer(pending, *OVERLOADED, "application/json")
            return
        if self._is_refused(pending):
            return
        if random is None or pending.fault is None:
            line.up.hand_on(raw)
            return
        match pending.fault:
            case Fault.SLOW_REQUEST:
                seconds = random.choice((0.05, 0.3, 0.7, 2.0, 5.5)) * random.uniform(0.8, 1.2)
                self._note(pending, seconds)
                line.up.hand_on(raw, seconds)
            case Fault.CUT_BEFORE:
                self._note(pending, 0.0)
                loop.call_later(random.uniform(0, 0.3), line.cut)
            case Fault.SILENT_BEFORE:
                self._note(pending, CALL_SECONDS)
                line.fall_silent()
            case Fault.PAGE_BEFORE:
                self._note(pending, 0.0)
                self._answer(pending, *page_before(random))
            case Fault.CODE_BEFORE:
                self._note(pending, 0.0)
                status, code = random.choice(CODES_OF_FAILURE)
                self._answer(pending, status, _refusal(code), "application/json")
            case Fault.LIMITED:
                status, body, content_type, headers, seconds = limit(random)
                self._note(pending, seconds, for_all=True)
                self._answer(pending, status, body, content_type, headers)
            case _:  # what happens to the answer
                line.up.hand_on(raw)

    def _is_refused(self, pending: _Pending) -> bool:
        """Refuse a read if its time has come: that holds up nothing but the symbol that the read was of."""
        wires, request = self._wires, pending.request
        refused = next((one for one in wires.refusals() if one.meets(pending.uid, request)), None)
        if refused is None:
            return False
        now = wires.loop.time()
        until = now + UNHEARD_SECONDS if refused.symbol else 0.0
        wires.dice.note(refused.name, Fault.READ_REFUSED, pending.step, now, until, pending.uid, refused.symbol)
        self._answer(pending, 400, _refusal(refused.code), "application/json")
        return True

    def _answer(
        self,
        pending: _Pending,
        status: int,
        body: bytes,
        content_type: str,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Answer in place of the exchange, which never hears of the request."""
        self._pending.remove(pending)
        self._give(pending, status, body, answer_bytes(status, body, content_type, headers))

    def _give(self, pending: _Pending, status: int, body: bytes, raw: bytes, delay_seconds: float = 0.0) -> None:
        self._line.down.hand_on(self._wires.with_weight_of_others(raw), delay_seconds)
        proven = proves_inaction(status, body)
        self._wires.witness.answered(pending.uid, pending.request, proves_inaction=proven)

    # Answers ----------------------------------------------------------------------------------------------------------

    def sent_down(self, data: bytes) -> None:
        if self._frames is not None:
            self._take_frames(data)
            return
        for answer in self._down.answers(data):
            if not self._pending:
                self._line.down.hand_on(answer.raw)
                continue
            pending = self._pending.popleft()
            self._remember(pending, answer)
            self._take_answer(pending, answer)
            if answer.upgraded:
                self._become_stream(pending.request)

    def _remember(self, pending: _Pending, answer: Answer) -> None:
        """Keep lists, to tell old ones later, and decide whether queries will know an order at once."""
        wires, request, now = self._wires, pending.request, self._wires.loop.time()
        if request.path in LIST_PATHS and answer.status == 200:
            wires.lists.setdefault(_list_key(pending), deque(maxlen=20)).append((now, answer.body))
        if request.path in ORDER_PATHS and request.method == "POST" and answer.status == 200:
            client_id = client_id_of(request)
            name = f"lag {client_id}"
            random = wires.dice.falls(name, wires.dice.trouble.lagging)
            if random is not None and Fault.LAGGING in wires.dice.trouble.kinds:
                until = now + random.choice((0.5, 3.0, 8.0, 20.0, 60.0)) * random.uniform(0.5, 1.0)
                wires.lagging[client_id] = until
                wires.dice.note(name, Fault.LAGGING, pending.step, now, until + LAG_GRACE_SECONDS, pending.uid)

    def _take_answer(self, pending: _Pending, answer: Answer) -> None:
        line, loop, random, request = self._line, self._wires.loop, pending.random, pending.request
        if request.method == "GET" and self._wires.lagging.get(client_id_of(request), 0.0) > loop.time():
            body = NO_SUCH_ORDER
            self._give(pending, 400, body, answer_bytes(400, body, "application/json"))
            return
        if random is None or pending.fault is None:
            self._give(pending, answer.status, answer.body, answer.raw)
            return
        match pending.fault:
            case Fault.SLOW_ANSWER:
                seconds = random.choice((0.05, 0.3, 0.7, 2.0, 8.0)) * random.uniform(0.8, 1.2)
                self._note(pending, min(seconds, CALL_SECONDS))
                self._give(pending, answer.status, answer.body, answer.raw, seconds)
            case Fault.CUT_AFTER:
                self._note(pending, 0.0)
                line.cut()
            case Fault.SILENT_AFTER:
                self._note(pending, CALL_SECONDS)
                line.fall_silent()
            case Fault.TRUNCATED:
                self._note(pending, 0.0)
                line.down.hand_on(answer.raw[: random.randint(1, max(1, len(answer.raw) - 1))])
                line.server.close()
            case Fault.PAGE_AFTER:
                self._note(pending, 0.0)
                status, body, content_type = page_after(random)
                self._give(pending, status, body, answer_bytes(status, body, content_type))
            case Fault.CODE_AFTER:
                self._note(pending, 0.0)
                status, code = lie_after(random)
                self._give(pending, status, _refusal(code), answer_bytes(status, _refusal(code), "application/json"))
            case Fault.STALE:
                self._give_old_list(pending, answer, random)
            case _:
                self._give(pending, answer.status, answer.body, answer.raw)

    def _give_old_list(self, pending: _Pending, answer: Answer, random: Random) -> None:
        now = self._wires.loop.time()
        old = [body for at, body in self._wires.lists[_list_key(pending)] if 0.2 <= now - at <= OLDEST_LIST_SECONDS]
        if not old:
            self._give(pending, answer.status, answer.body, answer.raw)
            return
        self._note(pending, 0.0)
        body = random.choice(old)
        self._give(pending, 200, body, answer_bytes(200, body, "application/json"))

    # Streams ----------------------------------------------------------------------------------------------------------

    def _become_stream(self, request: Request) -> None:
        self._frames = FrameReader()
        if request.path.startswith(PRIVATE_STREAM):
            key = request.parameters.get("listenKey") or request.path.rpartition("/")[2]
            self._stream_uid = self._wires.uid_of_listen_key(key)
        if self._down.rest:
            self._take_frames(self._down.rest)

    def _take_frames(self, data: bytes) -> None:
        if self._frames is None or self._stream_uid is None:
            self._line.down.hand_on(data)
            return
        for frame in self._frames.frames(data):
            payload = text_of(frame)
            if payload is None:
                self._line.down.hand_on(frame)
            else:
                self._take_event(frame, payload)

    def _take_event(self, frame: bytes, payload: bytes) -> None:
        wires, down, now = self._wires, self._line.down, self._wires.loop.time()
        if now < self._silent_until:
            return
        step = f"stream {_event_name(payload)}"
        name = wires.dice.numbered(f"{self._stream_uid} {step}")
        random = wires.dice.falls(name, wires.dice.trouble.of_streams)
        fault = wires.dice.among(random, OF_STREAMS) if random is not None else None
        if random is None or fault is None:
            self._pass_on(frame)
            return
        seconds = 0.0
        match fault:
            case Fault.STREAM_LATE:
                seconds = random.choice((0.5, 2.0, 8.0, 20.0)) * random.uniform(0.5, 1.0)
                down.hand_on(frame, seconds)
            case Fault.STREAM_REPEATED:
                self._pass_on(frame)
                self._pass_on(frame)
            case Fault.STREAM_REORDERED:
                self._held.append(frame)
                wires.loop.call_later(2.0, self._release)
            case Fault.STREAM_DROPPED:
                seconds = UNHEARD_SECONDS
            case Fault.STREAM_SILENT:
                seconds = random.uniform(5, 40)
                self._silent_until = now + seconds
                seconds += UNHEARD_SECONDS
            case _:
                self._line.cut()
        wires.dice.note(name, fault, step, now, now + seconds, self._stream_uid)

    def _pass_on(self, frame: bytes) -> None:
        self._line.down.hand_on(frame)
        self._release()

    def _release(self) -> None:
        """Hand on what waited for the message behind it."""
        held, self._held = self._held, []
        for frame in held:
            self._line.down.hand_on(frame)


def _list_key(pending: _Pending) -> str:
    return f"{pending.uid} {pending.request.path} {pending.request.parameters.get('symbol', '')}"


def _event_name(payload: bytes) -> str:
    match msgspec.json.decode(payload):
        case {"e": "ORDER_TRADE_UPDATE" as event, "o": {"x": kind}}:
            return f"{event} {kind}"
        case {"e": event}:
            return str(event)
        case _:
            return "other"


def _refusal(code: int) -> bytes:
    return b'{"code":%d,"msg":"An error of the venue."}' % code
