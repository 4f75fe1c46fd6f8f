"""The default model: a Qwen3-architecture causal language model, and its export as a Hugging Face checkpoint."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

CONFIG = {
    "vocab_size": 8192,
    "hidden_size": 512,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "intermediate_size": 1408,
    "rms_norm_eps": 1e-6,
    "rope_theta": 4e6,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": True,
}
SHARD_BYTES = 15_500_000
LOSS_CHUNK_TOKENS = 65536  # logits of this many tokens are alive at once


class Norm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return F.rms_norm(x, (x.size(-1),), self.weight.to(x.dtype), CONFIG["rms_norm_eps"])


def rotate(x, cos, sin):
    """Rotary position embedding of x [..., tokens, head_dim]."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        hidden, head_dim = CONFIG["hidden_size"], CONFIG["head_dim"]
        q_size, kv_size = CONFIG["num_attention_heads"] * head_dim, CONFIG["num_key_value_heads"] * head_dim
        inner = CONFIG["intermediate_size"]
        self.q_proj = nn.Linear(hidden, q_size, bias=False)
        self.k_proj = nn.Linear(hidden, kv_size, bias=False)
        self.v_proj = nn.Linear(hidden, kv_size, bias=False)
        self.o_proj = nn.Linear(q_size, hidden, bias=False)
        self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)
        self.attention_norm, self.mlp_norm = Norm(hidden), Norm(hidden)
        self.q_norm, self.k_norm = Norm(head_dim), Norm(head_dim)
        nn.init.zeros_(self.o_proj.weight)
        nn.init.zeros_(self.down_proj.weight)

    def forward(self, x, cos, sin):
        batch, tokens, _ = x.shape
        heads = (batch, tokens, -1, CONFIG["head_dim"])
        y = self.attention_norm(x)
        q = rotate(self.q_norm(self.q_proj(y).view(heads)).transpose(1, 2), cos, sin)
        k = rotate(self.k_norm(self.k_proj(y).view(heads)).transpose(1, 2), cos, sin)
        v = self.v_proj(y).view(heads).transpose(1, 2)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o_proj(out.transpose(1, 2).reshape(batch, tokens, -1))
        y = self.mlp_norm(x)
        return x + self.down_proj(F.silu(self.gate_proj(y)) * self.up_proj(y))


class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(CONFIG["vocab_size"], CONFIG["hidden_size"])
        self.layers = nn.ModuleList(Layer() for _ in range(CONFIG["num_hidden_layers"]))
        self.norm = Norm(CONFIG["hidden_size"])
        nn.init.normal_(self.embed.weight, std=0.02)
        half = torch.arange(0, CONFIG["head_dim"], 2, dtype=torch.float64) / CONFIG["head_dim"]
        positions = torch.arange(CONFIG["max_position_embeddings"], dtype=torch.float64)
        angles = positions[:, None] * (1.0 / CONFIG["rope_theta"] ** half)
        self.register_buffer("cos", angles.cos().to(torch.bfloat16), persistent=False)
        self.register_buffer("sin", angles.sin().to(torch.bfloat16), persistent=False)

    def hidden(self, ids):
        """Last hidden states [batch, tokens, hidden] of ids [batch, tokens]."""
        tokens = ids.size(1)
        x = self.embed(ids).to(torch.bfloat16)
        for layer in self.layers:
            x = layer(x, self.cos[:tokens], self.sin[:tokens])
        return self.norm(x)

    def logits(self, hidden):
        return hidden @ self.embed.weight.to(hidden.dtype).T

    def loss(self, ids, targets, weights):
        """Mean cross entropy, every target weighted."""
        hidden, targets, weights = self.hidden(ids).flatten(0, 1), targets.flatten(), weights.flatten()
        total = 0.0
        for begin in range(0, hidden.size(0), LOSS_CHUNK_TOKENS):
            rows = slice(begin, begin + LOSS_CHUNK_TOKENS)
            total = total + weighted_cross_entropy(hidden[rows], self.embed.weight, targets[rows], weights[rows])
        return total / weights.sum()


@torch.compile(dynamic=False)
def weighted_cross_entropy(hidden, embedding, targets, weights):
    logits = (hidden @ embedding.to(hidden.dtype).T).float()
    return (F.cross_entropy(logits, targets, reduction="none") * weights).sum()


def named_weights(model):
    """Weights under the names Transformers gives them, in bf16."""
    weights = {"model.embed_tokens.weight": model.embed.weight, "model.norm.weight": model.norm.weight}
    for index, layer in enumerate(model.layers):
        prefix = f"model.layers.{index}."
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            weights[f"{prefix}self_attn.{name}.weight"] = getattr(layer, name).weight
        for name in ("gate_proj", "up_proj", "down_proj"):
            weights[f"{prefix}mlp.{name}.weight"] = getattr(layer, name).weight
        weights[f"{prefix}input_layernorm.weight"] = layer.attention_norm.weight
        weights[f"{prefix}post_attention_layernorm.weight"] = layer.mlp_norm.weight
        weights[f"{prefix}self_attn.q_norm.weight"] = layer.q_norm.weight
        weights[f"{prefix}self_attn.k_norm.weight"] = layer.k_norm.weight
    return {name: weight.detach().to(torch.bfloat16).cpu().contiguous() for name, weight in weights.items()}


def shards_of(weights):
    """The weights in their order, cut into parts of at most SHARD_BYTES."""
    shards, size = [{}], 0
    for name, weight in weights.items():
        size += weight.numel() * 2
        if size > SHARD_BYTES:
            shards.append({})
            size = weight.numel() * 2
        shards[-1][name] = weight
    return shards


def export(model, folder):
    """Writes config.json, the safetensors shards and their index."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = named_weights(model)
    shards = shards_of(weights)
    file_of = {}
    for number, shard in enumerate(shards, start=1):
        file_name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, str(folder / file_name), metadata={"format": "pt"})
        file_of.update(dict.fromkeys(shard, file_name))
    total_size = sum(weight.numel() * 2 for weight in weights.values())
    index = {"metadata": {"total_size": total_size}, "weight_map": file_of}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "use_cache": True,
        "initializer_range": 0.02,
        "torch_dtype": "bfloat16",
        "rope_scaling": None,
        "use_sliding_window": False,
        "sliding_window": None,
        **CONFIG,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1))
