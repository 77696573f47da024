"""Which stream each command of this domain goes to."""

from patriot.kernel.bus import CommandBus, Handler
from patriot.users.commands import ChangeRole, ChangeUserStatus, RegisterUser, UserCommand
from patriot.users.decider import USER
from patriot.users.events import user_stream


def register(bus: CommandBus) -> None:
    """Register every command of this domain."""
    handler: Handler[UserCommand] = Handler(lambda c: user_stream(c.user_id), USER, None, lambda c: c.at)
    for command in (RegisterUser, ChangeRole, ChangeUserStatus):
        bus.handle(command, handler)
