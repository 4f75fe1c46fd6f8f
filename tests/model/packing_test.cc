// Weights in oneDNN's order: every element at its place, zeros elsewhere, from bf16 and from int8.
#include "runtime/model/packing.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "model/highway_targets.h"
#include "model/test_data.h"
#include "runtime/model/int8.h"

namespace tca::runtime {
namespace {

using test::Elements;
using test::random_floats;

class PackingTest : public test::OnEveryTarget {};
INSTANTIATE_TEST_SUITE_P(Targets, PackingTest, test::every_target(), test::target_name);

/// weight [columns, in], by the definition of the layout.
std::vector<std::uint16_t> packed_by_definition(const std::uint16_t* weight, std::int64_t in, std::int64_t columns) {
  std::vector<std::uint16_t> packed(packed_bytes(in, columns) / sizeof(std::uint16_t));
  const std::int64_t padded_in = (in + 31) / 32 * 32;
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t i = 0; i < in; ++i) {
      packed[static_cast<std::size_t>(c / 64 * 64 * padded_in + i / 2 * 128 + c % 64 * 2 + i % 2)] = weight[c * in + i];
    }
  }
  return packed;
}

TEST_P(PackingTest, EveryElementIsAtItsPlace) {
  for (const std::int64_t in : {1, 7, 32, 33, 96}) {
    for (const std::int64_t columns : {1, 5, 64, 66, 200}) {
      const Elements weight(random_floats(in * columns, 1), DType::kBF16);
      const auto* const elements = static_cast<const std::uint16_t*>(weight.data());
      const auto expected = packed_by_definition(elements, in, columns);
      std::vector<std::uint16_t> packed(expected.size(), 0xffff);
      pack_weight(elements, in, columns, packed.data());
      ASSERT_EQ(packed, expected) << in << " in, " << columns << " columns";
    }
  }
}

TEST_P(PackingTest, Int8IsTheSameAsPackingWhatItWidensTo) {
  for (const std::int64_t in : {1, 7, 32, 33, 96}) {
    for (const std::int64_t columns : {1, 64, 66, 200}) {
      const std::vector<float> stored = random_floats(in * columns, 2);
      std::vector<std::int8_t> quantised(static_cast<std::size_t>(in * int8::padded(columns)));
      std::vector<float> scales(static_cast<std::size_t>(int8::padded(columns)));
      for (std::int64_t c = 0; c < columns; c += int8::kChannels) {
        int8::quantise_group(stored.data() + c * in, DType::kF32, std::min(int8::kChannels, columns - c), in,
                             quantised.data() + c * in, scales.data() + c);
      }
      std::vector<std::uint16_t> wide(static_cast<std::size_t>(in * columns)), turned(wide.size());
      int8::widen(quantised.data(), scales.data(), in, columns, wide.data());
      for (std::int64_t i = 0; i < in * columns; ++i) {
        turned[static_cast<std::size_t>(i % columns * in + i / columns)] = wide[static_cast<std::size_t>(i)];
      }
      const auto expected = packed_by_definition(turned.data(), in, columns);
      std::vector<std::uint16_t> packed(expected.size(), 0xffff);
      int8::widen_packed(quantised.data(), scales.data(), in, columns, packed.data());
      ASSERT_EQ(packed, expected) << in << " in, " << columns << " columns";
    }
  }
}

}  // namespace
}  // namespace tca::runtime
