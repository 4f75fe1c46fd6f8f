#include "runtime/cuda/expert_mlp.h"

#include <algorithm>
#include <cstddef>

#include "cuda/device.h"
#include "runtime/cuda/kernels.h"

namespace tca::runtime::gpu {
namespace {

// Rows that are sorted at once: at 8 experts a row and 2048 columns, 270 MB of what they make of them.
constexpr std::int64_t kRowsAtOnce = 2048;
// An expert's rows are filled up to a multiple of this, so that there are few shapes of products.
constexpr std::int64_t kRowStep = 64;

std::size_t bytes_of(std::int64_t rows, std::int64_t width, std::size_t element) {
  return static_cast<std::size_t>(rows * width) * element;
}

std::int64_t inner_of(const LayerSpec& spec) { return spec.experts->experts[0].gate.out; }

}  // namespace

ExpertMlp::ExpertMlp(cuda::Device& device) : device_(&device) {
  for (MemoryBlock* block : {&logits_, &chosen_, &shares_, &rows_of_slots_, &slots_of_rows_, &x_, &wide_, &down_}) {
    *block = MemoryBlock(device.memory());
  }
}

void ExpertMlp::reserve(const ModelSpec& model, std::int64_t rows) {
  for (const LayerSpec& layer : model.layers) {
    if (!layer.experts) continue;
    const std::int64_t slots = rows * layer.experts->chosen;
    logits_.reserve(bytes_of(rows, layer.experts->router.out, 4));
    chosen_.reserve(bytes_of(slots, 1, 4));
    shares_.reserve(bytes_of(slots, 1, 4));
    wide_.reserve(bytes_of(slots, 2 * inner_of(layer), 2));
    down_.reserve(bytes_of(slots, model.hidden_size, 4));
  }
}

void ExpertMlp::release() {
  for (MemoryBlock* block : {&logits_, &chosen_, &shares_, &rows_of_slots_, &slots_of_rows_, &x_, &wide_, &down_}) {
    block->release();
  }
}

void ExpertMlp::route(const Params& p, const StreamProducts& products, cudaStream_t stream) {
  const ExpertsSpec& spec = *p.spec->experts;
  products.multiply(p.weights->router, p.x, spec.router.in, logits_.data(), Output::kF32, p.rows, stream);
  cuda::check(gpu::route({.logits = static_cast<const float*>(logits_.data()),
                          .chosen = static_cast<std::int32_t*>(chosen_.data()),
                          .shares = static_cast<float*>(shares_.data()),
                          .rows = p.rows,
                          .experts = static_cast<std::int32_t>(spec.router.out),
                          .count = spec.chosen,
                          .renormalise = spec.renormalise},
                         stream),
              "choosing experts");
}

/// From down_: slots [rows, chosen], or null where a row's lie side by side.
void ExpertMlp::add_up(const Params& p, const std::int32_t* slots, cudaStream_t stream) const {
  const ExpertsSpec& spec = *p.spec->experts;
  cuda::check(combine({.values = static_cast<const float*>(down_.data()),
                       .slots = slots,
                       .shares = static_cast<const float*>(shares_.data()),
                       .out = p.out,
                       .rows = p.rows,
                       .width = static_cast<std::int32_t>(spec.router.in),
                       .count = spec.chosen,
                       .factor = p.factor,
                       .add = p.add},
                      stream),
              "adding experts up");
}

void ExpertMlp::run_few(const Params& p, const StreamProducts& products, cudaStream_t stream) {
  const ExpertsSpec& spec = *p.spec->experts;
  const std::int64_t hidden = spec.router.in, inner = inner_of(*p.spec), slots = p.rows * spec.chosen;
  route(p, products, stream);
  const auto* const chosen = static_cast<const std::int32_t*>(chosen_.data());
  cuda::check(expert_product({.weight = p.weights->gate_up.weight,
                              .x = p.x,
                              .x_stride = hidden,
                              .out = wide_.data(),
                              .chosen = chosen,
                              .slots = slots,
                              .in = hidden,
                              .columns = 2 * inner,
                              .slots_of_row = spec.chosen,
                              .out_fp32 = false},
                             stream),
              "multiplying by experts");
  cuda::check(activate(p.spec->activation, wide_.data(), nullptr, slots, static_cast<std::int32_t>(inner), stream),
              "activating");
  cuda::check(expert_product({.weight = p.weights->down.weight,
                              .x = wide_.data(),
                              .x_stride = 2 * inner,
                              .out = down_.data(),
                              .chosen = chosen,
                              .slots = slots,
                              .in = inner,
                              .columns = hidden,
                              .slots_of_row = 1,
                              .out_fp32 = true},
                             stream),
              "multiplying by experts");
  add_up(p, nullptr, stream);
}

void ExpertMlp::run(const Params& params, const StreamProducts& products) {
  const std::int64_t hidden = params.spec->experts->router.in;
  for (std::int64_t begin = 0; begin < params.rows; begin += kRowsAtOnce) {
    Params p = params;
    p.x = static_cast<const std::uint16_t*>(params.x) + begin * hidden;
    p.out = params.out + begin * hidden;
    p.rows = std::min(kRowsAtOnce, params.rows - begin);
    const std::int64_t chosen = p.rows * p.spec->experts->chosen;
    logits_.reserve(bytes_of(p.rows, p.spec->experts->router.out, 4));
    chosen_.reserve(bytes_of(chosen, 1, 4));
    shares_.reserve(bytes_of(chosen, 1, 4));
    route(p, products, device_->stream());
    multiply(p, products, sort_rows(p));
  }
}

/// Rows that each expert takes, filled up; where they lie goes to the GPU.
std::vector<std::int64_t> ExpertMlp::sort_rows(const Params& p) {
  const ExpertsSpec& spec = *p.spec->experts;
  std::vector<std::int32_t> chosen(static_cast<std::size_t>(p.rows * spec.chosen)), slots(chosen.size());
  device_->memory().copy(chosen.data(), chosen_.data(), chosen.size() * sizeof(std::int32_t));
  std::vector<std::int64_t> counts(static_cast<std::size_t>(spec.router.out));
  for (const std::int32_t expert : chosen) ++counts[static_cast<std::size_t>(expert)];
  std::vector<std::int32_t> next;
  std::int32_t total = 0;
  for (std::int64_t& count : counts) {
    count = (count + kRowStep - 1) / kRowStep * kRowStep;
    next.push_back(total);
    total += static_cast<std::int32_t>(count);
  }
  std::vector<std::int32_t> rows(static_cast<std::size_t>(total), -1);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const std::int32_t slot = next[static_cast<std::size_t>(chosen[i])]++;
    slots[i] = slot;
    rows[static_cast<std::size_t>(slot)] = static_cast<std::int32_t>(i) / spec.chosen;
  }
  for (const auto& [block, values] : {std::pair{&rows_of_slots_, &rows}, std::pair{&slots_of_rows_, &slots}}) {
    const std::size_t bytes = values->size() * sizeof(std::int32_t);
    device_->upload(block->reserve(bytes), values->data(), bytes);
  }
  return counts;
}

void ExpertMlp::multiply(const Params& p, const StreamProducts& products, const std::vector<std::int64_t>& counts) {
  const ExpertsSpec& spec = *p.spec->experts;
  const std::int64_t hidden = spec.router.in, inner = inner_of(*p.spec);
  const cudaStream_t stream = device_->stream();
  std::int64_t slots = 0;
  for (const std::int64_t count : counts) slots += count;
  x_.reserve(bytes_of(slots, hidden, 2));
  wide_.reserve(bytes_of(slots, 2 * inner, 2));
  down_.reserve(bytes_of(slots, hidden, 4));
  cuda::check(gather_rows(p.x, static_cast<const std::int32_t*>(rows_of_slots_.data()), x_.data(), slots,
                          static_cast<std::int32_t>(hidden), stream),
              "sorting rows by expert");
  const auto for_experts = [&](const auto& product) {
    std::int64_t slot = 0;
    for (std::size_t e = 0; e < counts.size(); ++e) {
      if (counts[e] > 0) products.run(product(static_cast<std::int64_t>(e), slot, counts[e]), stream);
      slot += counts[e];
    }
  };
  const auto at = [](const void* base, std::int64_t element) {
    return static_cast<const std::uint16_t*>(base) + element;
  };
  for_experts([&](std::int64_t expert, std::int64_t slot, std::int64_t count) {
    return Product{.weight = at(p.weights->gate_up.weight, expert * 2 * inner * hidden),
                   .x = at(x_.data(), slot * hidden),
                   .out = static_cast<std::uint16_t*>(wide_.data()) + slot * 2 * inner,
                   .rows = count,
                   .in = hidden,
                   .columns = 2 * inner,
                   .x_stride = hidden,
                   .out_stride = 2 * inner,
                   .output = Output::kBf16};
  });
  cuda::check(activate(p.spec->activation, wide_.data(), nullptr, slots, static_cast<std::int32_t>(inner), stream),
              "activating");
  for_experts([&](std::int64_t expert, std::int64_t slot, std::int64_t count) {
    return Product{.weight = at(p.weights->down.weight, expert * hidden * inner),
                   .x = at(wide_.data(), slot * 2 * inner),
                   .out = static_cast<float*>(down_.data()) + slot * hidden,
                   .rows = count,
                   .in = inner,
                   .columns = hidden,
                   .x_stride = 2 * inner,
                   .out_stride = hidden,
                   .output = Output::kF32};
  });
  add_up(p, static_cast<const std::int32_t*>(slots_of_rows_.data()), stream);
}

}  // namespace tca::runtime::gpu
