#include "runtime/model/forward.h"

#include "core/check.h"
#include "runtime/model/cpu_forward.h"

namespace tca::runtime {

void Forward::decode(std::span<const DecodeRow> rows, std::span<float>) {
  fail(ErrorCategory::kUnsupported, text(rows.size(), " rows asked to be decoded; this device reads one sequence"));
}

std::unique_ptr<Forward> create_forward(const Model& model, ThreadPool& pool, std::int64_t chunk_tokens,
                                        const std::optional<Stream>& stream) {
  if (model.device() != nullptr) return model.device()->create_forward(model, pool, chunk_tokens, stream);
  return std::make_unique<CpuForward>(model, pool, chunk_tokens);
}

}  // namespace tca::runtime
