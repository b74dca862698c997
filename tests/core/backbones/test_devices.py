"""Devices and number formats."""

import pytest
import torch

from napari_dinoprompt.core.backbones.devices import choose_device, choose_precision
from napari_dinoprompt.core.errors import InputError

CPU = torch.device("cpu")


def test_auto_takes_an_accelerator_where_there_is_one() -> None:
    expected = "cpu"
    if torch.cuda.is_available():
        expected = "cuda"
    elif torch.backends.mps.is_available():
        expected = "mps"
    assert choose_device("auto").type == expected


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["gpu", "", "xla", "cpu:x", "meta"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        choose_device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA card")
def test_an_absent_card_is_refused_with_what_is_there(name: str) -> None:
    with pytest.raises(InputError, match=r"there is .*cpu"):
        choose_device(name)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("fp32", torch.float32),
        ("bf16", torch.bfloat16),
        ("fp16", torch.float16),
    ],
)
def test_number_formats_on_a_cpu(name: str, dtype: torch.dtype) -> None:
    assert choose_precision(name, CPU) == dtype


@pytest.mark.parametrize(
    ("built_in", "dtype"), [(False, torch.float32), (True, torch.bfloat16)]
)
def test_auto_on_a_cpu_is_half_precision_where_it_is_built_in(
    monkeypatch: pytest.MonkeyPatch, built_in: bool, dtype: torch.dtype
) -> None:
    told = {"amx_bf16": built_in}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert choose_precision("auto", CPU) == dtype


@pytest.mark.parametrize("name", ["fp8", "", "float32"])
def test_unknown_number_formats_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="bf16"):
        choose_precision(name, CPU)


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({}, torch.float32),
        ({"avx512_bf16": True, "amx_bf16": False}, torch.float32),
        ({"bf16": True}, torch.float32),
        ({"avx512_bf16": True, "amx_bf16": True}, torch.bfloat16),
    ],
)
def test_auto_on_a_cpu_is_half_precision_with_amx_only(
    monkeypatch: pytest.MonkeyPatch,
    capabilities: dict[str, bool],
    dtype: torch.dtype,
) -> None:
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: capabilities, raising=False
    )
    assert choose_precision("auto", CPU) == dtype


def test_auto_on_a_cpu_is_single_precision_where_torch_does_not_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert choose_precision("auto", CPU) == torch.float32
