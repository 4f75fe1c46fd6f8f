// Sets of the host, and sets that come to the host when somebody looks.
#include "core/kept_set.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/expect_error.h"

namespace tca {
namespace {

using testing::expect_error;

/// Counts how often it was asked, and fails the first `failures` times.
class Device final : public KeptSource {
 public:
  explicit Device(int failures = 0) : failures_(failures) {}
  void fetch(std::vector<std::int64_t>& offsets, std::vector<std::int32_t>& positions) const override {
    ++asked;
    if (failures_-- > 0) throw Error(ErrorCategory::kIo, "the device is gone");
    offsets = {0, 2, 3};
    positions = {1, 4, 0};
  }
  mutable std::atomic<int> asked{0};

 private:
  mutable std::atomic<int> failures_;
};

TEST(KeptSet, OfTheHost) {
  const KeptSet set(5, {0, 2, 3}, {1, 4, 0});
  EXPECT_EQ(set.num_tokens(), 5);
  EXPECT_EQ(set.num_kv_heads(), 2);
  EXPECT_EQ(std::vector<std::int32_t>(set.head(0).begin(), set.head(0).end()), (std::vector<std::int32_t>{1, 4}));
  EXPECT_EQ(std::vector<std::int32_t>(set.head(1).begin(), set.head(1).end()), (std::vector<std::int32_t>{0}));
  EXPECT_EQ(set, KeptSet(5, {0, 2, 3}, {1, 4, 0}));
  EXPECT_NE(set, KeptSet(6, {0, 2, 3}, {1, 4, 0}));
  EXPECT_NE(set, KeptSet(5, {0, 1, 3}, {1, 4, 0}));
  EXPECT_NE(set, KeptSet(5, {0, 2, 3}, {1, 3, 0}));
  EXPECT_NE(set, KeptSet(5, {0, 3}, {1, 4, 0}));
}

TEST(KeptSet, OfNothing) {
  const KeptSet set;
  EXPECT_EQ(set.num_tokens(), 0);
  EXPECT_EQ(set.num_kv_heads(), 0);
  EXPECT_EQ(set, KeptSet(0, {0}, {}));
  EXPECT_EQ(KeptSet(0, {}, {}).num_kv_heads(), 0);
}

TEST(KeptSet, OfADeviceComesWhenItIsLookedAt) {
  const auto device = std::make_shared<Device>();
  const KeptSet set = KeptSetAccess::make(5, 2, device), copy = set;
  EXPECT_EQ(set.num_tokens(), 5);
  EXPECT_EQ(set.num_kv_heads(), 2);
  validate_kept_set(set, 5, 2, "kept");
  EXPECT_EQ(device->asked, 0);
  EXPECT_EQ(KeptSetAccess::source(set), device);
  EXPECT_EQ(copy.head(0)[1], 4);
  EXPECT_EQ(set, KeptSet(5, {0, 2, 3}, {1, 4, 0}));
  EXPECT_EQ(device->asked, 1);  // copies share what came
}

TEST(KeptSet, OfAnotherShapeIsRefusedWithoutALook) {
  const auto device = std::make_shared<Device>();
  const KeptSet set = KeptSetAccess::make(5, 2, device);
  expect_error(ErrorCategory::kInvalidArgument, "kept.num_tokens is 5; the segment has 6",
               [&] { validate_kept_set(set, 6, 2, "kept"); });
  expect_error(ErrorCategory::kInvalidArgument, "kept is of 2 KV heads; 3 are needed",
               [&] { validate_kept_set(set, 5, 3, "kept"); });
  EXPECT_EQ(device->asked, 0);
}

TEST(KeptSet, AFailureToFetchIsToldAndCanBeTriedAgain) {
  const auto device = std::make_shared<Device>(1);
  const KeptSet set = KeptSetAccess::make(5, 2, device);
  expect_error(ErrorCategory::kIo, "the device is gone", [&] { (void)set.positions(); });
  EXPECT_EQ(set.positions(), (std::vector<std::int32_t>{1, 4, 0}));
}

TEST(KeptSet, ThreadsFetchItOnce) {
  const auto device = std::make_shared<Device>();
  const KeptSet set = KeptSetAccess::make(5, 2, device);
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] { right += set.head(0)[0] == 1 && set.offsets().back() == 3 ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 4);
  EXPECT_EQ(device->asked, 1);
}

}  // namespace
}  // namespace tca
