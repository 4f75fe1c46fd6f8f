#include "cli/random_shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/json.h"
#include "runtime/io/parse_config.h"
#include "tca/error.h"

namespace tca::cli {
namespace {

/// What config.json says of a model that has the shape.
struct Shape {
  const char* name;
  const char* config;
};
constexpr Shape kShapes[] = {
    {"llama-3.1-8b", R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,
      "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
      "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
      "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                       "original_max_position_embeddings": 8192}})"},
    {"qwen2.5-7b", R"({"architectures": ["Qwen2ForCausalLM"], "hidden_size": 3584, "intermediate_size": 18944,
      "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064,
      "max_position_embeddings": 131072, "rope_theta": 1000000.0})"}};

struct Overlap {
  std::size_t source = 0;
  double weight = 0;
};

/// Which of `from` equal parts the index-th of `to` equal parts of the same length covers; the weights sum to 1. Whole
/// numbers: a part that lies inside another has the weight 1 exactly.
std::vector<Overlap> overlaps(std::size_t index, std::size_t to, std::size_t from) {
  const std::size_t begin = index * from, end = begin + from;  // in units of 1 / (to * from)
  std::vector<Overlap> found;
  for (std::size_t s = begin / to; s * to < end; ++s) {
    const std::size_t shared = std::min(end, (s + 1) * to) - std::max(begin, s * to);
    found.push_back({s, static_cast<double>(shared) / static_cast<double>(from)});
  }
  return found;
}

void add(BlockShares& sum, const BlockShares& shares, double weight) {
  sum.share.resize(shares.share.size(), 0.0);
  for (std::size_t i = 0; i < shares.share.size(); ++i) sum.share[i] += weight * shares.share[i];
}

HeadProfile mean_head(const std::vector<std::vector<HeadProfile>>& source, const std::vector<Overlap>& layers,
                      const std::vector<Overlap>& heads) {
  HeadProfile mean;
  BlockShares attended;
  bool differs = false;
  for (const Overlap& layer : layers) {
    for (const Overlap& place : heads) {
      const HeadProfile& head = source.at(layer.source).at(place.source);
      const double weight = layer.weight * place.weight;
      add(mean.keep, head.keep, weight);
      add(attended, head.attended(), weight);
      differs = differs || head.attend.has_value();
      mean.risk += weight * head.risk;
      mean.mean_dropped += weight * head.mean_dropped;
    }
  }
  if (differs) mean.attend = std::move(attended);
  return mean;
}

}  // namespace

std::vector<std::string> random_shape_names() {
  std::vector<std::string> names;
  for (const Shape& shape : kShapes) names.emplace_back(shape.name);
  return names;
}

runtime::ModelConfig random_shape(const std::string& name, std::int64_t extra_positions) {
  for (const Shape& shape : kShapes) {
    if (name != shape.name) continue;
    const JsonDocument fields(parse_json(shape.config, name));
    runtime::ModelConfig config = runtime::parse_config(*fields, name);
    config.max_position += extra_positions;
    return config;
  }
  throw Error(ErrorCategory::kInvalidArgument,
              fmt::format("no shape is called '{}'; there are {}", name, fmt::join(random_shape_names(), ", ")));
}

Profile spread_profile(const Profile& source, const ModelFingerprint& model) {
  Profile spread = source;
  spread.model = model;
  spread.default_keep.reset();  // measured on the source's model
  spread.answer_risk.reset();   // so is the bank
  const auto num_layers = static_cast<std::size_t>(model.num_layers);
  const auto num_heads = static_cast<std::size_t>(model.num_kv_heads);
  for (ProfileBudget& budget : spread.budgets) {
    std::vector<std::vector<HeadProfile>> layers(num_layers);
    double kept = 0;
    for (std::size_t l = 0; l < num_layers; ++l) {
      const std::vector<Overlap> from = overlaps(l, num_layers, budget.layers.size());
      for (std::size_t h = 0; h < num_heads; ++h) {
        layers[l].push_back(mean_head(budget.layers, from,
                                      overlaps(h, num_heads, static_cast<std::size_t>(source.model.num_kv_heads))));
        kept += layers[l].back().keep.kept_share();
      }
    }
    budget.layers = std::move(layers);
    budget.kept_share = kept / static_cast<double>(num_layers * num_heads);
  }
  return spread;
}

}  // namespace tca::cli
