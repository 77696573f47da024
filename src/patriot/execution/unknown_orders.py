"""Orders that no open bracket here explains: told to a person once, known again where the log has their bracket."""

from collections.abc import Awaitable, Callable
from functools import partial

from patriot.execution.effects import BracketKeeper
from patriot.execution.ports import Alerts, Desk, LoggedBracket
from patriot.kernel.tasks import Background, when_stored
from patriot.orders.events import OrderCreated
from patriot.trading.terms import AccountId, OrderId


class UnknownOrders:
    """What one account's desk has seen of orders that it does not look after."""

    def __init__(
        self,
        account_id: AccountId,
        desk: Desk,
        keeper: BracketKeeper,
        load_bracket: Callable[[OrderId], Awaitable[LoggedBracket]],
        adopt: Callable[[LoggedBracket], None],
        alerts: Alerts,
        tasks: Background,
    ) -> None:
        self._account_id = account_id
        self._desk = desk
        self._keeper = keeper
        self._load_bracket = load_bracket
        self._adopt = adopt
        self._alerts = alerts
        self._tasks = tasks
        self._told_of: set[str] = set()  # client ids of orders that a person was told of

    def look(self) -> None:
        """Tell of what is new, and have brackets of strays found."""
        if self._desk.strays:
            self._tasks.start(self._find_brackets_of(list(self._desk.strays)))
            self._desk.strays.clear()
        for name, client_ids in (("order.foreign", self._desk.foreign), ("order.contested", self._desk.contested)):
            new = client_ids - self._told_of
            if new:
                self._alerts.critical(name, account_id=self._account_id, client_ids=sorted(new))
        self._told_of = self._desk.foreign | self._desk.contested  # as bounded as the desk's

    async def _find_brackets_of(self, client_ids: list[str]) -> None:
        """Know brackets again that were forgotten, and look after those that are not over; tell of all other ids."""
        unknown = []
        for client_id in client_ids:
            group_id = self._desk.bracket_of(client_id)
            logged = await when_stored(partial(self._load_bracket, group_id))
            entry = logged.events[0] if logged.events else None
            if not isinstance(entry, OrderCreated) or entry.account_id != self._account_id:
                unknown.append(client_id)
            elif not self._keeper.knows(group_id):
                self._desk.doubt(entry.symbol)  # the log may lag behind what another owner, or this one, has sent
                self._adopt(logged)
                bracket = self._keeper.open_brackets[group_id]
                if not bracket.over:
                    self._keeper.restore(bracket)
                await self._desk.search(entry.symbol)
        if unknown:
            self._alerts.critical("order.stray_report", account_id=self._account_id, client_ids=unknown)
