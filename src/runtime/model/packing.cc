#include "runtime/model/packing.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/model/packing.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tca::runtime {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Elements [begin, in) of `columns` columns, one by one.
void pack_rest(const std::uint16_t* weight, std::int64_t in, std::int64_t begin, std::int64_t columns,
               std::uint16_t* packed) {
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t i = begin; i < in; ++i) packed[(i / 2 * kPackedColumns + c) * 2 + i % 2] = weight[c * in + i];
  }
}

#if HWY_TARGET == HWY_SCALAR
void pack_four(const std::uint16_t* weight, std::int64_t in, std::uint16_t* packed) {
  pack_rest(weight, in, 0, 4, packed);
}
#else
/// Four columns, four pairs at a time: they are read as four streams, which hardware prefetches; what is written stays
/// in the second cache level until the group is whole.
void pack_four(const std::uint16_t* weight, std::int64_t in, std::uint16_t* packed) {
  const hn::Full128<std::uint32_t> d;  // pairs
  const hn::Full128<std::uint64_t> d2;
  const hn::Full128<std::uint16_t> elements;
  std::int64_t i = 0;
  for (; i + 8 <= in; i += 8) {
    const auto a = hn::BitCast(d, hn::LoadU(elements, weight + i));
    const auto b = hn::BitCast(d, hn::LoadU(elements, weight + in + i));
    const auto c = hn::BitCast(d, hn::LoadU(elements, weight + 2 * in + i));
    const auto e = hn::BitCast(d, hn::LoadU(elements, weight + 3 * in + i));
    const auto ab_low = hn::BitCast(d2, hn::InterleaveLower(d, a, b));
    const auto ab_high = hn::BitCast(d2, hn::InterleaveUpper(d, a, b));
    const auto ce_low = hn::BitCast(d2, hn::InterleaveLower(d, c, e));
    const auto ce_high = hn::BitCast(d2, hn::InterleaveUpper(d, c, e));
    std::uint16_t* const to = packed + i * kPackedColumns;
    hn::StoreU(hn::BitCast(elements, hn::InterleaveLower(d2, ab_low, ce_low)), elements, to);
    hn::StoreU(hn::BitCast(elements, hn::InterleaveUpper(d2, ab_low, ce_low)), elements, to + 2 * kPackedColumns);
    hn::StoreU(hn::BitCast(elements, hn::InterleaveLower(d2, ab_high, ce_high)), elements, to + 4 * kPackedColumns);
    hn::StoreU(hn::BitCast(elements, hn::InterleaveUpper(d2, ab_high, ce_high)), elements, to + 6 * kPackedColumns);
  }
  pack_rest(weight, in, i, 4, packed);
}
#endif

void pack_groups(const std::uint16_t* weight, std::int64_t in, std::int64_t columns, std::uint16_t* packed) {
  const std::int64_t elements = packed_group_elements(in);
  for (std::int64_t first = 0; first < columns; first += kPackedColumns, packed += elements) {
    const std::int64_t count = std::min(kPackedColumns, columns - first);
    // What is beyond the columns or the elements stays zero.
    if (count < kPackedColumns || in % kPackedRows != 0) std::fill_n(packed, elements, std::uint16_t{0});
    std::int64_t c = 0;
    for (; c + 4 <= count; c += 4) pack_four(weight + (first + c) * in, in, packed + 2 * c);
    if (c < count) pack_rest(weight + (first + c) * in, in, 0, count - c, packed + 2 * c);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tca::runtime
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tca::runtime {

HWY_EXPORT(pack_groups);

void pack_weight(const std::uint16_t* weight, std::int64_t in, std::int64_t columns, std::uint16_t* packed) {
  HWY_DYNAMIC_DISPATCH(pack_groups)(weight, in, columns, packed);
}

}  // namespace tca::runtime
#endif
