// One product of a block of rows of bf16 by oneDNN, on the calling thread. Only where the build has oneDNN.
#pragma once

#include <omp.h>

#include <cstdint>
#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>
#include <tuple>

#include "tca/tensor.h"

namespace tca::runtime {

/// oneDNN's OpenMP build would start a team of its own inside each of our tasks. The setting belongs to the calling
/// thread alone; the application's own value comes back afterwards.
class OneOpenMpThread {
 public:
  OneOpenMpThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneOpenMpThread() { omp_set_num_threads(before_); }
  OneOpenMpThread(const OneOpenMpThread&) = delete;
  OneOpenMpThread& operator=(const OneOpenMpThread&) = delete;

 private:
  int before_;
};

/// How the weight of a block lies: as stored, [columns, in]; its transpose; or in the order of model/packing.h.
enum class WeightLayout { kStored, kTransposed, kPacked };

struct BlockShape {
  std::int64_t rows, in, columns, out_stride;
  DType out_dtype;
  bool add, bias;
  WeightLayout layout;  // kPacked: where oneDNN has it, else `otherwise`
  WeightLayout otherwise = WeightLayout::kStored;
  auto key() const { return std::tie(rows, in, columns, out_stride, out_dtype, add, bias, layout, otherwise); }
  bool operator<(const BlockShape& other) const { return key() < other.key(); }
};

/// Whether oneDNN has more than a plain loop for such products on this CPU.
bool has_bf16_kernels();

/// What oneDNN compiled for a shape. One OpenMP thread must be set when it is made and when it runs.
class BlockProduct {
 public:
  BlockProduct(const dnnl::engine& engine, const BlockShape& shape);

  struct Arguments {
    const void *x, *weight;
    const float* bias;
    void *out, *scratch;
  };
  void run(const Arguments& arguments) const;

  WeightLayout layout() const { return layout_; }
  std::size_t scratch_bytes() const { return scratch_.get_size(); }
  /// It is more than a plain loop.
  bool optimised() const { return !implementation_.starts_with("ref"); }

 private:
  bool compile(const BlockShape& shape, WeightLayout layout);

  dnnl::engine engine_;
  dnnl::memory::desc x_, weight_, bias_, out_, scratch_;
  dnnl::matmul matmul_;
  std::string_view implementation_;
  WeightLayout layout_ = WeightLayout::kStored;
};

}  // namespace tca::runtime
