"""Blocks of every type against the gguf package: the same values, bit for bit."""
import gguf
import numpy
import pytest

from gguf_files import BLOCK_TYPES, kind, random_blocks, values


def assert_same_bits(blocks, name):
    with numpy.errstate(all="ignore"):
        expected = gguf.dequantize(blocks, kind(name)).ravel()
    actual = values("blocks", name, stdin=blocks.tobytes())
    assert actual.shape == expected.shape
    numbers = ~numpy.isnan(expected)
    assert numpy.array_equal(numpy.isnan(actual), ~numbers)
    assert numpy.array_equal(actual.view(numpy.uint32)[numbers], expected.view(numpy.uint32)[numbers])
    return expected


@pytest.mark.parametrize("name", BLOCK_TYPES)
def test_blocks_of_any_bits_read_as_the_package_reads_them(name):
    rng = numpy.random.default_rng(5)
    # Scales are any fp16 here: subnormal, infinite, NaN, of both signs.
    expected = assert_same_bits(random_blocks(name, 20000, rng), name)
    assert numpy.isfinite(expected).mean() > 0.5
    for scale in (6e-8, 1e-5, 0.01, 60000.0):
        assert_same_bits(random_blocks(name, 500, rng, scale), name)


@pytest.mark.parametrize("name", BLOCK_TYPES)
def test_blocks_of_nothing_but_equal_bytes_too(name):
    size = gguf.GGML_QUANT_SIZES[kind(name)][1]
    blocks = numpy.repeat(numpy.arange(256, dtype=numpy.uint8)[:, None], size, axis=1)
    assert_same_bits(blocks, name)
