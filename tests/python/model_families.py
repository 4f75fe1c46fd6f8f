"""Tiny random models of the supported architectures and rope scalings, as transformers makes and saves them."""

import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    Glm4Config,
    Glm4ForCausalLM,
    GlmConfig,
    GlmForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)

COMMON = dict(
    vocab_size=509,
    num_hidden_layers=2,
    max_position_embeddings=512,
    rms_norm_eps=1e-5,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
)


def llama(**options):
    defaults = dict(hidden_size=128, intermediate_size=176, num_attention_heads=4, num_key_value_heads=2, head_dim=64)
    return LlamaForCausalLM, LlamaConfig(**(COMMON | defaults | options))


def mistral(**options):
    defaults = dict(hidden_size=160, intermediate_size=224, num_attention_heads=4, num_key_value_heads=1, head_dim=64)
    return MistralForCausalLM, MistralConfig(**(COMMON | defaults | options))


def qwen2(**options):
    defaults = dict(hidden_size=192, intermediate_size=160, num_attention_heads=2, num_key_value_heads=1)
    return Qwen2ForCausalLM, Qwen2Config(**(COMMON | defaults | options))


def qwen3(**options):
    defaults = dict(hidden_size=96, intermediate_size=144, num_attention_heads=4, num_key_value_heads=2, head_dim=128)
    return Qwen3ForCausalLM, Qwen3Config(**(COMMON | defaults | options))


def smollm3(**options):
    defaults = dict(hidden_size=128, intermediate_size=176, num_attention_heads=4, num_key_value_heads=2)
    return SmolLM3ForCausalLM, SmolLM3Config(**(COMMON | defaults | options))


def olmo2(**options):
    defaults = dict(hidden_size=128, intermediate_size=176, num_attention_heads=4, num_key_value_heads=2)
    return Olmo2ForCausalLM, Olmo2Config(**(COMMON | defaults | options))


def granite(**options):
    defaults = dict(
        hidden_size=128,
        intermediate_size=176,
        num_attention_heads=4,
        num_key_value_heads=2,
        embedding_multiplier=3.5,
        residual_multiplier=0.6,
        attention_multiplier=0.3,
        logits_scaling=0.7,
    )
    return GraniteForCausalLM, GraniteConfig(**(COMMON | defaults | options))


def glm(kind, config, **options):
    defaults = dict(
        hidden_size=128, intermediate_size=176, num_attention_heads=4, num_key_value_heads=2, head_dim=64
    )
    return kind, config(**(COMMON | defaults | options))


def phi3(**options):
    defaults = dict(hidden_size=128, intermediate_size=176, num_attention_heads=4, num_key_value_heads=2)
    return Phi3ForCausalLM, Phi3Config(**(COMMON | defaults | options))


def gemma3(**options):
    defaults = dict(
        hidden_size=128,
        intermediate_size=176,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        query_pre_attn_scalar=40,
        sliding_window=50,
        layer_types=["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
    )
    return Gemma3ForCausalLM, Gemma3TextConfig(**(COMMON | defaults | options))


def mixtral(**options):
    defaults = dict(
        hidden_size=128,
        intermediate_size=96,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=5,
        num_experts_per_tok=2,
    )
    return MixtralForCausalLM, MixtralConfig(**(COMMON | defaults | options))


def qwen3_moe(**options):
    defaults = dict(
        hidden_size=96,
        intermediate_size=144,
        moe_intermediate_size=40,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        num_experts=12,
        num_experts_per_tok=4,
    )
    return Qwen3MoeForCausalLM, Qwen3MoeConfig(**(COMMON | defaults | options))


def scaled(kind, **options):
    return dict(rope_theta=10000.0, rope_type=kind, **options)


LLAMA31 = dict(low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)

# name: (class and configuration, type it is saved in, largest shard)
FAMILIES = {
    "llama2": (llama(num_key_value_heads=4), torch.float32, "5GB"),
    "llama2-bf16": (llama(num_key_value_heads=4, tie_word_embeddings=True), torch.bfloat16, "5GB"),
    "llama3-sharded": (llama(rope_parameters=scaled("default") | {"rope_theta": 500000.0}), torch.bfloat16, "150KB"),
    "llama3.1": (llama(rope_parameters=scaled("llama3", factor=8.0, **LLAMA31)), torch.float32, "5GB"),
    "llama3.2-tied": (
        llama(rope_parameters=scaled("llama3", factor=32.0, **LLAMA31), tie_word_embeddings=True),
        torch.bfloat16,
        "5GB",
    ),
    "llama-linear": (llama(rope_parameters=scaled("linear", factor=4.0)), torch.float32, "5GB"),
    "llama-biases": (llama(attention_bias=True, mlp_bias=True, head_dim=96), torch.float32, "5GB"),
    "llama-fp16": (llama(), torch.float16, "5GB"),
    "mistral": (mistral(sliding_window=None), torch.float32, "5GB"),
    "mistral-window": (mistral(sliding_window=400), torch.float32, "5GB"),
    "mistral-slides": (mistral(sliding_window=60), torch.float32, "5GB"),
    "qwen2": (qwen2(), torch.float32, "5GB"),
    "qwen2-yarn": (
        qwen2(rope_parameters=scaled("yarn", factor=8.0, original_max_position_embeddings=64)),
        torch.bfloat16,
        "5GB",
    ),
    "qwen3-sharded": (qwen3(), torch.float32, "200KB"),
    "qwen3-yarn": (
        qwen3(
            rope_parameters=scaled(
                "yarn", factor=4.0, original_max_position_embeddings=128, beta_fast=16.0, beta_slow=2.0, mscale=1.5,
                mscale_all_dim=0.5
            ),
            tie_word_embeddings=True,
        ),
        torch.float32,
        "5GB",
    ),
    "smollm3": (smollm3(num_hidden_layers=5), torch.float32, "5GB"),
    "smollm3-listed": (smollm3(no_rope_layers=[0, 1], attention_bias=True), torch.bfloat16, "5GB"),
    "olmo2": (olmo2(), torch.float32, "5GB"),
    "granite": (granite(), torch.float32, "5GB"),
    "granite-tied": (granite(tie_word_embeddings=True, mlp_bias=True), torch.bfloat16, "5GB"),
    "glm": (glm(GlmForCausalLM, GlmConfig), torch.float32, "5GB"),
    "glm4": (glm(Glm4ForCausalLM, Glm4Config, partial_rotary_factor=0.25), torch.float32, "5GB"),
    "phi3": (phi3(), torch.float32, "5GB"),
    "phi4-mini": (
        phi3(rope_parameters=scaled("default", partial_rotary_factor=0.75), tie_word_embeddings=True),
        torch.bfloat16,
        "5GB",
    ),
    # The tests read 201 tokens, or 270 and questions of up to 262: the short factors, and the long ones.
    "phi3.5-longrope": (
        phi3(
            rope_parameters=scaled(
                "longrope",
                short_factor=[1 + 0.02 * i for i in range(16)],
                long_factor=[1.5 + 0.3 * i for i in range(16)],
            ),
            original_max_position_embeddings=600,
        ),
        torch.float32,
        "5GB",
    ),
    "phi3.5-longrope-long": (
        phi3(
            rope_parameters=scaled(
                "longrope",
                short_factor=[1 + 0.02 * i for i in range(16)],
                long_factor=[1.5 + 0.3 * i for i in range(16)],
            ),
            original_max_position_embeddings=128,
        ),
        torch.float32,
        "5GB",
    ),
    "gemma3": (gemma3(), torch.float32, "5GB"),
    "gemma3-scaled": (
        gemma3(
            head_dim=256,
            rope_parameters={
                "full_attention": dict(rope_type="linear", factor=8.0, rope_theta=1000000.0),
                "sliding_attention": dict(rope_type="default", rope_theta=10000.0),
            },
        ),
        torch.bfloat16,
        "5GB",
    ),
    "mixtral": (mixtral(), torch.float32, "5GB"),
    "qwen3-moe": (qwen3_moe(norm_topk_prob=True), torch.float32, "5GB"),
    "qwen3-moe-mixed": (qwen3_moe(num_hidden_layers=3, mlp_only_layers=[1]), torch.bfloat16, "5GB"),
}


# Through whose layers, experts and sliding windows, answers have no gradient.
WITHOUT_GRADIENTS = [
    name for name in FAMILIES if name.startswith(("mixtral", "qwen3-moe", "gemma3", "mistral-"))
]


def head_order(config):
    """Where each dimension of a head of our queries and keys comes from: rotated pairs are i and i + head_dim / 2."""
    dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    turned = int(dim * (config.rope_parameters.get("partial_rotary_factor") or 1))
    first, second = list(range(turned // 2)), list(range(turned // 2, turned))
    if config.model_type.startswith("glm"):
        first, second = list(range(0, turned, 2)), list(range(1, turned, 2))
    rest = list(range(turned, dim))
    half = len(rest) // 2
    return first + rest[:half] + second + rest[half:]


def make(name, path):
    """The model in fp32, as saved under path: weights that the stored type holds exactly."""
    (kind, config), dtype, shard = FAMILIES[name]
    torch.manual_seed(sum(map(ord, name)))
    model = kind(config)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            # Strong enough for peaked attention and logits well apart; norms around 1.
            if "norm" in parameter_name:
                stored_less_one = config.model_type.startswith("gemma")
                parameter.copy_((0 if stored_less_one else 1) + 0.2 * torch.randn_like(parameter))
            else:
                parameter.copy_((0.3 if "bias" in parameter_name else 0.08) * torch.randn_like(parameter))
    model.to(dtype).save_pretrained(path, max_shard_size=shard)
    # Read back, because .to(bfloat16) rounds the rope's frequencies too.
    return kind.from_pretrained(path, dtype=torch.float32).eval()
