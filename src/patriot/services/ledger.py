"""The ledger service: publishes roots of the log, so that whoever keeps one can tell later what is missing."""

import asyncio
from datetime import date, datetime

import structlog

from patriot.audit.effects import RootPublisher
from patriot.audit.ports import RootShelf
from patriot.services.engine import Engine
from patriot.services.ports import Ports

log = structlog.get_logger()


class LedgerService(Engine):
    """Closes a span of the log at its start, on each new day of the exchange's time, and at a clean end."""

    def __init__(self, ports: Ports, shelf: RootShelf) -> None:
        self._publisher = RootPublisher(ports.store, ports.feed, ports.bus, shelf, ports.clock)
        self._alerts = ports.alerts
        self._published_on: date | None = None

    async def run(self) -> None:
        """Serve until cancelled: what there is to do is done by `tick`."""
        await asyncio.Event().wait()

    async def tick(self, now: datetime) -> None:
        """Publish a root once a day, and once after each start."""
        if now.date() != self._published_on:
            await self.publish()
            self._published_on = now.date()

    async def finish(self) -> None:
        """Close the span that is open; the next start does it otherwise."""
        await self.publish()

    async def publish(self) -> None:
        """Close the span that is open. A shelf that cannot be written stops nobody from trading: it is alarmed."""
        try:
            root = await self._publisher.publish()
        except OSError as error:
            self._alerts.critical("root.not_kept", error=error)
            return
        if root is not None:
            log.info("root.published", number=root.number, events=root.events, root=root.root)
