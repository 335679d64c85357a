"""Small corpora that tests make for themselves."""

import io
import json
import tarfile

import numpy as np
import soundfile


def voice(random, seconds, sample_rate, floor=1e-3):
    """Syllables of 0.2 s with pauses of 0.1 s, of harmonics up to 0.45 of the rate."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    pitch = random.uniform(90, 250)
    tone = sum(
        np.sin(2 * np.pi * pitch * harmonic * time + random.uniform(0, 6))
        for harmonic in np.unique(np.geomspace(1, 0.45 * sample_rate / pitch, 16).astype(int))
    )
    syllables = np.clip(8 * np.sin(2 * np.pi * time / 0.3) + 4, 0, 1)
    return (0.03 * tone * syllables + floor * random.standard_normal(len(time))).astype(np.float32)


def write_corpus(directory, name, items, sample_rate):
    """NAME.tar and NAME.jsonl of (fields of the manifest, samples) pairs."""
    lines = []
    with tarfile.open(directory / f"{name}.tar", "w") as archive:
        for fields, samples in items:
            file = io.BytesIO()
            soundfile.write(file, samples, sample_rate, format="FLAC", subtype="PCM_16")
            info = tarfile.TarInfo(f"{fields['id']}.flac")
            info.size = len(file.getvalue())
            archive.addfile(info, io.BytesIO(file.getvalue()))
            lines.append(
                {"file": info.name, "sample_rate": sample_rate, "duration": len(samples) / sample_rate, **fields}
            )
    (directory / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
