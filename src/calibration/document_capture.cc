#include "calibration/document_capture.h"

#include <algorithm>

namespace tca::calibration {

void DocumentCapture::on_layer(std::int32_t layer, const TensorView& q, const TensorView& k, const TensorView& v) {
  check_();
  layers_.push_back({.k = copy(k), .v = copy(v)});
  if (bank_ == nullptr) return;
  const auto size = static_cast<std::size_t>(k.num_heads * k.num_tokens);
  const std::int64_t probes = std::min<std::int64_t>(probe_queries_, k.num_tokens);
  backend_.probe_scores(
      {.q = bank_->queries(layer), .k = k, .pool_width = 1, .probes_follow = true, .reduce = bank_->reduce()},
      by_bank_.emplace_back(size));
  backend_.probe_scores({.q = q.tokens(q.num_tokens - probes, probes), .k = k, .pool_width = 1},
                        by_last_queries_.emplace_back(size));
}

std::vector<runtime::DocumentLayer> DocumentCapture::first_tokens(std::int64_t tokens) const {
  std::vector<runtime::DocumentLayer> cut;
  for (const auto& [k, v] : layers_) cut.push_back({k.tokens(0, tokens), v.tokens(0, tokens)});
  return cut;
}

std::vector<float> DocumentCapture::first(const std::vector<std::vector<float>>& scores, std::int32_t layer,
                                          std::int64_t tokens) const {
  const std::vector<float>& all = scores[static_cast<std::size_t>(layer)];
  const std::int64_t document = layers_[0].k.num_tokens;
  std::vector<float> result;
  for (std::int64_t begin = 0; begin < std::ssize(all); begin += document) {
    result.insert(result.end(), all.begin() + begin, all.begin() + begin + tokens);
  }
  return result;
}

TensorView DocumentCapture::copy(TensorView view) {
  auto& bytes = blocks_.emplace_back(static_cast<std::size_t>(view.num_tokens * view.num_heads * view.head_dim) *
                                     dtype_size(view.dtype));
  memory_.copy(bytes.data(), view.data, bytes.size());  // contiguous, as observers get it
  view.data = bytes.data();
  return view;
}

}  // namespace tca::calibration
