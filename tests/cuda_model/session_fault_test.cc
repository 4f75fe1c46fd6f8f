// Sessions of a model on a GPU with every allocation of GPU memory failing once.
#include <gtest/gtest.h>

#include "cuda/device.h"
#include "cuda/faults.h"
#include "engine/session_faults.h"
#include "runtime/cuda/cuda_model.h"

namespace tca::runtime {
namespace {

using test::check_with_faults;
using test::Engine;
using test::read;
using test::SessionOperation;
using test::Sessions;

struct GpuFault {
  explicit GpuFault(std::int64_t n) { cuda::fail_nth_allocation(n); }
  ~GpuFault() { cuda::fail_nth_allocation(0); }
  GpuFault(const GpuFault&) = delete;
  GpuFault& operator=(const GpuFault&) = delete;
  bool failed() const { return cuda::allocation_has_failed(); }
};

class CudaSessionFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::Device::available()) GTEST_SKIP() << "there is no usable GPU";
    cpu_ = std::make_unique<Engine>(test::TinyModelOptions{.hidden = 64, .inner = 128}, ComputeType::kAuto);
    backend_ = create_backend("cuda", cpu_->pool);
    model_ = load_on_gpu(cpu_->files.dir(), cpu_->pool);
  }
  SessionOptions sparse() const { return {.attention = AttentionMode::kTca, .profile = cpu_->ragged_profile()}; }

  /// After a prompt and single tokens: a step is not recorded the first time, recorded the second, launched later.
  Sessions sessions(const SessionOptions& options, std::int64_t prompt, std::int32_t tokens, std::int64_t forks) const {
    Sessions all;
    all.reserve(4);
    Session& session = all.emplace_back(model_, *backend_, cpu_->pool, options);
    if (prompt > 0) read(session, cpu_->prompt(prompt));
    for (std::int32_t id = 0; id < tokens; ++id) read(session, {id});
    for (std::int64_t i = 0; i < forks; ++i) all.push_back(all[0].fork());
    return all;
  }
  void check(const SessionOptions& options, std::int64_t prompt, std::int32_t tokens, std::int64_t forks,
             const SessionOperation& operation) const {
    SCOPED_TRACE(std::to_string(prompt) + " and " + std::to_string(tokens) +
                 " tokens, forks: " + std::to_string(forks));
    check_with_faults<GpuFault>([&] { return sessions(options, prompt, tokens, forks); }, operation);
  }
  SessionOperation reads(std::int64_t n) const { return test::reads(cpu_->prompt(n, 2)); }

  std::unique_ptr<Engine> cpu_;
  std::unique_ptr<Backend> backend_;
  std::shared_ptr<const Model> model_;
};

TEST_F(CudaSessionFaults, Prompts) {
  check({}, 0, 0, 0, reads(70));
  check({}, 70, 1, 1, reads(90));
  check(sparse(), 0, 0, 0, reads(90));
  check(sparse(), 90, 2, 1, reads(70));
}

TEST_F(CudaSessionFaults, Tokens) {
  for (const std::int32_t before : {0, 1, 2, 5}) {
    check({}, 64 - before, before, 0, reads(1));
    check({}, 70, before, 1, reads(1));
  }
  check(sparse(), 90, 7, 1, reads(1));  // and it is time to thin
}

TEST_F(CudaSessionFaults, Batches) {
  for (const std::int32_t before : {0, 3}) check(sparse(), 90, before, 2, test::read_batch);
}

TEST_F(CudaSessionFaults, Forks) {
  check(sparse(), 70, 2, 0, test::fork);
  check(sparse(), 25, 0, 1, test::truncates(20));
}

}  // namespace
}  // namespace tca::runtime
