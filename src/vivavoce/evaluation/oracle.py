"""The oracle ladder: how good each part of PercepNet could make noisy speech, if a network knew what it has to find.

After "How Amazon Chime's noise cancellation works" and J.-M. Valin et al., "A perceptually-motivated approach for
low-complexity, real-time enhancement of fullband speech" (INTERSPEECH 2020). From the noisy speech up:

- `bins`: the magnitude of every bin from the clean speech, the phase from the noisy one;
- `bands`: only one gain for each of 34 bands;
- `comb`: the comb filter besides, with the strengths that clean speech asks for and the pitch of the noisy speech;
- `comb-clean-pitch`: the same with the pitch of the clean speech, so that the two tell what the tracker costs;
- `postfilter`: `comb`, and noisy bands go down further.

Every rung is made with what the denoiser has: 20-ms windows, 20 ms of look-ahead. The difference from `postfilter` to a
trained network is what the network could still learn.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vivavoce.audio import read_audio, resample, write_wav
from vivavoce.enhancement.comb import noise_gain
from vivavoce.enhancement.features import ERB_BANDS, WINDOW, Analysis, analyse_noisy, comb_spectra
from vivavoce.enhancement.gains import coherence, oracle_gains, oracle_strengths
from vivavoce.enhancement.synthesis import apply_gains
from vivavoce.evaluation.enhancement import CLEAN, NOISY, Clip, Progress, SystemScores
from vivavoce.evaluation.enhancement_tables import SystemRow, summarise_systems
from vivavoce.evaluation.mixing import mix
from vivavoce.evaluation.workers import workers
from vivavoce.signal.pitch import HOP, SAMPLE_RATE, track_pitch
from vivavoce.signal.stft import analyse, synthesise

BINS, BANDS, COMB, COMB_CLEAN_PITCH, POSTFILTER = "bins", "bands", "comb", "comb-clean-pitch", "postfilter"
BELOW = {BINS: NOISY, BANDS: BINS, COMB: BANDS, COMB_CLEAN_PITCH: COMB, POSTFILTER: COMB}  # what each is compared with
LOOKAHEAD = 2
TINY = 1e-20


def oracle_rungs(clean: np.ndarray, noisy: np.ndarray, lookahead: int = LOOKAHEAD) -> dict[str, np.ndarray]:
    """Make the rungs of one clip.

    Args:
        clean: Shape (samples,), 48 kHz.
        noisy: Like `clean`, aligned with it.
        lookahead: Frames of 10 ms that the comb filter and the pitch tracker may look ahead, 0 to 2.

    Returns:
        By name, from the lowest; shape (samples,) each, float32.

    Raises:
        ValueError: The two differ in shape.
    """
    if clean.ndim != 1 or clean.shape != noisy.shape:
        raise ValueError(f"clean {clean.shape} and noisy {noisy.shape} must both have shape (samples,)")
    frames = -(-len(clean) // HOP) + 1
    spectra = analyse(clean, frames, WINDOW)
    analysis = analyse_noisy(noisy, frames, lookahead)
    gains = oracle_gains(ERB_BANDS.energies(spectra), analysis.energies)
    strengths, attenuations = _strengths(clean, spectra, analysis, lookahead)
    steady = _with_pitch(analysis, noisy, track_pitch(clean, frames, lookahead).periods, lookahead)
    steady_strengths, steady_attenuations = _strengths(clean, spectra, steady, lookahead)
    rungs = {
        BINS: synthesise(_with_magnitude(analysis.spectra, np.abs(spectra)), WINDOW),
        BANDS: _applied(analysis, gains, np.zeros_like(gains)),
        COMB: _applied(analysis, gains * attenuations, strengths),
        COMB_CLEAN_PITCH: _applied(steady, gains * steady_attenuations, steady_strengths),
        POSTFILTER: _applied(analysis, gains * attenuations, strengths, postfilter=True),
    }
    return {name: samples[: len(clean)].astype(np.float32) for name, samples in rungs.items()}


def mix_pair(clean: Path, noise: Path, snrs_db: Sequence[float], folder: Path) -> dict[str, float]:
    """Mix two files into a set of one clip for each SNR: `clean/` and `noisy/`, 16-bit WAV at the rate of the speech.

    Args:
        clean: Sound file.
        noise: Sound file; repeated until it is as long as the speech.
        snrs_db: Active level of the speech over the mean level of the noise.
        folder: Where the two folders go; existing files are replaced.

    Returns:
        SNR of each clip by its id.

    Raises:
        AudioFileError: A file cannot be read or written.
        ValueError: A file is silent.
    """
    speech, sample_rate = read_audio(clean)
    sound, _ = read_audio(noise, sample_rate=sample_rate)
    if not len(sound):
        raise ValueError(f"{noise} is empty")
    for name in (CLEAN, NOISY):
        (folder / name).mkdir(parents=True, exist_ok=True)
    ids = {f"{clean.stem}-{noise.stem}-{snr_db:g}dB": snr_db for snr_db in snrs_db}
    for key, snr_db in ids.items():
        mixed = mix(speech, np.resize(sound, len(speech)), sample_rate, snr_db)
        for name, samples in zip((CLEAN, NOISY), mixed, strict=True):
            write_wav(folder / name / f"{key}.wav", samples, sample_rate, force=True)
    return ids


def climb_clips(clips: Sequence[Clip], folder: Path, jobs: int = 1, progress: Progress | None = None) -> list[Clip]:
    """Make the rungs of a set.

    Args:
        clips: Which.
        folder: Each rung is written into a folder of its name there, 16-bit WAV; existing files are replaced.
        jobs: Processes.
        progress: Told the stage, how many are done, and of how many.

    Returns:
        The clips with the rungs among their systems, before the clean files.

    Raises:
        ValueError: Clean and noisy differ in length.
        AudioFileError: A file cannot be read.
    """
    climbed = [Clip(clip.id, clip.clean, _outputs(clip, folder)) for clip in clips]
    with workers(min(jobs, len(climbed)) or 1) as run:
        for done, _ in enumerate(run(_climb, climbed), start=1):
            if progress is not None:
                progress("oracle", done, len(climbed))
    return climbed


def summarise_ladder(
    systems: Sequence[SystemScores], metrics: Sequence[str], clips: Collection[str] | None = None
) -> list[SystemRow]:
    """Sum up what the rungs scored, each with its paired difference from the one below.

    Args:
        systems: What `score_systems` returned for clips out of `climb_clips`; trained networks are among them or not.
        metrics: Names of the metrics.
        clips: Only these; None takes all.
    """
    rows = []
    for system in systems:
        below = BELOW.get(system.system, POSTFILTER)
        pair = [each for each in systems if each.system in (below, system.system)]
        baselines = [] if system.system in (NOISY, CLEAN) else [below]
        rows += [row for row in summarise_systems(pair, metrics, baselines, clips) if row.system == system.system]
    return rows


def _with_pitch(analysis: Analysis, noisy: np.ndarray, periods: np.ndarray, lookahead: int) -> Analysis:
    """The analysis as it were with other periods, features apart."""
    comb = comb_spectra(noisy, periods, lookahead)
    coherences = _coherences(comb, analysis.spectra)
    gains = noise_gain(periods, lookahead)
    return replace(analysis, comb=comb, coherences=coherences, noise_gains=gains, periods=periods)


def _strengths(
    clean: np.ndarray, spectra: np.ndarray, analysis: Analysis, lookahead: int
) -> tuple[np.ndarray, np.ndarray]:
    wanted = _coherences(comb_spectra(clean, analysis.periods, lookahead), spectra)
    return oracle_strengths(wanted, analysis.coherences, analysis.noise_gains[:, None])


def _coherences(comb: np.ndarray, spectra: np.ndarray) -> np.ndarray:
    return coherence(ERB_BANDS.correlations(comb, spectra), ERB_BANDS.energies(comb), ERB_BANDS.energies(spectra))


def _with_magnitude(spectra: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
    return spectra * (magnitude / np.maximum(np.abs(spectra), TINY))


def _applied(analysis: Analysis, gains: np.ndarray, strengths: np.ndarray, postfilter: bool = False) -> np.ndarray:
    return apply_gains(analysis, gains, strengths, postfilter=postfilter, decay_limit=False)


def _outputs(clip: Clip, folder: Path) -> dict[str, Path]:
    rungs = {name: folder / name / f"{clip.id}.wav" for name in BELOW}
    return {NOISY: clip.outputs[NOISY], **rungs, CLEAN: clip.clean}


def _climb(clip: Clip) -> None:
    clean, sample_rate = read_audio(clip.clean)
    noisy, _ = read_audio(clip.outputs[NOISY], sample_rate=sample_rate)
    if len(clean) != len(noisy):
        raise ValueError(f"{clip.clean} has {len(clean)} samples, and {clip.outputs[NOISY]} {len(noisy)}")
    rungs = oracle_rungs(resample(clean, sample_rate, SAMPLE_RATE), resample(noisy, sample_rate, SAMPLE_RATE))
    for name, samples in rungs.items():
        path = clip.outputs[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        output = resample(samples, SAMPLE_RATE, sample_rate)[: len(clean)]
        write_wav(path, np.pad(output, (0, len(clean) - len(output))), sample_rate, force=True)
