"""``winnow up``: runs the service on this machine until it is told to stop."""

import sys
import time
from typing import Annotated

import typer

from winnow.commands.options import DataOption, OutputFormat, OutputOption, QuietOption
from winnow.commands.printing import print_json
from winnow.data_folder import DataFolder, StackAddress
from winnow.display import choose_display
from winnow.signals import Stopped
from winnow.stack import Stack, StackOptions

_CHECK_SECONDS = 0.5


def up(
    *,
    data: DataOption,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8765,
    output: OutputOption = OutputFormat.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Run PostgreSQL, Valkey, the API and the workers here, until Ctrl-C.

    Everything is kept in the data folder. Ctrl-C and SIGTERM stop all of it in order and exit
    with 0; a run that is under way writes a checkpoint first and goes on at the next start.
    """
    display = choose_display(is_quiet=quiet)
    folder = DataFolder(data.absolute())
    options = StackOptions(data=folder, host=host, port=port, report=display.say)
    with Stack(options) as stack:
        address = stack.start()
        _print_address(address, folder, output)
        display.say("Stop it with Ctrl-C")
        try:
            while True:
                stack.check()
                time.sleep(_CHECK_SECONDS)
        except (KeyboardInterrupt, Stopped):
            display.say("Stopping")


def _print_address(address: StackAddress, folder: DataFolder, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json({"server": address.server, "api_key": address.api_key, "data": str(folder.root)})
    else:
        print(f"Winnow runs at    {address.server}")
        print(f"Dashboard         {address.server}/")
        print(f"API documentation {address.server}/docs")
        print(f"First API key     {address.api_key}")
        print(f"Data and logs     {folder.root}")
    # Whoever waits for the address reads it through a pipe.
    sys.stdout.flush()
