"""``hush train``: learn to denoise from noisy images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from napari_hush.cli.options import IMAGES, help_of
from napari_hush.cli.progress import Bars
from napari_hush.cli.settings import ALGORITHMS, OPTIONS, configuration, sections
from napari_hush.errors import ConfigurationError, ExistingFileError

if TYPE_CHECKING:
    import argparse

    from napari_hush.resuming import Command

DESCRIPTION = (
    "Learn to denoise from noisy TIFF or Zarr images (Noise2Void) and save the model. "
    "Ctrl-C ends training early and keeps the model; what was killed goes on with --resume."
)
EXAMPLES = ("hush train cells.tif --axes YX --epochs 50 -o cells.safetensors",)


def add_options(parser: argparse.ArgumentParser) -> None:
    from napari_hush.config import Configuration, DataConfig, N2VManipulateConfig

    parser.add_argument("images", nargs="*", metavar="IMAGE", help=IMAGES)
    parser.add_argument("-o", "--output", metavar="MODEL.safetensors")
    parser.add_argument(
        "--resume",
        metavar="FOLDER",
        help="go on with a run that was cut off; MODEL.run lies beside the model's place "
        "until that is saved. Give nothing else",
    )
    parser.add_argument(
        "--axes", help="one letter per dimension, e.g. ZYX; by default as the file says"
    )
    parser.add_argument(
        "--config", metavar="FILE.yml", help="start from this configuration"
    )
    parser.add_argument(
        "--algorithm",
        choices=ALGORITHMS,
        help="n2v, n2v2 and structn2v learn from noisy images alone, n2n from pairs of "
        "noisy ones, care from pairs with clean ones (default: n2v)",
    )
    parser.add_argument(
        "--target",
        metavar="IMAGE",
        nargs="+",
        help="for n2n and care: what the images should become, in the same order or, in "
        "folders, of the same names",
    )
    parser.add_argument(
        "--val-target", metavar="IMAGE", nargs="+", help="the same for those of --val"
    )
    parser.add_argument(
        "--channels",
        type=int,
        nargs="+",
        metavar="N",
        help=help_of(DataConfig.model_fields["channels"].description, None),
    )
    struct = N2VManipulateConfig.model_fields
    parser.add_argument(
        "--struct-axis",
        choices=get_args(struct["struct_mask_axis"].annotation)[1:],
        help="for structn2v: " + help_of(struct["struct_mask_axis"].description, None),
    )
    parser.add_argument(
        "--struct-span",
        type=int,
        metavar="N",
        help="for structn2v: "
        + help_of(
            struct["struct_mask_span"].description, struct["struct_mask_span"].default
        ),
    )
    default = Configuration()
    parser.add_argument(
        "--patch-size",
        type=int,
        nargs="+",
        metavar="N",
        help=help_of(
            DataConfig.model_fields["patch_size"].description, "64 64, or 16 64 64"
        ),
    )
    for option, (part, field, kind, metavar) in OPTIONS.items():
        section = sections(default)[part]
        parser.add_argument(
            option,
            type=kind,
            metavar=metavar,
            dest=field,
            help=help_of(
                type(section).model_fields[field].description, getattr(section, field)
            ),
        )
    parser.add_argument("--val", metavar="IMAGE", nargs="+", help="images to validate on")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the model file if it is there"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> None:
    from napari_hush import resuming
    from napari_hush.careamist import CAREamist

    if options.resume is not None:
        _refuse_more_than_resume(options)
        command = resuming.load_command(Path(options.resume))
    else:
        command = _new_command(options)
        resuming.begin(command, overwrite=options.overwrite)
    careamist = CAREamist(command.configuration, on_progress=Bars(quiet=options.quiet))
    with resuming.kept(command) as (state_dir, resume):
        careamist.train(**command.sources, state_dir=state_dir, resume=resume)
        careamist.save(command.output, overwrite=command.overwrite)
    if not options.quiet:
        print(f"Saved {options.output or command.output}")


def _new_command(options: argparse.Namespace) -> Command:
    from napari_hush.resuming import Command

    if not options.images or options.output is None:
        raise ConfigurationError(
            "Give images to train on and -o MODEL.safetensors, or --resume FOLDER to go on "
            "with a run that was cut off."
        )
    output = Path(options.output)
    if output.suffix != ".safetensors":
        raise ConfigurationError(
            f"Cannot save a model as {output.name!r}; end the name in .safetensors."
        )
    _check_output(output, options.overwrite)
    return Command(
        configuration=configuration(options),
        sources={
            name: None if paths is None else [str(Path(path).absolute()) for path in paths]
            for name, paths in {
                "train_source": options.images,
                "val_source": options.val,
                "train_target": options.target,
                "val_target": options.val_target,
            }.items()
        },
        output=output.absolute(),
        overwrite=options.overwrite,
    )


def _refuse_more_than_resume(options: argparse.Namespace) -> None:
    none = {"command", "resume", "quiet"}
    given = [name for name, value in vars(options).items() if value and name not in none]
    if given:
        raise ConfigurationError(
            f"A run that is resumed has its images and settings already, but {given[0]} "
            "is given as well; give --resume FOLDER alone."
        )


def _check_output(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise ExistingFileError(
            f"The file {str(path)!r} exists already; use another name or add --overwrite."
        )
