"""The command `autocomplete`: a module for each verb."""

import importlib

import click

from autocomplete.common.errors import UserError, user_errors

# verb → its module in this room, which defines `command`, and its help in one line
_VERBS = {
    "complete": ("complete", "Complete a text by a model of this project."),
    "demo": ("demo", "Open the page of the bundles in the browser."),
    "sweep": ("sweep", "Run many pipelines side by side and name the best."),
    "release": ("release", "Sign, version and publish the packaged bundles."),
    "pull": ("pull", "Download a released bundle and check it."),
    "verify": ("verify", "Check a bundle: signature, hashes, manifest, models."),
    "words": ("words", "List bad words that a model says in one token."),
    "verify-cache": ("verify_cache", "Check every object of DVC's cache against its hash."),
}


class _Verbs(click.Group):
    """Imports the module of a verb when the verb is called: app teams lack the packages that others need."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f"autocomplete.cli.{_VERBS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in _VERBS.items()])


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
def autocomplete() -> None:
    """Turn a Keras language model into an autocomplete bundle, and hand it to app teams.

    Stages run by `dvc repro`, one alone by `python -m stages.<stage>`. `autocomplete VERB --help` explains a verb.
    """


def main() -> None:
    """Runs the command line; a mistake is one line on standard error and exit status 1."""
    with user_errors():
        try:
            autocomplete.main(prog_name="autocomplete", standalone_mode=False)
        except click.Abort:
            raise SystemExit(130) from None
        except click.ClickException as error:
            raise UserError(_one_line(error)) from None
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] in ("autocomplete", "stages"):
                raise
            raise UserError(
                f"this environment has no {error.name}: `uv sync` installs what making models takes"
            ) from None


def _one_line(error: click.ClickException) -> str:
    """Returns click's message in one line, and which help says what is allowed."""
    message = " ".join(error.format_message().split()).removesuffix(".")
    context = getattr(error, "ctx", None)
    return message if context is None else f"{message} (`{context.command_path} --help` says what is allowed)"
