// Loading: every architecture's tensors, types, tying, what is in memory, and errors that name what is missing.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/half.h"
#include "model/tiny_model.h"
#include "runtime/model/linear.h"
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

TEST(ModelLoad, WeightsOfTheComputeTypeAreNotCopied) {
  const TinyModel files(TinyModelOptions{.dtype = DType::kF32});
  const auto model = load(files, ComputeType::kF32);
  EXPECT_TRUE(model->weights().converted.empty());
  EXPECT_EQ(model->weights().lm_head.weight, model->weights().embedding.data);  // tied
  // Everything is in memory once: the sum of the checkpoint's tensors.
  EXPECT_EQ(model->weight_bytes(), model->weights().checkpoint->total_bytes());
}

TEST(ModelLoad, OtherTypesAreConvertedOnce) {
  for (const DType dtype : {DType::kBF16, DType::kF16}) {
    const TinyModel files(TinyModelOptions{.tied = false, .dtype = dtype});
    const auto model = load(files, ComputeType::kF32);
    EXPECT_EQ(model->compute(), ComputeType::kF32);
    EXPECT_EQ(model->weights().layers[0].gate.dtype, DType::kF32);
    EXPECT_FALSE(model->weights().converted.empty());
    const auto& stored = model->weights().checkpoint->get("model.layers.0.mlp.gate_proj.weight", {48, 32});
    const float* converted = static_cast<const float*>(model->weights().layers[0].gate.weight);
    for (std::int64_t i = 0; i < stored.num_elements(); ++i) {
      ASSERT_EQ(converted[i], load_element(stored.data, dtype, i));
    }
  }
}

TEST(ModelLoad, AutoTakesBf16WhereTheCpuMultipliesIt) {
  const TinyModel files;
  EXPECT_EQ(load(files, ComputeType::kAuto)->compute(), has_bf16_products() ? ComputeType::kBF16 : ComputeType::kF32);
}

TEST(ModelLoad, AMissingOrMisshapenTensorIsNamed) {
  const TinyModel untied(TinyModelOptions{.tied = false}), tied(TinyModelOptions{.tied = true}),
      wide(TinyModelOptions{.inner = 64});
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
  EXPECT_NE(message(untied, tied).find("lm_head.weight"), std::string::npos);
  EXPECT_NE(message(tied, wide).find("gate_proj.weight"), std::string::npos);
}

}  // namespace
}  // namespace tca::runtime
