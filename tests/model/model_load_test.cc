// Loading: every architecture's tensors, types, tying, what is in memory, and errors that name what is missing.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/expect_error.h"
#include "core/file.h"
#include "core/half.h"
#include "model/tiny_model.h"
#include "runtime/model/model.h"
#include "runtime/model/weights.h"
#include "tca/error.h"

namespace tca::runtime {
namespace {

using test::TinyModel;
using test::TinyModelOptions;

std::shared_ptr<const Model> load(const TinyModel& files, ComputeType compute) {
  ThreadPool pool(2);
  return Model::load(files.dir(), pool, {.compute = compute});
}

TEST(ModelLoad, EveryArchitecture) {
  for (const char* architecture : {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
    const TinyModel files({.architecture = architecture, .tied = false});
    const auto model = load(files, ComputeType::kF32);
    const LayerWeights& layer = model->weights().layers.at(1);
    const bool qwen2 = std::string(architecture) == "Qwen2ForCausalLM";
    const bool qwen3 = std::string(architecture) == "Qwen3ForCausalLM";
    EXPECT_EQ(layer.q.bias.empty(), !qwen2) << architecture;
    EXPECT_EQ(layer.v.bias.empty(), !qwen2) << architecture;
    EXPECT_TRUE(layer.o.bias.empty()) << architecture;
    EXPECT_EQ(layer.q_norm.size(), qwen3 ? 64u : 0u) << architecture;
    EXPECT_EQ(model->fingerprint().architecture, architecture);
    EXPECT_EQ(model->fingerprint().weights_sha256.size(), 64u);
  }
}

TEST(ModelLoad, WeightsThatProductsTakeAreNotCopied) {
  const std::pair<DType, ComputeType> kept[] = {{DType::kF32, ComputeType::kF32},
                                                {DType::kBF16, ComputeType::kBF16},
                                                {DType::kBF16, ComputeType::kF32},  // widened on the way
                                                {DType::kBF16, ComputeType::kAuto}};
  for (const auto& [dtype, compute] : kept) {
    const TinyModel files(TinyModelOptions{.dtype = dtype});
    const auto model = load(files, compute);
    EXPECT_EQ(model->weights().layers[0].mlp.gate.dtype, dtype);
    EXPECT_TRUE(model->weights().converted.empty());
    EXPECT_EQ(model->weights().lm_head.weight, model->weights().embedding.data);  // tied
    // Every matrix is in memory once: the checkpoint's tensors, norms in fp32.
    const std::size_t norms = 2 * (32 + 32 + 64 + 64) + 32;
    EXPECT_EQ(model->weight_bytes(),
              model->weights().source->total_bytes() + norms * (sizeof(float) - dtype_size(dtype)));
  }
}

TEST(ModelLoad, EmbeddingsAreWhatIsStoredWhateverTheTieFlagSays) {
  struct Stored {
    bool input, output;
    const char *embedding, *lm_head;
  };
  const char *const input = "model.embed_tokens.weight", *const output = "lm_head.weight";
  for (const Stored& stored :
       {Stored{true, false, input, input}, Stored{false, true, output, output}, Stored{true, true, input, output}}) {
    for (const bool tied : {false, true}) {
      const TinyModel files(TinyModelOptions{
          .tied = tied, .store_embedding = stored.input, .store_lm_head = stored.output, .dtype = DType::kF32});
      const auto model = load(files, ComputeType::kF32);
      const TensorSource& checkpoint = *model->weights().source;
      EXPECT_EQ(model->weights().embedding.data, checkpoint.get(stored.embedding, {97, 32}).data) << tied;
      EXPECT_EQ(model->weights().lm_head.weight, checkpoint.get(stored.lm_head, {97, 32}).data) << tied;
      EXPECT_EQ(model->weight_bytes(), checkpoint.total_bytes());
    }
  }
}

TEST(ModelLoad, AModelKnowsItsWeightsAgain) {
  const TinyModel files, others(TinyModelOptions{.seed = 2}), sharded(TinyModelOptions{.sharded = true});
  const auto model = load(files, ComputeType::kF32), other = load(others, ComputeType::kF32);
  EXPECT_EQ(model->fingerprint(), other->fingerprint());  // one header for both
  EXPECT_NE(model->content_hash(), other->content_hash());
  EXPECT_EQ(load(sharded, ComputeType::kF32)->content_hash(), model->content_hash());
  // It is that of what is stored, not of what it is computed with.
  ThreadPool pool(2);
  EXPECT_EQ(Model::load(files.dir(), pool, {.weights = WeightType::kInt8})->content_hash(), model->content_hash());
}

TEST(ModelLoad, WarningsOfEveryFileReachTheModel) {
  const TinyModel files(TinyModelOptions{.sharded = true});
  std::ofstream(files.file("generation_config.json")) << "{";
  std::string index = read_file(files.file("model.safetensors.index.json"), 1 << 20);
  const std::size_t first = index.find("model-0.safetensors");
  std::filesystem::copy_file(files.file("model-0.safetensors"), files.file("model-2.safetensors"));
  std::string copy = read_file(files.file("model-2.safetensors"), 1 << 20);
  copy.back() = static_cast<char>(copy.back() ^ 1);
  std::ofstream(files.file("model-2.safetensors"), std::ios::binary) << copy;
  index.insert(first - 1, "\"model-2.safetensors\", \"unused\": ");  // one tensor of the copy is named, the last is not
  std::ofstream(files.file("model.safetensors.index.json")) << index;
  const std::vector<std::string> warnings = load(files, ComputeType::kF32)->config().warnings;
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_NE(warnings[0].find("generation_config.json"), std::string::npos);
  EXPECT_NE(warnings[1].find("model-0.safetensors"), std::string::npos);
}

TEST(ModelLoad, OtherTypesAreConvertedOnce) {
  const std::pair<DType, ComputeType> converted[] = {
      {DType::kF16, ComputeType::kF32}, {DType::kF16, ComputeType::kBF16}, {DType::kF32, ComputeType::kBF16}};
  for (const auto& [dtype, compute] : converted) {
    const TinyModel files(TinyModelOptions{.tied = false, .dtype = dtype});
    const auto model = load(files, compute);
    const DType wanted = compute == ComputeType::kF32 ? DType::kF32 : DType::kBF16;
    const Linear& gate = model->weights().layers[0].mlp.gate;
    EXPECT_EQ(model->precision().activations, wanted);
    EXPECT_EQ(gate.dtype, wanted);
    EXPECT_FALSE(model->weights().converted.empty());
    const auto& stored = model->weights().source->get("model.layers.0.mlp.gate_proj.weight", {48, 32});
    for (std::int64_t i = 0; i < stored.num_elements(); ++i) {
      const float value = load_element(stored.data, dtype, i);
      ASSERT_EQ(load_element(gate.weight, wanted, i),
                wanted == DType::kF32 ? value : bf16_to_float(float_to_bf16(value)));
    }
  }
}

TEST(ModelLoad, Int8KeepsABytePerWeightAndAScalePerChannel) {
  for (const bool tied : {true, false}) {
    const TinyModel files(TinyModelOptions{.tied = tied, .dtype = DType::kBF16});
    ThreadPool pool(2), one(1);
    const auto model = Model::load(files.dir(), pool, {.weights = WeightType::kInt8});
    EXPECT_EQ(model->weight_type(), WeightType::kInt8);
    const Weights& weights = model->weights();
    EXPECT_EQ(weights.embedding.dtype, DType::kBF16);  // rows are looked up as they are stored
    EXPECT_NE(weights.lm_head.weight, weights.embedding.data);
    // hidden 32, inner 48, q 256, kv 128, vocab 97 in groups of 64: [out, in] of q, k, v, o, gate, up, down
    const std::size_t layer = (256 + 128 + 128) * (32 + 4) + 64 * (256 + 4) + 2 * 64 * (32 + 4) + 64 * (48 + 4);
    const std::size_t norms = 2 * (32 + 32 + 64 + 64) + 32;
    EXPECT_EQ(model->weight_bytes(), 2 * layer + 128 * (32 + 4) + 97 * 32 * 2 + norms * 4);
    std::size_t buffers = 0;
    for (const Buffer& buffer : weights.converted) buffers += buffer.capacity();
    EXPECT_EQ(buffers, 2 * (512 * 32 + 64 * 256 + 128 * 32 + 64 * 48) + 128u * 32u);

    const Linear& gate = weights.layers[1].mlp.gate;
    const auto& stored = weights.source->get("model.layers.1.mlp.gate_proj.weight", {48, 32});
    for (std::int64_t c = 0; c < 48; ++c) {
      for (std::int64_t i = 0; i < 32; ++i) {
        const float w = load_element(stored.data, DType::kBF16, c * 32 + i),
                    scale = gate.scales[static_cast<std::size_t>(c)];
        ASSERT_NEAR(scale * static_cast<const std::int8_t*>(gate.weight)[i * 64 + c], w, 0.501 * scale);
      }
    }
    const auto again = Model::load(files.dir(), one, {.weights = WeightType::kInt8});
    EXPECT_EQ(std::memcmp(again->weights().layers[1].mlp.gate.weight, gate.weight, 64 * 32), 0);
  }
}

TEST(ModelLoad, Int8RefusesWeightsThatAreNotFiniteByName) {
  const TinyModel files(TinyModelOptions{.dtype = DType::kBF16});
  const std::size_t offset = [&] {
    const auto source = TensorSource::open(files.dir());
    const auto& tensor = source->get("model.layers.1.mlp.down_proj.weight", {32, 48});
    const std::string file = read_file(files.file("model.safetensors"), 1 << 24);
    return file.find(std::string_view(static_cast<const char*>(tensor.data), 32 * 48 * 2));
  }();
  std::fstream file(files.file("model.safetensors"), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(offset) + 100);
  file.write("\x80\x7f", 2);  // infinity
  file.close();
  ThreadPool pool(2);
  testing::expect_error(ErrorCategory::kUnsupported, "down_proj.weight",
                        [&] { Model::load(files.dir(), pool, {.weights = WeightType::kInt8}); });
}

TEST(ModelLoad, AutoTakesWhatIsFastestOnThisCpu) {
  const TinyModel files;
  EXPECT_EQ(load(files, ComputeType::kAuto)->precision(), choose_precision(ComputeType::kAuto, has_bf16_products()));
}

TEST(ModelLoad, AMissingOrMisshapenTensorIsNamed) {
  const TinyModel untied(TinyModelOptions{.tied = false}), tied(TinyModelOptions{.tied = true}),
      none(TinyModelOptions{.store_embedding = false}), wide(TinyModelOptions{.inner = 64});
  const auto message = [](const TinyModel& config, const TinyModel& weights) -> std::string {
    std::filesystem::copy_file(weights.file("model.safetensors"), config.file("model.safetensors"),
                               std::filesystem::copy_options::overwrite_existing);
    try {
      load(config, ComputeType::kF32);
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kBadFile);
      return error.what();
    }
    return "loaded";
  };
  EXPECT_NE(message(untied, none).find("model.embed_tokens.weight"), std::string::npos);
  EXPECT_NE(message(tied, wide).find("gate_proj.weight"), std::string::npos);
}

}  // namespace
}  // namespace tca::runtime
