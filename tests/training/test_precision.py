import pytest

pytest.importorskip("torch")

import torch

from vivavoce.training.precision import matrix_precision, mixed_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"avx2": True, "avx512_f": True}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"neon": True, "bf16": True}, torch.bfloat16),
        ({}, torch.float32),
    ],
    ids=["AVX2", "AVX-512", "AMX", "Arm", "nothing known"],
)
def test_the_processor_decides(monkeypatch, known, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert matrix_precision(CPU) == expected
    with mixed_precision(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected
    with mixed_precision(CPU, wanted=False):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_a_pytorch_that_does_not_say_gets_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert matrix_precision(CPU) == torch.float32
