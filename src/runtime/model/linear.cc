#include "runtime/model/linear.h"

#include <algorithm>
#include <vector>

#ifdef TCA_WITH_ONEDNN
#include <omp.h>

#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>
#include <tuple>
#include <unordered_map>
#endif

#include "core/check.h"
#include "runtime/model/int8.h"
#include "runtime/model/kernels.h"

namespace tca::runtime {
namespace {

// Rows that one call of oneDNN takes: it repacks the weights it reads in every call, which costs 5 % at 128 rows of
// lookback-28m and less above, while more rows leave too few pieces for many threads.
constexpr std::int64_t kBlockRows = 256;
// The rest of a segment goes in halves down to this, so that prompts of all lengths share a few compiled primitives.
constexpr std::int64_t kLeastBlockRows = 16;
// Columns of a piece: 512 x 512 bf16 weights fill half of a 1 MiB L2 cache.
constexpr std::int64_t kBlockColumns = 512;
// Fewer rows than the least block are left to own kernels, which read the weights once from memory without repacking:
// for so many at a time they are as quick as oneDNN.
constexpr std::int64_t kFewRows = 8;
// Outputs of one piece of theirs: 32 KiB of weights or more, a microsecond.
constexpr std::int64_t kFewRowsColumns = 32;

#ifdef TCA_WITH_ONEDNN

using dnnl::memory;

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

memory::data_type type_of(DType dtype) {
  return dtype == DType::kF32 ? memory::data_type::f32 : memory::data_type::bf16;
}

struct Shape {
  std::int64_t rows, in, columns, out_stride;
  DType dtype, out_dtype;
  bool add, bias, widened;
  auto key() const { return std::tie(rows, in, columns, out_stride, dtype, out_dtype, add, bias, widened); }
  bool operator<(const Shape& other) const { return key() < other.key(); }
};

struct Primitive {
  memory::desc x, weight, bias, out, scratch;
  dnnl::matmul matmul;
  std::string_view implementation;
};

Primitive make_primitive(const dnnl::engine& engine, const Shape& s) {
  using tag = memory::format_tag;
  Primitive p;
  p.x = memory::desc({s.rows, s.in}, type_of(s.dtype), tag::ab);
  p.weight = memory::desc({s.in, s.columns}, type_of(s.dtype), s.widened ? tag::ab : tag::ba);
  p.out = memory::desc({s.rows, s.columns}, type_of(s.out_dtype), memory::dims{s.out_stride, 1});
  if (s.bias) p.bias = memory::desc({1, s.columns}, memory::data_type::f32, tag::ab);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (s.add) {
    dnnl::post_ops add;
    add.append_sum(1.0f);
    attributes.set_post_ops(add);
  }
  const dnnl::matmul::desc description =
      s.bias ? dnnl::matmul::desc(p.x, p.weight, p.bias, p.out) : dnnl::matmul::desc(p.x, p.weight, p.out);
  const dnnl::matmul::primitive_desc chosen(description, attributes, engine);
  p.scratch = chosen.scratchpad_desc();
  p.implementation = chosen.impl_info_str();
  p.matmul = dnnl::matmul(chosen);
  return p;
}

constexpr bool kHasBlockProducts = true;

#else

constexpr bool kHasBlockProducts = false;  // right, but it reads the weights once for every few rows

#endif

struct Piece {
  const Product* product;
  std::int64_t row, rows, column, columns;
  bool few_rows() const { return rows <= kFewRows; }
};

/// Rows of the next piece when `left` are to be done.
std::int64_t next_rows(std::int64_t left) {
  if (!kHasBlockProducts || left < kLeastBlockRows) return std::min(left, kFewRows);
  std::int64_t rows = kBlockRows;
  while (rows > left) rows /= 2;
  return rows;
}

std::vector<Piece> cut(std::int64_t rows, std::span<const Product> products) {
  std::vector<Piece> pieces;
  for (std::int64_t row = 0, count = 0; row < rows; row += count) {
    count = next_rows(rows - row);
    for (const Product& product : products) {
      const std::int64_t few = product.linear->scales.empty() ? kFewRowsColumns : int8::kChannels;
      const std::int64_t step = count <= kFewRows ? few : kBlockColumns;
      for (std::int64_t column = 0; column < product.linear->out; column += step) {
        pieces.push_back({&product, row, count, column, std::min(step, product.linear->out - column)});
      }
    }
  }
  return pieces;
}

const std::byte* x_of(const Piece& piece) {
  const Linear& linear = *piece.product->linear;
  return static_cast<const std::byte*>(piece.product->x) +
         piece.row * linear.in * static_cast<std::int64_t>(dtype_size(linear.dtype));
}
const std::byte* weight_of(const Piece& piece) {
  const Linear& linear = *piece.product->linear;
  const std::int64_t element = linear.scales.empty() ? static_cast<std::int64_t>(dtype_size(linear.dtype)) : 1;
  return static_cast<const std::byte*>(linear.weight) + piece.column * linear.in * element;
}
const float* bias_of(const Piece& piece) {
  const std::vector<float>& bias = piece.product->linear->bias;
  return bias.empty() ? nullptr : bias.data() + piece.column;
}
/// Null when the weight is not int8.
const float* scales_of(const Piece& piece) {
  const std::vector<float>& scales = piece.product->linear->scales;
  return scales.empty() ? nullptr : scales.data() + piece.column;
}
std::byte* out_of(const Piece& piece) {
  return static_cast<std::byte*>(piece.product->out) +
         (piece.row * piece.product->linear->out + piece.column) *
             static_cast<std::int64_t>(dtype_size(piece.product->out_dtype));
}

void multiply_few_rows(const Piece& piece) {
  const kernels::MultiplyRows params{.x = x_of(piece),
                                     .weight = weight_of(piece),
                                     .bias = bias_of(piece),
                                     .out = out_of(piece),
                                     .rows = piece.rows,
                                     .in = piece.product->linear->in,
                                     .columns = piece.columns,
                                     .out_stride = piece.product->linear->out,
                                     .dtype = piece.product->linear->dtype,
                                     .out_dtype = piece.product->out_dtype,
                                     .add = piece.product->add};
  if (const float* scales = scales_of(piece)) return int8::multiply_rows(params, scales);
  kernels::multiply_rows(params);
}

}  // namespace

#ifdef TCA_WITH_ONEDNN

bool has_bf16_products() {
  try {
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    const Shape shape{.rows = 16,
                      .in = 64,
                      .columns = 64,
                      .out_stride = 64,
                      .dtype = DType::kBF16,
                      .out_dtype = DType::kBF16,
                      .add = false,
                      .bias = false,
                      .widened = false};
    return !make_primitive(engine, shape).implementation.starts_with("ref");
  } catch (const dnnl::error&) {
    return false;  // no implementation at all for this CPU
  }
}

struct MatrixProducts::Impl {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::map<Shape, Primitive> primitives;
  struct Worker {
    Buffer scratch, widened;
  };
  std::vector<Worker> workers;

  const Primitive& primitive(const Piece& piece) {
    const Linear& linear = *piece.product->linear;
    const Shape shape{.rows = piece.rows,
                      .in = linear.in,
                      .columns = piece.columns,
                      .out_stride = linear.out,
                      .dtype = linear.dtype,
                      .out_dtype = piece.product->out_dtype,
                      .add = piece.product->add,
                      .bias = !linear.bias.empty(),
                      .widened = !linear.scales.empty()};
    const auto found = primitives.find(shape);
    if (found != primitives.end()) return found->second;
    return primitives.emplace(shape, make_primitive(engine, shape)).first->second;
  }

  /// The piece's weights as oneDNN reads them.
  static const void* plain_weight(const Piece& piece, Buffer& buffer) {
    const Linear& linear = *piece.product->linear;
    if (linear.scales.empty()) return weight_of(piece);
    buffer.reserve(static_cast<std::size_t>(linear.in * piece.columns) * dtype_size(linear.dtype));
    int8::widen(reinterpret_cast<const std::int8_t*>(weight_of(piece)), scales_of(piece), linear.in, piece.columns,
                linear.dtype, buffer.data());
    return buffer.data();
  }

  void execute(const Piece& piece, const Primitive& primitive, Worker& worker) const {
    // oneDNN takes non-const pointers; it only reads these.
    const auto view = [&](const memory::desc& desc, const void* data) {
      return memory(desc, engine, const_cast<void*>(data));
    };
    std::unordered_map<int, memory> arguments = {
        {DNNL_ARG_SRC, view(primitive.x, x_of(piece))},
        {DNNL_ARG_WEIGHTS, view(primitive.weight, plain_weight(piece, worker.widened))},
        {DNNL_ARG_DST, view(primitive.out, out_of(piece))},
        {DNNL_ARG_SCRATCHPAD, view(primitive.scratch, worker.scratch.reserve(primitive.scratch.get_size()))}};
    if (const float* bias = bias_of(piece)) arguments.insert({DNNL_ARG_BIAS, view(primitive.bias, bias)});
    dnnl::stream stream(engine);
    primitive.matmul.execute(stream, arguments);
    stream.wait();
  }

  void run(std::span<const Piece> pieces, ThreadPool& pool, const std::atomic<bool>* cancel) {
    try {
      multiply(pieces, pool, cancel);
    } catch (const dnnl::error& error) {
      fail(ErrorCategory::kUnsupported, text("oneDNN cannot multiply ", pieces.empty() ? 0 : pieces.front().rows,
                                             " rows at a time: ", error.what()));
    }
  }

  void multiply(std::span<const Piece> pieces, ThreadPool& pool, const std::atomic<bool>* cancel) {
    std::vector<const Primitive*> chosen(pieces.size());
    {
      const OneOpenMpThread one_thread;  // the number of threads is fixed when a primitive is made
      for (std::size_t i = 0; i < pieces.size(); ++i) {
        if (!pieces[i].few_rows()) chosen[i] = &primitive(pieces[i]);
      }
    }
    workers.resize(static_cast<std::size_t>(pool.num_threads()));
    pool.parallel_for(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i, int worker) {
      if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) return;
      const auto at = static_cast<std::size_t>(i);
      if (pieces[at].few_rows()) return multiply_few_rows(pieces[at]);
      const OneOpenMpThread one_thread;
      execute(pieces[at], *chosen[at], workers[static_cast<std::size_t>(worker)]);
    });
  }
};

#else

bool has_bf16_products() { return true; }

struct MatrixProducts::Impl {
  void run(std::span<const Piece> pieces, ThreadPool& pool, const std::atomic<bool>* cancel) {
    pool.parallel_for(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i, int) {
      if (cancel == nullptr || !cancel->load(std::memory_order_relaxed)) {
        multiply_few_rows(pieces[static_cast<std::size_t>(i)]);
      }
    });
  }
};

#endif

MatrixProducts::MatrixProducts() : impl_(std::make_unique<Impl>()) {}
MatrixProducts::~MatrixProducts() = default;
MatrixProducts::MatrixProducts(MatrixProducts&&) noexcept = default;
MatrixProducts& MatrixProducts::operator=(MatrixProducts&&) noexcept = default;

void MatrixProducts::run(std::int64_t rows, std::span<const Product> products, ThreadPool& pool,
                         const std::atomic<bool>* cancel) {
  impl_->run(cut(rows, products), pool, cancel);
}

}  // namespace tca::runtime
