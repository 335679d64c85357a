"""`vivavoce train`: train a network from the corpora, or go on with one. The only verb that imports PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vivavoce.errors import MissingExtraError

app = typer.Typer(
    help="Train a network from the corpora, or go on with one.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Data = Annotated[Path, typer.Option(envvar="VIVAVOCE_DATA", help="Folder that holds the corpora.")]


@app.callback()
def _group() -> None:
    """Keeps `train` a group of verbs while it has only one."""


@app.command()
def percepnet(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of checkpoint, log and weights; a run in it goes on.")],
    name: Annotated[str, typer.Option(help="Of the model, as users will ask for it.")] = "percepnet-small-v1",
    cache: Annotated[Path | None, typer.Option(help="Folder of decoded corpora, 3.5 GB. [OUT/cache]")] = None,
    size: Annotated[str, typer.Option(help="tiny, small or large.")] = "small",
    lookahead: Annotated[int, typer.Option(min=0, max=2, help="Frames of 10 ms.")] = 2,
    init: Annotated[Path | None, typer.Option(help="Weights to begin with.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimiser.")] = 30_000,
    batch: Annotated[int, typer.Option(min=1, help="Items of a step, over all processes.")] = 32,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of an item.")] = 4.0,
    learning_rate: Annotated[float, typer.Option(min=0, help="The highest.")] = 1e-3,
    warmup: Annotated[int, typer.Option(min=0, help="Steps until the learning rate is reached.")] = 50,
    decay: Annotated[float, typer.Option(min=0, max=1, help="Last part of the run, in which it falls.")] = 0.3,
    quantise: Annotated[float, typer.Option(min=0, max=1, help="Last part of the run, with int8's rounding.")] = 0.2,
    echo: Annotated[int, typer.Option(min=1, help="How often an item is used on average.")] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make items.")] = 1,
    rooms: Annotated[int, typer.Option(min=1, help="Simulated rooms.")] = 1000,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of a process. [PyTorch's choice]")] = None,
    seed: Annotated[int, typer.Option(help="Of items, draws and first weights.")] = 1,
) -> None:
    """Train PercepNet: noisy mixtures to band gains, comb-filter strengths and voice activity.

    Under torchrun, the processes share each step. Ends with the weights, the model's image and its card in OUT.
    """
    try:
        import torch

        from vivavoce.enhancement.model import SIZES
        from vivavoce.enhancement.train import PercepNetRun, train_percepnet
        from vivavoce.training.loop import LoopConfig
    except ModuleNotFoundError as error:
        raise MissingExtraError("train", str(error.name)) from None
    if size not in SIZES:
        raise typer.BadParameter(f"{size!r} is none of {', '.join(SIZES)}", param_hint="--size")
    if threads:
        torch.set_num_threads(threads)
    run = PercepNetRun(
        data,
        cache or out / "cache",
        out,
        name=name,
        size=size,
        lookahead=lookahead,
        init=init,
        batch=batch,
        seconds=seconds,
        echo=echo,
        workers=workers,
        rooms=rooms,
        seed=seed,
        quantise_share=quantise,
        validation_items=2 * batch,
    )
    loop = LoopConfig(steps=steps, learning_rate=learning_rate, warmup_steps=warmup, decay_share=decay)
    typer.echo(train_percepnet(run, loop))


@app.command()
def fargan(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of checkpoint, log and weights; a run in it goes on.")],
    name: Annotated[str, typer.Option(help="Of the model, as users will ask for it.")] = "fargan-base-v1",
    cache: Annotated[Path | None, typer.Option(help="Folder of decoded corpora, 3.5 GB. [OUT/cache]")] = None,
    size: Annotated[str, typer.Option(help="tiny or base.")] = "base",
    init: Annotated[Path | None, typer.Option(help="Weights to begin with.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimiser.")] = 100_000,
    batch: Annotated[int, typer.Option(min=1, help="Sequences of a step, over all processes.")] = 64,
    frames: Annotated[int, typer.Option(min=1, help="Length of a sequence, in frames of 10 ms.")] = 15,
    learning_rate: Annotated[float, typer.Option(min=0, help="The highest.")] = 1.5e-3,
    warmup: Annotated[int, typer.Option(min=0, help="Steps until the learning rate is reached.")] = 100,
    decay: Annotated[float, typer.Option(min=0, max=1, help="Last part of the run, in which it falls.")] = 0.3,
    echo: Annotated[int, typer.Option(min=1, help="Sequences that are cut out of an item of 3 s.")] = 16,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make items.")] = 1,
    compiled: Annotated[bool, typer.Option(help="Compile the network: twice as fast; takes a C++ compiler.")] = True,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of a process. [PyTorch's choice]")] = None,
    seed: Annotated[int, typer.Option(help="Of items, draws and first weights.")] = 1,
) -> None:
    """Train FARGAN: cepstrum, pitch and voicing to speech.

    Under torchrun, the processes share each step. Ends with the weights and their card in OUT.
    """
    try:
        import torch

        from vivavoce.training.loop import LoopConfig
        from vivavoce.vocoder.fargan import SIZES
        from vivavoce.vocoder.train import FarganRun, train_fargan
    except ModuleNotFoundError as error:
        raise MissingExtraError("train", str(error.name)) from None
    if size not in SIZES:
        raise typer.BadParameter(f"{size!r} is none of {', '.join(SIZES)}", param_hint="--size")
    if threads:
        torch.set_num_threads(threads)
    run = FarganRun(
        data,
        cache or out / "cache",
        out,
        name=name,
        size=size,
        init=init,
        batch=batch,
        frames=frames,
        echo=echo,
        workers=workers,
        compiled=compiled,
        seed=seed,
        validation_items=2 * batch,
    )
    loop = LoopConfig(
        steps,
        learning_rate,
        warmup,
        decay,
        average=0.999,
        betas=(0.8, 0.95),
        log_steps=50,
        bfloat16=False,
    )
    typer.echo(train_fargan(run, loop))


@app.command()
def plc(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of checkpoint, log and weights; a run in it goes on.")],
    name: Annotated[str, typer.Option(help="Of the model, as users will ask for it.")] = "plc-base-v1",
    cache: Annotated[Path | None, typer.Option(help="Folder of decoded corpora, 3.5 GB. [OUT/cache]")] = None,
    size: Annotated[str, typer.Option(help="tiny or base.")] = "base",
    init: Annotated[Path | None, typer.Option(help="Weights to begin with.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimiser.")] = 20_000,
    batch: Annotated[int, typer.Option(min=1, help="Items of a step, over all processes.")] = 64,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of an item.")] = 2.0,
    learning_rate: Annotated[float, typer.Option(min=0, help="The highest.")] = 1e-3,
    warmup: Annotated[int, typer.Option(min=0, help="Steps until the learning rate is reached.")] = 100,
    decay: Annotated[float, typer.Option(min=0, max=1, help="Last part of the run, in which it falls.")] = 0.5,
    echo: Annotated[int, typer.Option(min=1, help="How often an item is used, each time with other gaps.")] = 4,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make items.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of a process. [PyTorch's choice]")] = None,
    seed: Annotated[int, typer.Option(help="Of items, draws and first weights.")] = 1,
) -> None:
    """Train the predictor of lost features, which neural concealment goes on from.

    Under torchrun, the processes share each step. Ends with the weights, the model's image and its card in OUT.
    """
    try:
        import torch

        from vivavoce.concealment.model import SIZES
        from vivavoce.concealment.train import PredictorRun, train_predictor
        from vivavoce.training.loop import LoopConfig
    except ModuleNotFoundError as error:
        raise MissingExtraError("train", str(error.name)) from None
    if size not in SIZES:
        raise typer.BadParameter(f"{size!r} is none of {', '.join(SIZES)}", param_hint="--size")
    if threads:
        torch.set_num_threads(threads)
    run = PredictorRun(
        data,
        cache or out / "cache",
        out,
        name=name,
        size=size,
        init=init,
        batch=batch,
        seconds=seconds,
        echo=echo,
        workers=workers,
        seed=seed,
        validation_items=2 * batch,
    )
    loop = LoopConfig(steps, learning_rate, warmup, decay, average=0.998, log_steps=50)
    typer.echo(train_predictor(run, loop))
