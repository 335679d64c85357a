import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vivavoce.training.distributed import Processes  # noqa: E402
from vivavoce.training.loop import LoopConfig, Trainer  # noqa: E402

ALONE = Processes(0, 1, torch.device("cpu"))
TRUTH = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 16), torch.nn.Linear(16, 8))


def trainer(folder, model=None, moved="by AdamW", **changes):
    model = model or network()
    matrices = [{"params": [model[2].weight]}] if moved == "by Muon, too" else []
    adversary = model[3] if moved == "as an adversary, too" else None
    return Trainer(model, config(**changes), folder, ALONE, matrices, adversary)


def config(**changes):
    settings = {"steps": 60, "learning_rate": 0.01, "warmup_steps": 5, "bfloat16": False, "average": 0.9, **changes}
    return LoopConfig(**settings)


def batch_of(step):
    inputs = np.random.default_rng(step).standard_normal((32, 8)).astype(np.float32)
    return {"inputs": inputs, "outputs": np.tanh(inputs @ TRUTH)}


def loss_of(model, batch):
    error = (model(batch["inputs"]) - batch["outputs"]).square().mean()
    return error, {"error": error.detach()}


@pytest.mark.parametrize("moved", ["by AdamW", "by Muon, too", "as an adversary, too"])
def test_it_learns_and_writes_a_log(tmp_path, moved):
    run = trainer(tmp_path, moved=moved)
    run.run(batch_of, loss_of)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 30, 40, 50, 60]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    batch = {name: torch.from_numpy(array) for name, array in batch_of(1000).items()}
    assert loss_of(run.average, batch)[0] < 0.5 * lines[0]["loss"]


@pytest.mark.parametrize("moved", ["by AdamW", "by Muon, too", "as an adversary, too"])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path, moved):
    """Killed in a step, with the last checkpoint some steps before."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir(), broken.mkdir()
    straight = trainer(whole, moved=moved)
    straight.run(batch_of, loss_of)

    def dies(step):
        if step == 33:
            raise KeyboardInterrupt
        return batch_of(step)

    with pytest.raises(KeyboardInterrupt):
        trainer(broken, moved=moved, checkpoint_s=0).run(dies, loss_of)
    resumed = trainer(broken, moved=moved)
    assert resumed.step == 33
    resumed.run(batch_of, loss_of)
    for ours, theirs in ((straight.model, resumed.model), (straight.average, resumed.average)):
        for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            assert torch.equal(a, b)


def test_the_rate_goes_up_stays_and_falls():
    rates = [config(steps=100, decay_share=0.4, learning_rate=1.0).rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[5:60] == pytest.approx([1.0] * 55)
    assert rates[80] == pytest.approx(0.5)
    assert min(rates[60:]) == pytest.approx(0.05)


def test_a_loss_that_is_not_finite_ends_the_run_and_spares_the_checkpoint(tmp_path):
    trainer(tmp_path, steps=5).run(batch_of, loss_of)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    run = trainer(tmp_path, steps=10)
    with pytest.raises(FloatingPointError, match="step 5"):
        run.run(batch_of, lambda model, batch: (loss_of(model, batch)[0] * float("nan"), {}))
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
