"""Options that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import typer.core

_LIST = re.compile(r"<list\[(\w+)\]>")

Deblur = Literal["auto", "cnn", "richardson-lucy", "off"]
Preset = Literal["motion", "box5", "seed"]
Pace = Literal["realtime", "fast"]
DetectorChoice = Literal["yunet", "mtcnn"]
Redact = Literal["unknown", "all"]
FormatChoice = Literal["json", "csv"]
JudgeChoice = Literal["sface", "facenet"]
AlignmentChoice = Literal["sharp", "blurred", "both"]
SpeedChoice = Literal["slow", "mixed", "fast"]
Fitted = Literal["pca", "lda", "lpp", "fusion-cnn"]
BackendChoice = Literal["auto", "tensorrt", "tensorrt-rtx", "cuda", "onnxruntime", "openvino", "openvino-bf16"]

GalleryOption = Annotated[
    Path | None, typer.Option("--gallery", "-g", help="The enrolled people: a file made by `unblur enroll`.")
]
DeblurOption = Annotated[Deblur | None, typer.Option(help="How blurred faces are restored.")]
PresetOption = Annotated[Preset | None, typer.Option(help="box5: Richardson-Lucy with the fixed 5 x 5 mean kernel.")]
ThresholdOption = Annotated[float | None, typer.Option(help="Cosine similarity from which a face gets a name.")]
FpirOption = Annotated[float | None, typer.Option(help="The share of unknown people who may get a name: 0.01.")]


FolderOption = Annotated[
    Path | None, typer.Option("--data", help="The data folder: people, events, crops and accounts.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="A YAML file; command-line options override it.")
]


def drop_unset(**options: object) -> dict[str, object]:
    """Drop the options that were not given (None), so that they keep the configuration's values."""
    return {key: value for key, value in options.items() if value is not None}


class Command(typer.core.TyperCommand):
    """Typer command whose help shows arguments by their metavar, such as SOURCE... or FACES, without a type."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        arguments = [each for each in self.get_params(ctx) if isinstance(each, typer.core.TyperArgument)]
        return ["[OPTIONS]", *(_name(each) if each.required else f"[{_name(each)}]" for each in arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        rows: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for each in self.get_params(ctx):
            if isinstance(each, typer.core.TyperArgument):
                rows["Arguments"].append((_name(each), each.help or ""))
            elif record := each.get_help_record(ctx):
                rows["Options"].append((_LIST.sub(lambda found: f"<{found[1].lower()}>", record[0]), record[1]))
        for title, records in rows.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _name(argument: typer.core.TyperArgument) -> str:
    return f"{argument.metavar or (argument.name or '').upper()}{'' if argument.nargs == 1 else '...'}"


def command_app(summary: str | None = None) -> typer.Typer:
    """Make the Typer application of a command's module; `summary` is for a module with several commands."""
    return typer.Typer(help=summary, no_args_is_help=bool(summary), add_completion=False, rich_markup_mode=None)


def examples(*commands: str) -> str:
    """Format the examples at the end of a command's help, one per line."""
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)


def complain(message: str) -> None:
    """Print an error as one line on standard error."""
    from unblur.terminal import messages

    messages().say(f"unblur: {message}")
