// Small random models written as a Hugging Face checkpoint, for tests of the model and the engine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "tca/tensor.h"

namespace tca::test {

struct TinyModelOptions {
  std::string architecture = "Qwen3ForCausalLM";  // or LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM
  std::int32_t hidden = 32, layers = 2, heads = 4, kv_heads = 2, head_dim = 64, inner = 48, vocab = 97;
  std::int64_t max_position = 4096;
  bool tied = true;  // as the configuration says; and lm_head.weight is stored when not
  bool store_embedding = true;
  std::optional<bool> store_lm_head = {};
  std::int64_t sliding_window = 0;  // 0: none
  DType dtype = DType::kBF16;
  std::uint64_t seed = 1;
  bool sharded = false;  // two files and an index
};

/// A directory with config.json and model.safetensors (or its shards), removed with the object. Heads get random but
/// strong queries and keys, so that attention is peaked and dropped tokens show.
class TinyModel {
 public:
  explicit TinyModel(const TinyModelOptions& options = {});
  ~TinyModel();
  TinyModel(const TinyModel&) = delete;
  TinyModel& operator=(const TinyModel&) = delete;
  std::string dir() const { return dir_.string(); }
  std::string file(const std::string& name) const { return (dir_ / name).string(); }

 private:
  std::filesystem::path dir_;
};

}  // namespace tca::test
