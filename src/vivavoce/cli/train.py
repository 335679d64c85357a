"""`vivavoce train`: train a network from the corpora, or go on with one. The only verb that imports PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from vivavoce.errors import MissingExtraError

app = typer.Typer(
    help="Train a network from the corpora, or go on with one. Under torchrun, the processes share each step.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Data = Annotated[Path, typer.Option(envvar="VIVAVOCE_DATA", help="Folder that holds the corpora.")]
Out = Annotated[Path, typer.Option(help="Folder of checkpoint, log and weights; a run in it goes on.")]
Name = Annotated[str, typer.Option(help="Of the model, as users will ask for it.")]
Cache = Annotated[Path | None, typer.Option(help="Folder of decoded corpora, 3.5 GB. [OUT/cache]")]
SmallSize = Annotated[str, typer.Option(help="tiny or base.")]
Init = Annotated[Path | None, typer.Option(help="Weights to begin with.")]
Steps = Annotated[int, typer.Option(min=1, help="Of the optimiser.")]
Batch = Annotated[int, typer.Option(min=1, help="Items of a step, over all processes.")]
Seconds = Annotated[float, typer.Option(min=0.5, help="Length of an item.")]
LearningRate = Annotated[float, typer.Option(min=0, help="The highest.")]
Warmup = Annotated[int, typer.Option(min=0, help="Steps until the learning rate is reached.")]
Decay = Annotated[float, typer.Option(min=0, max=1, help="Last part of the run, in which it falls.")]
Adversarial = Annotated[float, typer.Option(min=0, help="Weight of adversaries that learn with it; 0: none.")]
Echo = Annotated[int, typer.Option(min=1, help="How often an item is used on average.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that make items.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of a process. [PyTorch's choice]")]
Seed = Annotated[int, typer.Option(help="Of items, draws and first weights.")]


@app.command()
def percepnet(
    data: Data,
    out: Out,
    name: Name = "percepnet-small-v1",
    cache: Cache = None,
    size: Annotated[str, typer.Option(help="tiny, small or large.")] = "small",
    lookahead: Annotated[int, typer.Option(min=0, max=2, help="Frames of 10 ms.")] = 2,
    init: Init = None,
    steps: Steps = 30_000,
    batch: Batch = 32,
    seconds: Seconds = 4.0,
    learning_rate: LearningRate = 1e-3,
    warmup: Warmup = 50,
    decay: Decay = 0.3,
    quantise: Annotated[float, typer.Option(min=0, max=1, help="Last part of the run, with int8's rounding.")] = 0.2,
    echo: Echo = 1,
    workers: Workers = 1,
    rooms: Annotated[int, typer.Option(min=1, help="Simulated rooms.")] = 1000,
    threads: Threads = None,
    seed: Seed = 1,
) -> None:
    """Train PercepNet: noisy mixtures to band gains, comb-filter strengths and voice activity.

    Ends with the weights, the model's image and its card in OUT.
    """
    with _torch(threads):
        from vivavoce.enhancement.model import SIZES
        from vivavoce.enhancement.train import PercepNetRun, train_percepnet
        from vivavoce.training.loop import LoopConfig
    _check_size(size, SIZES)
    run = PercepNetRun(
        *(data, cache or out / "cache", out, name, size, init, batch, seconds, echo),
        workers=workers,
        seed=seed,
        lookahead=lookahead,
        rooms=rooms,
        quantise_share=quantise,
    )
    typer.echo(train_percepnet(run, LoopConfig(steps, learning_rate, warmup, decay), 2 * batch))


@app.command()
def fargan(
    data: Data,
    out: Out,
    name: Name = "fargan-base-v1",
    cache: Cache = None,
    size: SmallSize = "base",
    init: Init = None,
    steps: Steps = 100_000,
    batch: Batch = 64,
    seconds: Seconds = 3.0,
    frames: Annotated[int, typer.Option(min=2, help="Length of a sequence, in frames of 10 ms.")] = 15,
    learning_rate: LearningRate = 1.5e-3,
    warmup: Warmup = 100,
    decay: Decay = 0.3,
    adversarial: Adversarial = 0.0,
    echo: Annotated[int, typer.Option(min=1, help="Sequences that are cut out of an item.")] = 16,
    workers: Workers = 1,
    compiled: Annotated[bool, typer.Option(help="Compile the network: twice as fast; takes a C++ compiler.")] = True,
    threads: Threads = None,
    seed: Seed = 1,
) -> None:
    """Train FARGAN, a vocoder: cepstrum, pitch and voicing to speech.

    Ends with the weights, the model's image and its card in OUT.
    """
    with _torch(threads):
        from vivavoce.training.loop import LoopConfig
        from vivavoce.vocoder.fargan import SIZES
        from vivavoce.vocoder.fargan_train import FarganRun, train_fargan
    _check_size(size, SIZES)
    run = FarganRun(
        *(data, cache or out / "cache", out, name, size, init, batch, seconds, echo),
        window=16,
        workers=workers,
        seed=seed,
        frames=frames,
        adversarial=adversarial,
        compiled=compiled,
    )
    loop = LoopConfig(
        *(steps, learning_rate, warmup, decay), average=0.999, betas=(0.8, 0.95), log_steps=50, bfloat16=False
    )
    typer.echo(train_fargan(run, loop, 2 * batch))


@app.command()
def fargan_postfilter(
    data: Data,
    out: Out,
    init: Annotated[Path, typer.Option(help="Weights of the FARGAN that it stands behind, beside their card.")],
    name: Name = "fargan-base-v1",
    cache: Cache = None,
    steps: Steps = 10_000,
    batch: Batch = 16,
    seconds: Seconds = 3.0,
    frames: Annotated[int, typer.Option(min=13, help="Length of a sequence, in frames of 10 ms.")] = 80,
    learning_rate: LearningRate = 1.5e-3,
    warmup: Warmup = 100,
    decay: Decay = 0.7,
    adversarial: Adversarial = 0.0,
    echo: Annotated[int, typer.Option(min=1, help="Sequences that are cut out of an item.")] = 8,
    workers: Workers = 1,
    threads: Threads = None,
    seed: Seed = 1,
) -> None:
    """Train the spectral postfilter of a FARGAN: gains for what it makes.

    Ends with the weights, the model's image and its card in OUT.
    """
    with _torch(threads):
        from vivavoce.training.loop import LoopConfig
        from vivavoce.vocoder.spectral_postfilter_train import PostfilterRun, train_postfilter
    run = PostfilterRun(
        *(data, cache or out / "cache", out, name, "", init, batch, seconds, echo),
        window=16,
        workers=workers,
        seed=seed,
        frames=frames,
        adversarial=adversarial,
    )
    loop = LoopConfig(
        *(steps, learning_rate, warmup, decay), average=0.999, betas=(0.8, 0.98), log_steps=50, bfloat16=False
    )
    typer.echo(train_postfilter(run, loop, 8 * batch))


@app.command()
def lpcnet(
    data: Data,
    out: Out,
    name: Name = "lpcnet-base-v1",
    cache: Cache = None,
    size: SmallSize = "base",
    init: Init = None,
    steps: Steps = 20_000,
    batch: Batch = 64,
    seconds: Seconds = 3.0,
    frames: Annotated[int, typer.Option(min=1, help="Length of a sequence, in frames of 10 ms.")] = 15,
    learning_rate: LearningRate = 2e-3,
    warmup: Warmup = 100,
    decay: Decay = 0.5,
    echo: Annotated[int, typer.Option(min=1, help="Sequences that are cut out of an item.")] = 4,
    workers: Workers = 1,
    threads: Threads = None,
    seed: Seed = 1,
) -> None:
    """Train LPCNet, a vocoder that makes one sample after the other: the yardstick.

    Ends with the weights, the model's image and its card in OUT.
    """
    with _torch(threads):
        from vivavoce.training.loop import LoopConfig
        from vivavoce.vocoder.lpcnet import SIZES
        from vivavoce.vocoder.lpcnet_train import LpcnetRun, train_lpcnet
    _check_size(size, SIZES)
    run = LpcnetRun(
        *(data, cache or out / "cache", out, name, size, init, batch, seconds, echo),
        window=16,
        workers=workers,
        seed=seed,
        frames=frames,
    )
    loop = LoopConfig(
        *(steps, learning_rate, warmup, decay), average=0.99, betas=(0.8, 0.98), log_steps=25, bfloat16=False
    )
    typer.echo(train_lpcnet(run, loop, 2 * batch))


@app.command()
def plc(
    data: Data,
    out: Out,
    name: Name = "plc-base-v1",
    cache: Cache = None,
    size: SmallSize = "base",
    init: Init = None,
    steps: Steps = 20_000,
    batch: Batch = 384,
    seconds: Seconds = 3.0,
    learning_rate: LearningRate = 1e-3,
    warmup: Warmup = 100,
    decay: Decay = 0.5,
    echo: Annotated[int, typer.Option(min=1, help="Gaps that are cut out of an item.")] = 8,
    workers: Workers = 1,
    threads: Threads = None,
    seed: Seed = 1,
) -> None:
    """Train the predictor of lost features, from which neural concealment goes on.

    Ends with the weights, the model's image and its card in OUT.
    """
    with _torch(threads):
        from vivavoce.concealment.model import SIZES
        from vivavoce.concealment.train import train_predictor
        from vivavoce.training.loop import LoopConfig
        from vivavoce.training.run import Run
    _check_size(size, SIZES)
    run = Run(
        *(data, cache or out / "cache", out, name, size, init, batch, seconds, echo),
        window=16,
        workers=workers,
        seed=seed,
    )
    loop = LoopConfig(steps, learning_rate, warmup, decay, (0.8, 0.98), average=0.995, log_steps=50)
    typer.echo(train_predictor(run, loop, 2 * batch))


@app.command()
def rdovae(
    data: Data,
    out: Out,
    name: Name = "rdovae-base-v1",
    cache: Cache = None,
    size: SmallSize = "base",
    init: Init = None,
    steps: Steps = 20_000,
    batch: Batch = 64,
    seconds: Seconds = 4.0,
    learning_rate: LearningRate = 1.5e-3,
    warmup: Warmup = 100,
    decay: Decay = 0.5,
    echo: Annotated[int, typer.Option(min=1, help="How often an item is used; each time, other spans of it.")] = 10,
    model_id: Annotated[int, typer.Option(min=0, max=31, help="By which payloads tell models apart.")] = 1,
    workers: Workers = 1,
    threads: Threads = None,
    seed: Seed = 1,
) -> None:
    """Train the RDO-VAE of deep redundancy: features to a few bits and back.

    Ends with the weights, the model's image and its card in OUT.
    """
    with _torch(threads):
        from vivavoce.redundancy.rdovae import SIZES
        from vivavoce.redundancy.train import RdoVaeRun, train_rdovae
        from vivavoce.training.loop import LoopConfig
    _check_size(size, SIZES)
    run = RdoVaeRun(
        *(data, cache or out / "cache", out, name, size, init, batch, seconds, echo),
        window=160,
        workers=workers,
        seed=seed,
        model_id=model_id,
    )
    loop = LoopConfig(
        *(steps, learning_rate, warmup, decay), average=0.998, betas=(0.8, 0.98), log_steps=50, bfloat16=False
    )
    typer.echo(train_rdovae(run, loop, 4 * batch))


@contextmanager
def _torch(threads: int | None) -> Iterator[None]:
    """Where what needs PyTorch is imported."""
    try:
        import torch

        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError("train", str(error.name)) from None
    if threads:
        torch.set_num_threads(threads)


def _check_size(size: str, sizes: Iterable[str]) -> None:
    if size not in sizes:
        raise typer.BadParameter(f"{size!r} is none of {', '.join(sizes)}", param_hint="--size")
