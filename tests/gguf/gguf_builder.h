// GGUF files that tests make up, right and wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tca::testing {

class GgufBuilder {
 public:
  explicit GgufBuilder(std::uint32_t version = 3) : version_(version) {}

  template <class T>
  static std::string raw(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof(T)};
  }
  static std::string counted(std::string_view text) { return raw<std::uint64_t>(text.size()).append(text); }

  /// type: the number that files have for it; value: its bytes.
  GgufBuilder& add(std::string_view key, std::uint32_t type, const std::string& value) {
    pairs_ += counted(key) + raw(type) + value;
    ++num_pairs_;
    return *this;
  }
  GgufBuilder& u32(std::string_view key, std::uint32_t value) { return add(key, 4, raw(value)); }
  GgufBuilder& f32(std::string_view key, float value) { return add(key, 6, raw(value)); }
  GgufBuilder& boolean(std::string_view key, bool value) { return add(key, 7, raw<std::uint8_t>(value)); }
  GgufBuilder& string(std::string_view key, std::string_view value) { return add(key, 8, counted(value)); }
  GgufBuilder& strings(std::string_view key, const std::vector<std::string>& values) {
    std::string bytes = raw<std::uint32_t>(8) + raw<std::uint64_t>(values.size());
    for (const std::string& value : values) bytes += counted(value);
    return add(key, 9, bytes);
  }
  template <class T>
  GgufBuilder& array(std::string_view key, std::uint32_t type, const std::vector<T>& values) {
    std::string bytes = raw(type) + raw<std::uint64_t>(values.size());
    for (const T value : values) bytes += raw(value);
    return add(key, 9, bytes);
  }

  /// extents: the innermost first, as files have them. Its bytes follow those of the tensors before, aligned.
  GgufBuilder& tensor(std::string_view name, const std::vector<std::uint64_t>& extents, std::uint32_t type,
                      std::string_view bytes) {
    data_.resize((data_.size() + 31) / 32 * 32);
    info(name, extents, type, data_.size());
    data_ += bytes;
    return *this;
  }
  /// One without bytes of its own.
  GgufBuilder& info(std::string_view name, const std::vector<std::uint64_t>& extents, std::uint32_t type,
                    std::uint64_t offset) {
    infos_ += counted(name) + raw<std::uint32_t>(static_cast<std::uint32_t>(extents.size()));
    for (const std::uint64_t extent : extents) infos_ += raw(extent);
    infos_ += raw(type) + raw(offset);
    ++num_tensors_;
    return *this;
  }

  std::string bytes() const {
    std::string file = "GGUF" + raw(version_) + raw(num_tensors_) + raw(num_pairs_) + pairs_ + infos_;
    file.resize((file.size() + 31) / 32 * 32);
    return file + data_;
  }

 private:
  std::uint32_t version_;
  std::uint64_t num_pairs_ = 0, num_tensors_ = 0;
  std::string pairs_, infos_, data_;
};

inline std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

/// A model of one layer without tensors: what a configuration is made of. Hidden size: twice head_dim.
inline GgufBuilder tiny_llama(std::uint32_t head_dim = 4) {
  GgufBuilder file;
  file.string("general.architecture", "llama");
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::uint32_t>>{
           {"block_count", 1},
           {"context_length", 128},
           {"embedding_length", 2 * head_dim},
           {"feed_forward_length", 16},
           {"attention.head_count", 2},
           {"attention.head_count_kv", 1},
           {"rope.dimension_count", head_dim},
       }) {
    file.u32("llama." + key, value);
  }
  file.f32("llama.attention.layer_norm_rms_epsilon", 1e-5f).f32("llama.rope.freq_base", 500000.0f);
  return file;
}

/// A vocabulary with scores: <unk>, <s>, </s>, 256 bytes, then letters and what they make.
inline GgufBuilder& add_scored_tokenizer(GgufBuilder& file, const std::vector<std::pair<std::string, float>>& pieces) {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types = {2, 3, 3};
  std::vector<float> scores = {0, 0, 0};
  constexpr char kHex[] = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back({'<', '0', 'x', kHex[byte / 16], kHex[byte % 16], '>'});
    types.push_back(6);
    scores.push_back(0);
  }
  for (const auto& [piece, score] : pieces) {
    tokens.push_back(piece);
    types.push_back(1);
    scores.push_back(score);
  }
  return file.string("tokenizer.ggml.model", "llama")
      .strings("tokenizer.ggml.tokens", tokens)
      .array("tokenizer.ggml.token_type", 5, types)
      .array("tokenizer.ggml.scores", 6, scores)
      .u32("tokenizer.ggml.bos_token_id", 1)
      .u32("tokenizer.ggml.eos_token_id", 2)
      .u32("tokenizer.ggml.unknown_token_id", 0);
}

}  // namespace tca::testing
