"""`tok --version`: the app's own version at once, then what its engine says of itself."""

from __future__ import annotations

from app import __version__
from app.cli.common import console
from app.cli.common.exit_codes import ExitCode
from app.cli.common.launching import EngineLauncher
from app.domain import units
from app.domain.errors import ConfigError


def version(launcher: EngineLauncher) -> int:
    """Prints versions and devices. An engine that does not start is reported, and is no failure."""
    console.print_line(f"tokscope {__version__}")
    from app.protocol.events import Hello

    try:
        hello = launcher.greet()
    except ConfigError as error:
        console.print_error(f"the engine was not started: {error}", error.hint)
        return ExitCode.OK
    if not isinstance(hello, Hello):
        console.print_error(f"the engine did not start: {hello.reason}", hello.log_tail)
        return ExitCode.OK
    console.print_line(hello.build)
    for device in hello.devices:
        memory = (
            f" ({units.size(device.free_bytes)} of {units.size(device.total_bytes)} free)" if device.total_bytes else ""
        )
        console.print_line(f"{device.kind}: {device.description or device.name}{memory}")
    return ExitCode.OK
