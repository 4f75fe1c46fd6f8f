// The forward pass on the GPU against the one on the CPU in fp32, and against itself: segments, chunks, single tokens,
// batches.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "core/half.h"
#include "cuda/device.h"
#include "cuda_model/gpu_reader.h"
#include "model/tiny_model.h"
#include "tca/error.h"

namespace tca::runtime {
namespace {

using test::random_ids;
using test::Reader;
using test::relative_difference;
using test::TinyModel;
using test::TinyModelOptions;

// Some 20 roundings to bf16 (2^-9 of a value each) lie between a token and its logits, and peaked attention multiplies
// those of its scores, which are 10 and more: 0.02 is usual, and another token's logits differ by more than 1.
constexpr double kBound = 0.06;

class CudaForwardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::Device::available()) GTEST_SKIP() << "there is no GPU";
    gpu_ = create_backend("cuda", pool_);
    cpu_ = create_backend("cpu", pool_);
  }

  Reader gpu_reader(const TinyModel& files, std::int64_t chunk_tokens = 8192) {
    return Reader(load_on_gpu(files.dir(), pool_), *gpu_, pool_, chunk_tokens);
  }
  Reader cpu_reader(const TinyModel& files) {
    return Reader(Model::load(files.dir(), pool_, {.compute = ComputeType::kF32}), *cpu_, pool_);
  }

  ThreadPool pool_{2};
  std::unique_ptr<Backend> gpu_, cpu_;
};

TEST_F(CudaForwardTest, LogitsAreTheCpus) {
  for (const char* architecture : {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
    for (const std::int32_t head_dim : {64, 96, 128, 256}) {
      SCOPED_TRACE(std::string(architecture) + ", head_dim " + std::to_string(head_dim));
      const TinyModel files(
          {.architecture = architecture, .head_dim = head_dim, .tied = head_dim != 128, .dtype = DType::kBF16});
      Reader gpu = gpu_reader(files), cpu = cpu_reader(files);
      const std::vector<std::int32_t> ids = random_ids(70, 97);
      const std::vector<float> expected = cpu.read(ids);
      EXPECT_LE(relative_difference(gpu.read(ids), expected), kBound);
      EXPECT_EQ(gpu.attention.advanced_rows, cpu.attention.advanced_rows);
      // The comparison can fail.
      EXPECT_GT(relative_difference(gpu_reader(files).read(random_ids(70, 97, 2)), expected), 0.5);
    }
  }
}

TEST_F(CudaForwardTest, OtherStoredTypesBecomeBf16) {
  for (const DType dtype : {DType::kF32, DType::kF16}) {
    const TinyModel files(TinyModelOptions{.tied = false, .dtype = dtype});
    const std::vector<std::int32_t> ids = random_ids(40, 97);
    EXPECT_LE(relative_difference(gpu_reader(files).read(ids), cpu_reader(files).read(ids)), 1.5 * kBound);
  }
}

TEST_F(CudaForwardTest, StoredEmbeddingsDecideNotTheTieFlag) {
  const std::vector<std::int32_t> ids = random_ids(40, 97);
  for (const auto& [input, output] : {std::pair{true, false}, std::pair{false, true}, std::pair{true, true}}) {
    std::vector<std::size_t> bytes;
    for (const bool tied : {false, true}) {
      SCOPED_TRACE(::testing::Message() << input << output << tied);
      const TinyModel files(TinyModelOptions{.tied = tied, .store_embedding = input, .store_lm_head = output});
      const auto model = load_on_gpu(files.dir(), pool_);
      bytes.push_back(model->weight_bytes());
      EXPECT_LE(relative_difference(Reader(model, *gpu_, pool_).read(ids), cpu_reader(files).read(ids)), kBound);
    }
    EXPECT_EQ(bytes[0], bytes[1]);
  }
}

TEST_F(CudaForwardTest, ItsContentIsTheCpus) {
  const TinyModel files, others(TinyModelOptions{.seed = 2});
  const std::string hash = load_on_gpu(files.dir(), pool_)->content_hash();
  EXPECT_EQ(hash, Model::load(files.dir(), pool_)->content_hash());
  EXPECT_NE(hash, load_on_gpu(others.dir(), pool_)->content_hash());
}

TEST_F(CudaForwardTest, SegmentsAndChunksChangeNothing) {
  const TinyModel files(TinyModelOptions{.tied = false});
  const std::vector<std::int32_t> ids = random_ids(150, 97);
  const std::vector<float> expected = gpu_reader(files).read(ids, 3);
  EXPECT_LE(relative_difference(gpu_reader(files, 16).read(ids, 3), expected), kBound);

  Reader parts = gpu_reader(files);
  const std::span<const std::int32_t> all(ids);
  parts.read(all.subspan(0, 71), 1);
  parts.read(all.subspan(71, 1));
  EXPECT_LE(relative_difference(parts.read(all.subspan(72), 3), expected), kBound);
}

TEST_F(CudaForwardTest, MemoryIsGivenBackBetweenReads) {
  const TinyModel files;
  const std::vector<std::int32_t> ids = random_ids(100, 97);
  Reader reader = gpu_reader(files);
  const std::vector<float> expected = reader.read(ids, 1);
  reader.forward->release();
  reader.cache.clear();
  EXPECT_EQ(reader.read(ids, 1), expected);
}

TEST_F(CudaForwardTest, DecodedTokensAreLikeReadOnes) {
  for (const std::int32_t head_dim : {64, 96, 128, 256}) {
    SCOPED_TRACE(head_dim);
    const TinyModel files(TinyModelOptions{.head_dim = head_dim});
    const std::vector<std::int32_t> ids = random_ids(70, 97);
    const std::vector<float> expected = cpu_reader(files).read(ids);
    Reader reader = gpu_reader(files);
    reader.read(std::span(ids).first(60), 1);
    for (std::size_t i = 60; i < ids.size(); ++i) {  // over the end of a page
      const std::vector<float> logits = reader.decode(ids[i]);
      EXPECT_LE(relative_difference(logits, std::span(expected).subspan(i * 97, 97)), kBound) << "token " << i;
    }
    EXPECT_EQ(reader.cache.num_tokens(1), 70);
    EXPECT_EQ(reader.cache.length(1, 0), 70);
    // What was decoded is read by a later segment.
    const std::vector<std::int32_t> more = random_ids(20, 97, 3);
    std::vector<std::int32_t> all = ids;
    all.insert(all.end(), more.begin(), more.end());
    EXPECT_LE(relative_difference(reader.read(more, 1), cpu_reader(files).read(all, 1)), kBound);
  }
}

TEST_F(CudaForwardTest, ABatchIsItsRows) {
  const TinyModel files(TinyModelOptions{.architecture = "Qwen2ForCausalLM", .tied = false});
  const auto model = load_on_gpu(files.dir(), pool_);
  const std::shared_ptr<KvPool> kv_pool = Reader::make_pool(*model, *gpu_);
  for (const std::size_t rows : {2u, 4u, 5u, 9u}) {  // both kinds of products
    SCOPED_TRACE(rows);
    std::vector<Reader> together, alone;
    for (std::size_t r = 0; r < rows; ++r) {
      const std::vector<std::int32_t> ids = random_ids(10 + 27 * static_cast<std::int64_t>(r), 97, r);
      for (std::vector<Reader>* readers : {&together, &alone}) {
        readers->reserve(rows);  // attention refers to its reader's cache
        readers->emplace_back(model, *gpu_, pool_, 8192, kv_pool).read(ids, 1);
      }
    }
    for (std::int32_t step = 0; step < 3; ++step) {
      std::vector<DecodeRow> batch;
      for (std::size_t r = 0; r < rows; ++r) batch.push_back(together[r].row(static_cast<std::int32_t>(r) + step));
      const std::vector<float> logits = together[0].decode(batch);
      for (std::size_t r = 0; r < rows; ++r) {
        const std::vector<float> expected = alone[r].decode(static_cast<std::int32_t>(r) + step);
        EXPECT_LE(relative_difference(std::span(logits).subspan(r * 97, 97), expected), kBound) << "row " << r;
      }
    }
  }
}

TEST_F(CudaForwardTest, DecodingCollectsProbes) {
  const TinyModel files;
  const auto model = load_on_gpu(files.dir(), pool_);
  Memory& memory = model->device_memory();
  constexpr std::int64_t kSlots = 3, kSlot = 2, kHeads = 4, kHeadDim = 64;
  constexpr std::size_t kQuery = kHeads * kHeadDim * 2;
  std::vector<MemoryBlock> blocks;
  std::vector<ProbeTarget> targets;
  for (std::int32_t layer = 0; layer < 2; ++layer) {
    ProbeTarget& target = targets.emplace_back();
    target.queries = blocks.emplace_back(memory).reserve(kSlots * kQuery);
    target.lse = static_cast<float*>(blocks.emplace_back(memory).reserve(kSlots * kHeads * sizeof(float)));
  }
  const std::vector<std::int32_t> ids = random_ids(30, 97);
  Reader reader(model, *gpu_, pool_), other(model, *gpu_, pool_);
  reader.read(ids, 1);
  other.read(ids, 1);
  for (std::int32_t id = 5; id < 8; ++id) {  // the third step is a recorded one
    DecodeRow row = reader.row(id);
    row.probes = targets;
    row.probe_slot = kSlot;
    reader.decode(std::span(&row, 1));
    other.read(std::span(&id, 1));
    std::vector<std::uint16_t> query(kQuery / 2), expected(kQuery / 2);
    std::vector<float> lse(kHeads), as_floats, expected_floats;
    memory.copy(query.data(), static_cast<std::byte*>(targets[1].queries) + kSlot * kQuery, kQuery);
    memory.copy(lse.data(), targets[1].lse + kSlot * kHeads, kHeads * sizeof(float));
    std::memcpy(expected.data(), other.attention.last_query.data(), kQuery);
    for (std::size_t i = 0; i < query.size(); ++i) {
      as_floats.push_back(bf16_to_float(query[i]));
      expected_floats.push_back(bf16_to_float(expected[i]));
    }
    EXPECT_LE(relative_difference(as_floats, expected_floats), kBound);
    for (const float value : lse) EXPECT_TRUE(std::isfinite(value)) << value;
  }
}

TEST_F(CudaForwardTest, BothKindsOfProductsAgree) {
  const TinyModel files(TinyModelOptions{.tied = false});
  const std::vector<std::int32_t> ids = random_ids(8, 97);
  const auto logits = [&](std::int64_t skinny_rows) {
    return Reader(load_on_gpu(files.dir(), pool_, {.skinny_rows = skinny_rows}), *gpu_, pool_).read(ids);
  };
  EXPECT_LE(relative_difference(logits(8), logits(0)), kBound);
}

TEST_F(CudaForwardTest, WhatTheGpuCannotDoIsNamed) {
  const auto message = [&](const TinyModelOptions& options, ComputeType compute) -> std::string {
    const TinyModel files(options);
    try {
      load_on_gpu(files.dir(), pool_, {.compute = compute});
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kUnsupported);
      return error.what();
    }
    return "loaded";
  };
  EXPECT_NE(message({}, ComputeType::kF32).find("fp32"), std::string::npos);
  EXPECT_NE(message({.head_dim = 32}, ComputeType::kAuto).find("head_dim is 32"), std::string::npos);
  EXPECT_NE(message({.inner = 44}, ComputeType::kAuto).find("intermediate_size is 44"), std::string::npos);
}

TEST_F(CudaForwardTest, RandomModelsRepeat) {
  const TinyModel files(TinyModelOptions{.hidden = 256, .inner = 512});
  const ModelConfig config = ModelConfig::load(files.dir());
  const std::vector<std::int32_t> ids = random_ids(20, 97);
  const auto logits = [&](std::uint64_t seed) { return Reader(random_model(config, seed), *gpu_, pool_).read(ids); };
  const std::vector<float> once = logits(7);
  EXPECT_EQ(logits(7), once);
  EXPECT_GT(relative_difference(logits(8), once), 0.5);
  const auto model = random_model(config, 7);
  EXPECT_TRUE(model->fingerprint().weights_sha256.empty() && model->content_hash().empty());
  EXPECT_EQ(model->weight_bytes(), load_on_gpu(files.dir(), pool_)->weight_bytes());
}

}  // namespace
}  // namespace tca::runtime
