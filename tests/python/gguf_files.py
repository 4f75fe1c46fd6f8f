"""GGUF files of tiny models, and the checkpoints that hold the same values."""
import os
import pathlib
import subprocess

import gguf
import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = os.environ.get("TCA_GGUF_VALUES", str(ROOT / "build/release/tests/tca_gguf_values"))

BLOCK_TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS",
               "MXFP4"]
PLAIN_TYPES = ["F32", "F16", "BF16"]
# Where a block has its scales: fp16, by their offsets in bytes.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0]}
# Scales at which random integers make weights of about 0.08.
USUAL = {"Q4_0": 0.017, "Q4_1": 0.017, "Q5_0": 0.009, "Q5_1": 0.009, "Q8_0": 0.0011, "Q2_K": 0.006, "Q3_K": 0.0018,
         "Q4_K": 0.0003, "Q5_K": 0.00015, "Q6_K": 6e-5, "IQ4_NL": 0.0012, "IQ4_XS": 6e-5,
         "MXFP4": 1}  # whose blocks have an exponent


def kind(name):
    return gguf.GGMLQuantizationType[name]


def random_blocks(name, count, rng, scale=None):
    """Blocks of any bits; where a scale is given, scales are near it and minima centre the values."""
    size = gguf.GGML_QUANT_SIZES[kind(name)][1]
    blocks = rng.integers(0, 256, (count, size), dtype=numpy.uint8)
    if scale is not None:
        for i, at in enumerate(SCALES.get(name, [])):
            # The minimum of Q4_1 and Q5_1 is added, that of the larger blocks is scaled and taken off.
            factor = 1 if i == 0 else {"Q4_1": -7.5, "Q5_1": -15.5, "Q2_K": 1.5, "Q4_K": 7.5, "Q5_K": 15.5}[name]
            values = (scale * factor * rng.uniform(0.8, 1.25, count)).clip(-65504, 65504).astype(numpy.float16)
            blocks[:, at : at + 2] = values.view(numpy.uint8).reshape(count, 2)
        if name == "MXFP4":
            blocks[:, 0] = rng.integers(121, 124, count)
    return blocks


def values(mode, *arguments, stdin=b""):
    done = subprocess.run([TOOL, mode, *map(str, arguments)], input=stdin, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return numpy.frombuffer(done.stdout, dtype=numpy.float32)


def permuted(weight, heads):
    """Rows of a Llama's q or k as GGUF files have them: both halves of a head interleaved."""
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def encode(value, name, rng):
    """value, or something of its shape, as stored in a type; and what that reads as."""
    if name in PLAIN_TYPES or value.ndim == 1:
        stored = gguf.quantize(value, kind(name if value.ndim > 1 else "F32"))
        return stored, gguf.dequantize(stored, kind(name if value.ndim > 1 else "F32")).reshape(value.shape)
    block, size = gguf.GGML_QUANT_SIZES[kind(name)]
    count = value.size // block
    stored = random_blocks(name, count, rng, USUAL.get(name)).reshape(value.shape[0], -1)
    return stored, gguf.dequantize(stored, kind(name))


def write_model(model, path, types, rng, split=0):
    """model as a GGUF file whose matrices are of the types in turn; its own weights become what the file holds."""
    config = model.config
    arch = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}[config.model_type]
    options = dict(split_max_tensors=split, split_max_size=0) if split else {}
    writer = gguf.GGUFWriter(path, arch, **options)
    write_config(writer, config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    state = model.state_dict()
    matrices = 0
    for name, parameter in state.items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        value = parameter.float().numpy()
        interleaved = heads.get(name.split(".")[-2]) if arch == "llama" else None
        if interleaved:
            value = permuted(value, interleaved)
        wanted = types[matrices % len(types)]
        matrices += value.ndim > 1
        stored, read = encode(value, wanted, rng)
        renamed = names.get_name(name, try_suffixes=(".weight", ".bias"))
        writer.add_tensor(renamed, stored, raw_dtype=kind(wanted if value.ndim > 1 else "F32"))
        if interleaved:  # and back
            read = read.reshape(interleaved, -1, 2, *read.shape[1:]).swapaxes(1, 2).reshape(read.shape)
        parameter.copy_(type(parameter)(read.copy()))
    write_frequency_factors(writer, config)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_config(writer, config):
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    head_dim = getattr(config, "head_dim", None)
    if head_dim:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(head_dim or config.hidden_size // config.num_attention_heads)
    if rope["rope_type"] in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType[rope["rope_type"].upper()])
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        if "beta_fast" in rope:
            writer.add_rope_scaling_yarn_beta_fast(rope["beta_fast"])
            writer.add_rope_scaling_yarn_beta_slow(rope["beta_slow"])


def write_frequency_factors(writer, config):
    """What Llama 3.1 divides each frequency by, as converters write it."""
    rope = config.rope_parameters
    if rope["rope_type"] != "llama3":
        return
    dim = config.head_dim
    frequencies = 1.0 / rope["rope_theta"] ** (numpy.arange(0, dim, 2, dtype=numpy.float64) / dim)
    wavelengths = 2 * numpy.pi / frequencies
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    smooth = numpy.clip((rope["original_max_position_embeddings"] / wavelengths - low) / (high - low), 0, 1)
    factors = 1 / ((1 - smooth) / factor + smooth)
    writer.add_tensor("rope_freqs.weight", factors.astype(numpy.float32))
