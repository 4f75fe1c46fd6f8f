// What a dense read of a document leaves for gradients and curves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "core/memory.h"
#include "runtime/engine/bank_probes.h"
#include "runtime/engine/session.h"
#include "runtime/model/answer_gradient.h"

namespace tca::calibration {

/// Keys and values in host memory, and how the bank and the last queries score the document's tokens.
class DocumentCapture : public runtime::LayerObserver {
 public:
  /// Without a bank nothing is scored. memory is that of the layers' tensors; `check` throws to stop.
  DocumentCapture(const Backend& backend, Memory& memory, const runtime::BankProbes* bank, std::int32_t probe_queries,
                  std::function<void()> check)
      : backend_(backend), memory_(memory), bank_(bank), probe_queries_(probe_queries), check_(std::move(check)) {}

  void on_layer(std::int32_t layer, const TensorView& q, const TensorView& k, const TensorView& v) override;

  std::span<const runtime::DocumentLayer> layers() const { return layers_; }
  std::vector<runtime::DocumentLayer> first_tokens(std::int64_t tokens) const;
  /// Of the first `tokens` of the document: [Hk, tokens].
  std::vector<float> by_bank(std::int32_t layer, std::int64_t tokens) const { return first(by_bank_, layer, tokens); }
  std::vector<float> by_last_queries(std::int32_t layer, std::int64_t tokens) const {
    return first(by_last_queries_, layer, tokens);
  }

 private:
  std::vector<float> first(const std::vector<std::vector<float>>& scores, std::int32_t layer,
                           std::int64_t tokens) const;
  TensorView copy(TensorView view);

  const Backend& backend_;
  Memory& memory_;
  const runtime::BankProbes* bank_;
  std::int32_t probe_queries_;
  std::function<void()> check_;
  std::vector<std::vector<std::byte>> blocks_;
  std::vector<runtime::DocumentLayer> layers_;
  std::vector<std::vector<float>> by_bank_, by_last_queries_;  // [layers][Hk, T]
};

}  // namespace tca::calibration
