#ifdef TCA_WITH_ONEDNN

#include "runtime/model/block_product.h"

#include <unordered_map>

namespace tca::runtime {

using dnnl::memory;
using tag = memory::format_tag;

namespace {

memory::data_type type_of(DType dtype) {
  return dtype == DType::kF32 ? memory::data_type::f32 : memory::data_type::bf16;
}

tag tag_of(WeightLayout layout) {
  if (layout == WeightLayout::kPacked) return tag::any;
  return layout == WeightLayout::kStored ? tag::ba : tag::ab;
}

}  // namespace

bool has_bf16_kernels() {
  try {
    const OneOpenMpThread one_thread;
    const BlockShape shape{.rows = 16,
                           .in = 64,
                           .columns = 64,
                           .out_stride = 64,
                           .out_dtype = DType::kBF16,
                           .add = false,
                           .bias = false,
                           .layout = WeightLayout::kStored};
    return BlockProduct(dnnl::engine(dnnl::engine::kind::cpu, 0), shape).optimised();
  } catch (const dnnl::error&) {
    return false;  // no implementation at all for this CPU
  }
}

BlockProduct::BlockProduct(const dnnl::engine& engine, const BlockShape& shape) : engine_(engine) {
  if (!compile(shape, shape.layout)) compile(shape, shape.otherwise);
}

/// False when oneDNN wants another packed layout than ours.
bool BlockProduct::compile(const BlockShape& s, WeightLayout layout) {
  layout_ = layout;
  x_ = memory::desc({s.rows, s.in}, memory::data_type::bf16, tag::ab);
  weight_ = memory::desc({s.in, s.columns}, memory::data_type::bf16, tag_of(layout));
  out_ = memory::desc({s.rows, s.columns}, type_of(s.out_dtype), memory::dims{s.out_stride, 1});
  if (s.bias) bias_ = memory::desc({1, s.columns}, memory::data_type::f32, tag::ab);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (s.add) {
    dnnl::post_ops add;
    add.append_sum(1.0f);
    attributes.set_post_ops(add);
  }
  const dnnl::matmul::desc description =
      s.bias ? dnnl::matmul::desc(x_, weight_, bias_, out_) : dnnl::matmul::desc(x_, weight_, out_);
  const dnnl::matmul::primitive_desc chosen(description, attributes, engine_);
  weight_ = chosen.weights_desc();
  if (layout == WeightLayout::kPacked &&
      weight_ != memory::desc({s.in, s.columns}, memory::data_type::bf16, tag::BA16a64b2a)) {
    return false;
  }
  scratch_ = chosen.scratchpad_desc();
  implementation_ = chosen.impl_info_str();
  matmul_ = dnnl::matmul(chosen);
  return true;
}

void BlockProduct::run(const Arguments& a) const {
  // oneDNN takes non-const pointers; it only reads these.
  const auto view = [&](const memory::desc& desc, const void* data) {
    return memory(desc, engine_, const_cast<void*>(data));
  };
  std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, view(x_, a.x)},
                                               {DNNL_ARG_WEIGHTS, view(weight_, a.weight)},
                                               {DNNL_ARG_DST, view(out_, a.out)},
                                               {DNNL_ARG_SCRATCHPAD, view(scratch_, a.scratch)}};
  if (a.bias != nullptr) arguments.insert({DNNL_ARG_BIAS, view(bias_, a.bias)});
  dnnl::stream stream(engine_);
  matmul_.execute(stream, arguments);
  stream.wait();
}

}  // namespace tca::runtime

#endif
